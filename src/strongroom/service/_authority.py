"""What a decision about a caller is made of, and what it rests on. ``KeyAuthority`` decides."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.keyring import KeyRef
from strongroom.policy import PolicyAnswer

NO_CONTEXT: Final[Mapping[str, str]] = MappingProxyType({})
NO_VALUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})

FOR_EVERYBODY: Final = frozenset({"GetCallerIdentity", "ReadApiDescription", "ReadHealth", "ReadCaller"})
"""Verbs that whoever is known may use, with any roles or none."""


EVERYBODY: Final = "everybody"
"""What the audit log says of a call that needs no permission."""
BY_GRANT: Final = "grant:"
"""What the audit log says before the id of a grant that allowed a call."""


class Source(NamedTuple):
    """What a ReEncrypt opens."""

    key: KeyRef | None
    ciphertext: bytes | None
    """Names its key where the request names none; None where it does not."""
    context: Mapping[str, str]


class Ground(Enum):
    """What a decision rests on."""

    EVERYBODY = "everybody may"
    ROLES = "the roles of the access key allow it"
    POLICY = "a statement of the key's policy allows it"
    GRANT = "a grant allows it"
    NOTHING = "nothing allows it"
    DENIED = "a statement of the key's policy denies it"
    TOO_COSTLY = "the key's policy cannot be decided quickly enough for this request"
    NO_SUCH_KEY = "there is no such key, and nothing allows it in general"
    INACTIVE = "the principal has no such access key that is active"
    AUDITOR = "an auditor reads and does nothing else, whatever policies and grants say"


class Decision(NamedTuple):
    """Whether a caller may, and why."""

    is_allowed: bool
    ground: Ground
    answer: PolicyAnswer | None = None
    """What the key's own policy says; None where it has none, or nobody looked at it."""
    grant_id: str = ""
