"""M-of-N shares of a 256-bit secret: SLIP-39, what custodians hold, and how they show that they hold it.

    >>> from strongroom.core import Secret, random_bytes
    >>> from strongroom.shares import SharePlan, combine, read_share, split
    >>> secret = Secret(random_bytes(32))
    >>> sheets = [" ".join(share.words) for share in split(secret, SharePlan(3, 5))]
    >>> combine([read_share(sheet) for sheet in (sheets[4], sheets[0], sheets[2])]).matches(secret)
    True

Pure: no disk, no clock. Everything is safe to use from any thread. Words and values are secrets: show them to their custodian, log
them never. No arithmetic on them uses a table or a branch that depends on them; docs/shares.md says what Python leaves open all
the same. The room does not know who the custodians are.
"""

from strongroom.shares._errors import (
    DuplicateShareError,
    ForeignShareError,
    PossessionError,
    ShareChecksumError,
    ShareError,
    ShareFormatError,
    ShareLengthError,
    SharePlanError,
    TooFewSharesError,
    TooManyIterationsError,
    UnknownWordError,
    WrongSharesError,
)
from strongroom.shares._possession import (
    MAX_CHALLENGE_BYTES,
    MIN_CHALLENGE_BYTES,
    PROOF_BYTES,
    SET_ID_BYTES,
    check_possession,
    possession_public_key,
    prove_possession,
)
from strongroom.shares._share import MAX_SHARES, MAX_TEXT_CHARS, SetParameters, Share, read_share
from strongroom.shares._sharing import ITERATION_EXPONENT, SharePlan, combine, split, split_groups
from strongroom.shares._words import check_words

__all__ = [
    "ITERATION_EXPONENT",
    "MAX_CHALLENGE_BYTES",
    "MAX_SHARES",
    "MAX_TEXT_CHARS",
    "MIN_CHALLENGE_BYTES",
    "PROOF_BYTES",
    "SET_ID_BYTES",
    "DuplicateShareError",
    "ForeignShareError",
    "PossessionError",
    "SetParameters",
    "Share",
    "ShareChecksumError",
    "ShareError",
    "ShareFormatError",
    "ShareLengthError",
    "SharePlan",
    "SharePlanError",
    "TooFewSharesError",
    "TooManyIterationsError",
    "UnknownWordError",
    "WrongSharesError",
    "check_possession",
    "check_words",
    "combine",
    "possession_public_key",
    "prove_possession",
    "read_share",
    "split",
    "split_groups",
]
