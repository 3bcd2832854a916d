"""Who is a member and in what state, as the main process publishes it."""

from enum import StrEnum

import msgspec


class MemberState(StrEnum):
    """What a member may be asked."""

    STARTING = "starting"
    """Its worker loads the module and logs in."""
    RECONCILING = "reconciling"
    """It is checked before it serves."""
    ACTIVE = "active"
    """It serves."""
    EJECTED = "ejected"
    """It failed, hung or cannot prove itself any more, and its worker is about to be replaced."""
    STOPPED = "stopped"
    """It is not started again by itself: a person has to act (a refused PIN, another key than the root)."""


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


class ClusterTable(msgspec.Struct, frozen=True, array_like=True):
    """Every worker of every member. ``version`` rises with each publication."""

    version: int
    workers: list[WorkerEntry]
