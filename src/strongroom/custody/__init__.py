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

__all__ = [
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "ApprovalRefusedError",
    "ChainError",
    "CustodyError",
    "Json",
    "MalformedDocumentError",
    "OfficerKeyError",
    "Refusal",
    "SignatureRefusedError",
    "StateRefusedError",
    "canonical_json",
    "parse_canonical",
]
