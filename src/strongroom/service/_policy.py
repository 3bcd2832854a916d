"""Who may do what: roles and verbs, deny by default.

Roles separate duties: who manages keys need not be able to use them, and the other way round; who watches over both does
neither. They belong to an access key, not to its principal: whoever has a restricted key of a principal has no roles of its
other keys. What policies and grants allow is the principal's, by whichever of its access keys it comes (``_key_authority``).
What no principal may be at once is in ``core.conflict_of``, and which recorded roles count in ``_duties``.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from strongroom.service._authority import EVERYBODY, FOR_EVERYBODY


class Role(StrEnum):
    """What a caller may be. One access key may give several, but none that are kept apart."""

    SECURITY_OFFICER = "security-officer"
    """Members, officers and policy: looks at everything, and manages neither keys nor uses of them."""
    CRYPTO_OFFICER = "crypto-officer"
    """Manages keys and aliases."""
    CRYPTO_USER = "crypto-user"
    """Uses keys."""
    AUDITOR = "auditor"
    """Reads logs and the state of things: nothing else, and no key is used by one, whatever a policy or grant says."""
    OPERATOR = "operator"
    """Looks after the health of the service."""
    CUSTODIAN = "custodian"
    """Holds a share. Allows by itself what everybody may."""
    WITNESS = "witness"
    """Watches ceremonies. Allows by itself what everybody may."""


_MANAGING: Final = frozenset({Role.CRYPTO_OFFICER})
_USING: Final = frozenset({Role.CRYPTO_USER})
_WATCHING: Final = frozenset({Role.SECURITY_OFFICER, Role.AUDITOR, Role.OPERATOR})
_CHECKING: Final = frozenset({Role.CRYPTO_OFFICER, Role.SECURITY_OFFICER, Role.AUDITOR})
_OVERSEEING: Final = _WATCHING | {Role.CRYPTO_OFFICER}
_LOOKING: Final = _OVERSEEING | {Role.CRYPTO_USER}
_ASKING: Final = frozenset(Role) - {Role.AUDITOR, Role.CRYPTO_USER}
"""An officer's signature proves itself, whoever brings it; these may ask, and bring it."""

ROLES_FOR: Final = {
    "DescribeCustody": _LOOKING | _ASKING,
    "ListApprovals": _LOOKING | _ASKING,
    "DescribeApproval": _LOOKING | _ASKING,
    "GetEvidence": _LOOKING | _ASKING,
    "RequestApproval": _ASKING,
    "ApproveRequest": _ASKING,
    "RejectRequest": _ASKING,
    "CreateKey": _MANAGING,
    "PutKeyPolicy": _MANAGING,
    "CreateGrant": _MANAGING,
    "RevokeGrant": _MANAGING,
    "RetireGrant": _MANAGING,
    "GetKeyPolicy": _LOOKING,
    "ListKeyPolicies": _LOOKING,
    "ListGrants": _LOOKING,
    "ListRetirableGrants": _LOOKING,
    "CreateCustomKeyStore": _MANAGING,
    "UpdateCustomKeyStore": _MANAGING,
    "ConnectCustomKeyStore": _MANAGING,
    "DisconnectCustomKeyStore": _MANAGING,
    "DeleteCustomKeyStore": _MANAGING,
    "DescribeCustomKeyStores": _LOOKING,
    "CreateAlias": _MANAGING,
    "UpdateAlias": _MANAGING,
    "DeleteAlias": _MANAGING,
    "EnableKey": _MANAGING,
    "DisableKey": _MANAGING,
    "UpdateKeyDescription": _MANAGING,
    "ScheduleKeyDeletion": _MANAGING,
    "CancelKeyDeletion": _MANAGING,
    "TagResource": _MANAGING,
    "UntagResource": _MANAGING,
    "MarkKeyCompromised": _MANAGING,
    "CreateDomain": _MANAGING,
    "RotateDomain": _MANAGING,
    "MoveKey": _MANAGING,
    "ListDomains": _OVERSEEING,
    "DescribeDomain": _OVERSEEING,
    "GetKeyDomain": _OVERSEEING,
    "SetCryptoperiod": _MANAGING,
    "SetActivationDate": _MANAGING,
    "RetireKeyVersion": _MANAGING,
    "RecordInventory": _MANAGING,
    "EnableKeyRotation": _MANAGING,
    "DisableKeyRotation": _MANAGING,
    "RotateKeyOnDemand": _MANAGING,
    "GetParametersForImport": _MANAGING,
    "ImportKeyMaterial": _MANAGING,
    "DeleteImportedKeyMaterial": _MANAGING,
    "GetKeyLastUsage": _LOOKING,
    "ListKeyUses": _LOOKING,
    "GetKeyRotationStatus": _LOOKING,
    "ListKeyRotations": _LOOKING,
    "DescribeKey": _LOOKING,
    "ListKeys": _LOOKING,
    "ListAliases": _LOOKING,
    "ListResourceTags": _LOOKING,
    "GetPublicKey": _LOOKING,
    "GenerateDataKey": _USING,
    "GenerateDataKeyWithoutPlaintext": _USING,
    "GenerateRandom": _USING,
    "Encrypt": _USING,
    "Decrypt": _USING,
    "ReEncryptFrom": _USING,
    "ReEncryptTo": _USING,
    "Sign": _USING,
    "Verify": _USING,
    "GenerateMac": _USING,
    "VerifyMac": _USING,
    "DeriveSharedSecret": _USING,
    "GenerateDataKeyPair": _USING,
    "GenerateDataKeyPairWithoutPlaintext": _USING,
    "ListKeyStates": _LOOKING,
    "ListPrincipals": _OVERSEEING,
    "CheckKeyPolicy": _CHECKING,
    "ReadStatus": _WATCHING,
}
"""Verb to the roles that allow it. A verb that stands neither here nor in FOR_EVERYBODY is allowed to nobody."""


def verbs_of_roles(roles: Iterable[str]) -> Mapping[str, str]:
    """Return the verbs that roles allow, with those for everybody, and what the audit log says of why (``allowed_by``).

    Where several roles allow a verb, the first in the order of ``Role`` is told. A role that is none allows nothing.
    """
    given = frozenset(roles)
    held = [role for role in Role if role in given]
    verbs = dict.fromkeys(FOR_EVERYBODY, EVERYBODY)
    for verb, allowing in ROLES_FOR.items():
        for role in held:
            if role in allowing:
                verbs[verb] = f"role:{role}"
                break
    return MappingProxyType(verbs)


READING: Final = frozenset(verbs_of_roles({Role.AUDITOR}))
"""All that an auditor may do, by roles, policies and grants together."""
