"""The calls of the service as types of events: the verbs of AWS KMS and STS, and our own."""

from collections.abc import Iterator
from typing import Final

from strongroom.audit._event_type import EventType, Pci, event_type

_USE, _ADMIN, _GONE = (Pci.USE,), (Pci.ADMINISTRATION,), (Pci.ADMINISTRATION, Pci.OBJECTS)
_RIGHTS: Final = (Pci.ADMINISTRATION, Pci.CREDENTIALS)
_OF_EACH_CALL: Final = (
    *("alias", "context", "allowed_by", "hsm_session", "ciphertext_key", "named_key"),
    *("context_values", "context_values_left"),
    *("token_subject", "token"),
    *("error", "approval"),
)
_BATCH: Final = ("items", "failed")
_APPROVED: Final = ("approval", "verb", "officer", "sha256")

_KMS: Final = (
    # Use of keys
    ("Encrypt", "encrypts data", *_USE, "algorithm", *_BATCH),
    ("Decrypt", "decrypts a ciphertext", *_USE, "algorithm", *_BATCH),
    ("ReEncrypt", "decrypts a ciphertext and encrypts it under another key", *_USE, "algorithm", "source_key",
     "source_key_version", "source_alias", "source_context", "source_context_values", "source_context_values_left", "source_algorithm", *_BATCH),
    ("GenerateDataKey", "makes a data key", *_USE, *_BATCH),
    ("GenerateDataKeyWithoutPlaintext", "makes a data key and tells its ciphertext alone", *_USE, *_BATCH),
    ("GenerateDataKeyPair", "makes a pair of data keys", *_USE, "pair"),
    ("GenerateDataKeyPairWithoutPlaintext", "makes a pair of data keys, the private one as ciphertext alone", *_USE, "pair"),
    ("GenerateRandom", "makes random bytes", *_USE, "store"),
    ("Sign", "signs a message", *_USE, "algorithm", *_BATCH),
    ("Verify", "verifies a signature", *_USE, "algorithm"),
    ("GenerateMac", "makes a MAC", *_USE, "algorithm", *_BATCH),
    ("VerifyMac", "verifies a MAC", *_USE, "algorithm"),
    ("DeriveSharedSecret", "derives a shared secret", *_USE, "algorithm"),
    ("GetPublicKey", "hands out (exports) a public key", *_USE),
    # Keys
    ("CreateKey", "creates a key", *_GONE, "spec", "usage", "store", "domain", "tags", "policy_sha256", "never_present"),
    ("ScheduleKeyDeletion", "sets the date of a key's destruction", *_GONE, "days"),
    ("CancelKeyDeletion", "takes the date of a key's destruction back", *_GONE),
    ("EnableKey", "enables a key", *_ADMIN),
    ("DisableKey", "disables a key", *_ADMIN),
    ("DescribeKey", "looks at a key", *_ADMIN),
    ("ListKeys", "lists keys", *_ADMIN),
    ("UpdateKeyDescription", "changes a key's description", *_ADMIN),
    ("CreateAlias", "makes an alias", *_GONE),
    ("UpdateAlias", "points an alias to another key", *_ADMIN, "former_key"),
    ("DeleteAlias", "removes an alias", *_GONE),
    ("ListAliases", "lists aliases", *_ADMIN),
    ("TagResource", "tags a key", *_ADMIN, "tags"),
    ("UntagResource", "removes tags of a key", *_ADMIN, "tags"),
    ("ListResourceTags", "lists a key's tags", *_ADMIN),
    ("EnableKeyRotation", "has a key rotated by time", *_ADMIN, "days"),
    ("DisableKeyRotation", "has a key rotated no more", *_ADMIN),
    ("RotateKeyOnDemand", "rotates a key", *_GONE),
    ("GetKeyRotationStatus", "looks at a key's rotation", *_ADMIN),
    ("ListKeyRotations", "lists a key's rotations", *_ADMIN),
    ("GetKeyLastUsage", "looks at a key's last use", *_ADMIN),
    # Import
    ("GetParametersForImport", "makes a key to bring key material under", *_ADMIN, "wrapping"),
    ("ImportKeyMaterial", "brings key material into a key", *_GONE, "expires"),
    ("DeleteImportedKeyMaterial", "lets go of imported key material", *_GONE),
    # Who may do what
    ("GetKeyPolicy", "looks at a key's policy", *_ADMIN),
    ("PutKeyPolicy", "gives a key another policy", *_RIGHTS, "policy_sha256", "never_present"),
    ("ListKeyPolicies", "lists a key's policies", *_ADMIN),
    ("CreateGrant", "makes a grant", *_RIGHTS, "operations", "grant"),
    ("ListGrants", "lists a key's grants", *_ADMIN),
    ("ListRetirableGrants", "lists the grants that somebody may retire", *_ADMIN),
    ("RevokeGrant", "revokes a grant", *_RIGHTS, "grant"),
    ("RetireGrant", "retires a grant", *_RIGHTS, "grant"),
    # Custom key stores
    ("CreateCustomKeyStore", "makes a custom key store", *_GONE, "store_name", "cluster"),
    ("DescribeCustomKeyStores", "looks at custom key stores", *_ADMIN, "store"),
    ("UpdateCustomKeyStore", "changes a custom key store", *_ADMIN, "store", "store_name", "cluster"),
    ("ConnectCustomKeyStore", "connects a custom key store", *_ADMIN, "store"),
    ("DisconnectCustomKeyStore", "disconnects a custom key store", *_ADMIN, "store"),
    ("DeleteCustomKeyStore", "removes a custom key store", *_GONE, "store"),
    # Not served, so refused
    ("Decapsulate", "is not served", *_USE),
    ("Encapsulate", "is not served", *_USE),
    ("ReplicateKey", "is not served", *_ADMIN),
    ("UpdatePrimaryRegion", "is not served", *_ADMIN),
    ("ReadStatus", "looks at the state of the service", *_ADMIN),
    ("-", "a request that names no operation that there is"),
)  # fmt: skip

