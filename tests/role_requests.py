"""A request for every door of the service: AWS operations, routes of the admin API, and commands that go through them.

Keys that they name are not there: who may ask is told so (NotFoundException), who may not is refused before that. So the requests
change next to nothing, and say of every role whether it may.
"""

import re
from typing import NamedTuple

import msgspec

from strongroom.api._admin import PREFIX
from strongroom.api._admin_routes import ADMIN_ROUTES
from strongroom.api._kms import OPERATIONS
from strongroom.core import Inventory
from strongroom.custody import NAMESPACE_APPROVAL, OfficerPrivateKey, armour
from strongroom.service import FOR_EVERYBODY, ROLES_FOR

ABSENT = "12345678-1234-1234-1234-123456789012"
_X = "eA=="
_NAMES = {"keyId": ABSENT, "jobId": ABSENT, "domain": "no-such-domain", "version": "7", "approval": "0" * 64}
_GRANTEE = "arn:aws:iam::123456789012:user/grantee"
_STORE = "cks-1234567890abcdef0"
_POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}'
KMS_MEMBERS = {
    "CreateAlias": {"AliasName": "alias/nobody", "TargetKeyId": ABSENT},
    "CreateCustomKeyStore": {"CustomKeyStoreName": "x", "CloudHsmClusterId": "cluster-23456723456"},
    "ConnectCustomKeyStore": {"CustomKeyStoreId": _STORE},
    "CreateGrant": {"KeyId": ABSENT, "GranteePrincipal": _GRANTEE, "Operations": ["Encrypt"]},
    "CreateKey": {},
    "Decrypt": {"CiphertextBlob": _X},
    "DeleteAlias": {"AliasName": "alias/nobody"},
    "DeleteCustomKeyStore": {"CustomKeyStoreId": _STORE},
    "DeriveSharedSecret": {"KeyId": ABSENT, "KeyAgreementAlgorithm": "ECDH", "PublicKey": _X},
    "DescribeCustomKeyStores": {},
    "DisconnectCustomKeyStore": {"CustomKeyStoreId": _STORE},
    "Encrypt": {"KeyId": ABSENT, "Plaintext": _X},
    "GenerateDataKey": {"KeyId": ABSENT, "KeySpec": "AES_256"},
    "GenerateDataKeyPair": {"KeyId": ABSENT, "KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyPairWithoutPlaintext": {"KeyId": ABSENT, "KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyWithoutPlaintext": {"KeyId": ABSENT, "KeySpec": "AES_256"},
    "GenerateMac": {"KeyId": ABSENT, "MacAlgorithm": "HMAC_SHA_256", "Message": _X},
    "GenerateRandom": {"NumberOfBytes": 16},
    "GetParametersForImport": {
        "KeyId": ABSENT, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048",
    },
    "ImportKeyMaterial": {
        "KeyId": ABSENT, "ImportToken": _X, "EncryptedKeyMaterial": _X,
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    },
    "ListAliases": {},
    "ListKeys": {},
    "ListRetirableGrants": {"RetiringPrincipal": _GRANTEE},
    "PutKeyPolicy": {"KeyId": ABSENT, "Policy": _POLICY},
    "ReEncrypt": {"CiphertextBlob": _X, "DestinationKeyId": ABSENT},
    "RetireGrant": {"KeyId": ABSENT, "GrantId": "0" * 64},
    "RevokeGrant": {"KeyId": ABSENT, "GrantId": "0" * 64},
    "Sign": {"KeyId": ABSENT, "Message": _X, "SigningAlgorithm": "ECDSA_SHA_256"},
    "TagResource": {"KeyId": ABSENT, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "UntagResource": {"KeyId": ABSENT, "TagKeys": ["a"]},
    "UpdateAlias": {"AliasName": "alias/nobody", "TargetKeyId": ABSENT},
    "UpdateCustomKeyStore": {"CustomKeyStoreId": _STORE, "NewCustomKeyStoreName": "y"},
    "UpdateKeyDescription": {"KeyId": ABSENT, "Description": "x"},
    "Verify": {"KeyId": ABSENT, "Message": _X, "SigningAlgorithm": "ECDSA_SHA_256", "Signature": _X},
    "VerifyMac": {"KeyId": ABSENT, "MacAlgorithm": "HMAC_SHA_256", "Message": _X, "Mac": _X},
}  # fmt: skip
"""Members of an operation; every other one takes the id of a key and nothing else."""


INVENTORY = Inventory(
    format="strongroom-inventory-1", key_id=ABSENT, kind="lines", store="nowhere", began_at=1.0, finished_at=2.0,
    scanned=0, unreadable=0, complete=True, versions=[],
)  # fmt: skip
_SIGNATURE = armour(OfficerPrivateKey.generate().sign(b"x", NAMESPACE_APPROVAL)).decode()
"""Of nobody who is an officer of anything."""
_ITEMS = {
    "plain": [{"plaintext": _X}],
    "sealed": [{"ciphertext": _X}],
    "messages": [{"message": _X}],
}
ADMIN_BODIES = {
    "CheckKeyPolicy": {"principal": "user/x", "action": "Encrypt"},
    "CreateDomain": {"name": "made-by-somebody"},
    "CreateKeyInDomain": {"domain": "no-such-domain"},
    "MoveKey": {"domain": "dedicated"},
    "SetCryptoperiod": {"days": 30},
    "SetActivationDate": {},
    "RecordInventory": {"inventory": msgspec.to_builtins(INVENTORY), "sha256": INVENTORY.digest},
    "RequestApproval": {"verb": "RotateRoot", "parameters": {}},
    "ApproveRequest": {"signature": _SIGNATURE},
    "RejectRequest": {"signature": _SIGNATURE},
    "BatchEncrypt": {"items": _ITEMS["plain"]},
    "BatchDecrypt": {"items": _ITEMS["sealed"]},
    "BatchRewrap": {"items": _ITEMS["sealed"]},
    "BatchDataKeys": {"count": 1},
    "BatchSign": {"items": _ITEMS["messages"], "signingAlgorithm": "ECDSA_SHA_256"},
    "BatchMac": {"items": _ITEMS["messages"], "macAlgorithm": "HMAC_SHA_256"},
}
"""Bodies of the routes that have one, by their operations. A new route is tried once it has one here."""


class DoorRequest(NamedTuple):
    """A request for one door."""

    door: str
    """``AWS``, or method and path of a route."""
    operation: str
    verbs: tuple[str, ...]
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def every_request():
    """Every operation and route, once each."""
    for operation in sorted(OPERATIONS):
        members = KMS_MEMBERS.get(operation, {"KeyId": ABSENT})
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
        verbs = ("ReEncryptFrom", "ReEncryptTo") if operation == "ReEncrypt" else (operation,)
        yield DoorRequest("AWS", operation, verbs, "POST", "/", headers, msgspec.json.encode(members))
    for route in ADMIN_ROUTES:
        path = PREFIX + re.sub(r"\{(\w+)\}", lambda name: _NAMES[name[1]], route.path)
        body = msgspec.json.encode(ADMIN_BODIES[route.operation]) if route.request is not None else b""
        headers = {"Content-Type": "application/json"}
        door = f"{route.method} {PREFIX}{route.path}"
        yield DoorRequest(door, route.operation, route.verbs, route.method, path, headers, body)


def may(role, verbs):
    """Whether a role alone allows all of these verbs; ``None`` for no role."""
    return all(verb in FOR_EVERYBODY or role in ROLES_FOR[verb] for verb in verbs)


class Command(NamedTuple):
    """A command of the command line that goes through the doors of the service."""

    arguments: tuple[str, ...]
    """``KEY`` stands for a key that is there, ``FILE``, ``SEALED``, ``LINES``, ``DATABASE``, ``INVENTORY``, ``ENROLMENT`` and
    ``PUBLIC`` for files, ``NEW`` for one that is not."""
    verbs: tuple[str, ...]
    with_officers: tuple[str, ...] = ()
    """Verbs that it comes to only where the home has officers."""

    @property
    def name(self):
        """Its words, without what it is about."""
        n_words = (
            3 if self.arguments[:2] == ("approvals", "rules") else 2 if self.arguments[0] in _GROUPS else 1
        )
        return " ".join(self.arguments[:n_words])


_GROUPS = {"keys", "domains", "rewrap", "members", "officers", "approvals"}


_REQUEST = "0" * 64
COMMANDS = (
    Command(("status",), ("ReadStatus",)),
    Command(("members", "list"), ("ReadStatus",)),
    Command(("keys", "list"), ("ListKeys", "ListAliases")),
    Command(("keys", "create"), ("CreateKey",)),
    Command(("keys", "show", "KEY"), ("DescribeKey", "ListAliases")),
    Command(("keys", "compromise", "KEY", "--yes"), ("DescribeKey", "MarkKeyCompromised")),
    Command(("keys", "outstanding", "KEY"), ("DescribeKey", "ListKeyUses")),
    Command(("keys", "cryptoperiod", "KEY", "--days", "30"), ("DescribeKey", "SetCryptoperiod")),
    Command(("keys", "activate", "KEY", "--now"), ("DescribeKey", "SetActivationDate")),
    Command(("keys", "versions", "KEY"), ("DescribeKey", "ListKeyUses")),
    Command(("keys", "retire-version", "KEY", "1", "--yes"), ("DescribeKey", "RetireKeyVersion")),
    Command(("keys", "inventory", "INVENTORY"), ("RecordInventory",)),
    Command(("keys", "move", "KEY", "--domain", "dedicated"), ("DescribeKey", "MoveKey")),
    Command(("domains", "list"), ("ListDomains",)),
    Command(("domains", "create", "by-command"), ("CreateDomain",)),
    Command(("domains", "show", "--key", "KEY"), ("DescribeKey", "GetKeyDomain")),
    Command(("domains", "rotate", "no-such-domain"), ("RotateDomain",)),
    Command(("encrypt", "FILE", "--key", "KEY", "--output", "NEW"), ("GenerateDataKey",)),
    Command(("decrypt", "SEALED", "--output", "NEW"), ("Decrypt",)),
    Command(
        ("rewrap", "lines", "LINES", "--key", "KEY", "--field", "c", "--output", "NEW"),
        ("ReEncryptFrom", "ReEncryptTo"),
    ),
    Command(
        ("rewrap", "table", "--database", "DATABASE", "--table", "t", "--key-column", "k",
         "--ciphertext-column", "c", "--key", "KEY"),
        ("ReEncryptFrom", "ReEncryptTo"),
    ),
    Command(("officers", "list"), ("DescribeCustody",)),
    Command(("officers", "add", "ENROLMENT", "--role", "operator"), ("RequestApproval",)),
    Command(("officers", "revoke", "anna", "--reason", "x"), ("RequestApproval",)),
    Command(("officers", "add-key", "anna", "PUBLIC"), ("RequestApproval",)),
    Command(("officers", "revoke-key", "anna", "PUBLIC", "--reason", "x"), ("RequestApproval",)),
    Command(("officers", "roles", "anna", "--role", "operator"), ("RequestApproval",)),
    Command(("approvals", "list"), ("ListApprovals",)),
    Command(("approvals", "request", "RotateRoot"), ("RequestApproval",)),
    Command(("approvals", "rules", "show"), ("DescribeCustody",)),
    Command(("approvals", "rules", "set", "X", "--people", "1", "--role", "operator"), ("RequestApproval",)),
    Command(("approvals", "rules", "remove", "X"), ("RequestApproval",)),
    Command(("approvals", "show", _REQUEST), ("DescribeApproval",)),
    Command(("approvals", "sign", _REQUEST, "--key", "FILE", "--yes"), ("DescribeApproval",), ("ApproveRequest",)),
    Command(("approvals", "reject", _REQUEST, "--key", "FILE", "--yes"), ("DescribeApproval",), ("RejectRequest",)),
    Command(("approvals", "evidence", _REQUEST), ("GetEvidence",)),
)  # fmt: skip
"""Every command that calls the service by itself, with what it does in the usual case. ``demo`` and ``bench`` do several of these acts;
all others are for the owner of the home: they open its files or its control socket, or need no home at all."""
