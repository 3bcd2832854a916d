"""Who is a member and in what state, as the main process publishes it."""

from enum import StrEnum
from typing import Final

import msgspec


class MemberState(StrEnum):
    """What a member may be asked."""

    STARTING = "starting"
    """Its worker loads the module and logs in."""
    RECONCILING = "reconciling"
    """It is checked before it serves."""
    ACTIVE = "active"
    """It serves."""
    READ_ONLY = "read-only"
    """It serves with the keys that it holds, and is asked for no new ones."""
    DEGRADED = "degraded"
    """It answers, but far slower than the others: it gets a trickle of the calls until it is as fast as they are."""
    EJECTED = "ejected"
    """It failed, hung or cannot prove itself any more, and its worker is about to be replaced."""
    STOPPED = "stopped"
    """It is not started again by itself: a person has to act (a refused PIN, another key than the root)."""


EVERY_DIRECT_KEY: Final = b""
_MOST_QUARANTINED: Final = 20_000
SERVING = frozenset({MemberState.ACTIVE, MemberState.READ_ONLY, MemberState.DEGRADED})
"""States in which a member may be asked to use a key."""


class WorkerEntry(msgspec.Struct, frozen=True, array_like=True):
    """One worker process of one member."""

    member: str
    worker: int
    generation: int
    """Raised each time the worker is started anew; what is said of one generation does not hold for the next."""
    state: MemberState
    use_path: str
    reason: str = ""
    """Why it is in this state, for people."""
    pid: int = 0
    """Process id of the worker; 0 while it has none."""
    priority: int = 0
    """Members of the lowest number serve; those of the next stand by for when none of these can."""


class ClusterTable(msgspec.Struct, frozen=True, array_like=True):
    """Every worker of every member. ``version`` rises with each publication."""

    version: int
    workers: list[WorkerEntry]
    quarantined: list[bytes] = []
    """Direct keys that nobody may use; ``EVERY_DIRECT_KEY`` stands for all."""


def quarantine_of(key_ids: list[bytes]) -> list[bytes]:
    """Return what a table says of these Direct keys: when there are too many for one message, that it is all."""
    return key_ids if len(key_ids) <= _MOST_QUARANTINED else [EVERY_DIRECT_KEY]
