"""The people side as cryptography: documents that officers sign, and the rules by which signatures count.

    >>> from strongroom.custody import canonical_json
    >>> canonical_json({"b": 2, "a": [True, "€"]}).decode()
    '{"a":[true,"€"],"b":2}'

Pure: no clock, no disk, no network; callers bring bytes and the time. Everything is frozen and safe to use from any
thread. The room does not decide who may call the service (``service`` does), and keeps nothing (``UsedNonces`` is the
caller's).
"""

from strongroom.custody._canonical import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    Json,
    canonical_json,
    parse_canonical,
)
from strongroom.custody._errors import (
    ApprovalRefusedError,
    ChainError,
    CustodyError,
    MalformedDocumentError,
    OfficerKeyError,
    Refusal,
    SignatureRefusedError,
    StateRefusedError,
)
from strongroom.custody._key_files import (
    KDF_ROUNDS,
    MAX_KEY_FILE_BYTES,
    MIN_PASSPHRASE_BYTES,
    OfficerPrivateKey,
)
from strongroom.custody._officer_keys import KeyKind, OfficerKey
from strongroom.custody._ssh_signatures import (
    MAX_SIGNATURE_BYTES,
    NAMESPACE_APPROVAL,
    NAMESPACE_GENESIS,
    NAMESPACE_REJECTION,
    armour,
    dearmour,
    key_of_signature,
    verify_signature,
)

__all__ = [
    "KDF_ROUNDS",
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "MAX_KEY_FILE_BYTES",
    "MAX_SIGNATURE_BYTES",
    "MIN_PASSPHRASE_BYTES",
    "NAMESPACE_APPROVAL",
    "NAMESPACE_GENESIS",
    "NAMESPACE_REJECTION",
    "ApprovalRefusedError",
    "ChainError",
    "CustodyError",
    "Json",
    "KeyKind",
    "MalformedDocumentError",
    "OfficerKey",
    "OfficerKeyError",
    "OfficerPrivateKey",
    "Refusal",
    "SignatureRefusedError",
    "StateRefusedError",
    "armour",
    "canonical_json",
    "dearmour",
    "key_of_signature",
    "parse_canonical",
    "verify_signature",
]