_OWN: Final = (
    ("ReadApiDescription", "reads the description of the API", *_ADMIN),
    ("ReadHealth", "looks at the health of the service", *_ADMIN),
    ("ReadCaller", "asks who it is", *_ADMIN),
    ("ListKeyStates", "lists keys with their states", *_ADMIN),
    ("ListPrincipals", "lists access keys with their roles", *_ADMIN),
    ("CheckKeyPolicy", "asks what a policy would allow", *_ADMIN, "subject", "action"),
    ("MarkKeyCompromised", "marks a key as compromised", *_ADMIN),
    ("SetCryptoperiod", "sets for how long and how often a key protects", *_ADMIN, "days", "uses"),
    ("SetActivationDate", "sets from when on a key can be used", *_ADMIN, "at"),
    ("RetireKeyVersion", "destroys a former version of a key", *_GONE, "version", "inventory"),
    ("RecordInventory", "keeps an inventory of ciphertexts", *_ADMIN, "sha256", "scanned", "left", "complete"),
    ("ListKeyUses", "lists the uses of a key's versions", *_ADMIN),
    ("CreateDomain", "makes a domain", *_GONE, "domain", "domain_id"),
    ("ListDomains", "lists domains", *_ADMIN),
    ("DescribeDomain", "looks at a domain", *_ADMIN, "domain"),
    ("RotateDomain", "replaces a domain's key", *_GONE, "domain", "domain_id", "replaces"),
    ("MoveKey", "moves a key into another domain", *_ADMIN, "domain", "domain_id"),
    ("GetKeyDomain", "asks which domain a key is in", *_ADMIN),
    ("DescribeCustody", "looks at officers and rules", *_ADMIN),
    ("ListApprovals", "lists approvals", *_ADMIN),
    ("DescribeApproval", "looks at an approval", *_ADMIN, *_APPROVED),
    ("RequestApproval", "asks officers for an approval", *_ADMIN, *_APPROVED),
    ("ApproveRequest", "hands in an officer's signature that approves", *_ADMIN, *_APPROVED),
    ("RejectRequest", "hands in an officer's signature that rejects", *_ADMIN, *_APPROVED),
    ("GetEvidence", "fetches the evidence of an approval", *_ADMIN, *_APPROVED),
    # As which paths of the admin API are refused before it is known which verb they come to
    ("ReadMembers", "looks at the members", *_ADMIN),
    ("ReadRoots", "looks at the roots", *_ADMIN),
    ("DescribeKeyState", "looks at a key", *_ADMIN),
    ("CreateKeyInDomain", "creates a key", *_GONE),
    ("BatchEncrypt", "encrypts many", *_USE),
    ("BatchDecrypt", "decrypts many", *_USE),
    ("BatchRewrap", "encrypts many anew", *_USE),
    ("BatchDataKeys", "makes many data keys", *_USE),
    ("BatchSign", "signs many", *_USE),
    ("BatchMac", "makes many MACs", *_USE),
)  # fmt: skip


def call_types() -> Iterator[EventType]:
    """Yield the types of all calls."""
    for family, calls in (("kms", _KMS), ("strongroom", _OWN)):
        for name, meaning, *marks in calls:
            yield event_type(f"{family}.{name}", meaning, *marks, *_OF_EACH_CALL)
    yield event_type("sts.GetCallerIdentity", "asks who it is", *_ADMIN, *_OF_EACH_CALL)
