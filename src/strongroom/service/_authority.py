"""``Authority``: who decides whether a caller may do something, and what the decision rests on."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from strongroom.keyring import KeyRef
from strongroom.policy import PolicyAnswer
from strongroom.service._caller import Caller

NO_CONTEXT: Final[Mapping[str, str]] = MappingProxyType({})
NO_VALUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})

FOR_EVERYBODY: Final = frozenset({"GetCallerIdentity", "ReadApiDescription"})
"""Verbs that whoever is known may use, with any roles or none."""


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
    INACTIVE = "the access key is not active"


class Decision(NamedTuple):
    """Whether a caller may, and why."""

    is_allowed: bool
    ground: Ground
    answer: PolicyAnswer | None = None
    """What the key's own policy says; None where it has none, or nobody looked at it."""
    grant_id: str = ""


class Authority(Protocol):
    """Decides about callers. Synchronous: everything that it needs is in memory or one short read away."""

    def authorise_now(
        self,
        caller: Caller,
        verb: str,
        key: KeyRef | None = None,
        *,
        ciphertext: bytes | None = None,
        context: Mapping[str, str] = NO_CONTEXT,
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
    ) -> str:
        """Return if the caller may: the id of the grant that allows it, or an empty text when it needs none.

        ``key`` is what the request names; ``ciphertext`` names its key where the request does not. ``further``: values of
        condition keys that this verb alone has. Raises AccessDeniedError, InvalidGrantTokenError, InactiveAccessKeyError,
        StorageError.
        """
        ...
