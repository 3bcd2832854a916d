"""What the owner of a home asks of the running service about its audit log, over main's control socket."""

from typing import Annotated, Literal

import msgspec

from strongroom.config import Home
from strongroom.hsm.wire import Failure
from strongroom.wiring.members_door import ask_main


class RetentionRequest(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Archive what is due now, or prune what is from before a day."""

    action: Literal["archive", "prune"]
    before: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z")] = ""
    """Of ``prune``: 00:00 UTC of this day."""
    approval: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{8,64})?\Z")] = ""
    """Of ``prune``: the request by which officers approved it; empty: one for just this is looked for."""


class PrunedEntries(msgspec.Struct, frozen=True):
    """What went of one writer's log."""

    writer: str
    segments: int
    first: int
    last: int
    """Entries, by their numbers."""


class ArchivedSegments(msgspec.Struct, frozen=True):
    """What went into the archive of one writer's log."""

    writer: str
    first: int
    last: int
    """Segments, by their numbers."""


class RetentionAnswer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a request."""

    archived: list[ArchivedSegments] = []
    failed: dict[str, str] = {}
    """Writers whose log could not be archived, and why."""
    pruned: list[PrunedEntries] = []
    record: str = ""
    """SHA-256 of the record of what was pruned."""
    approval: str = ""
    failure: Failure | None = None
    """Why nothing was done."""


async def ask_retention(home: Home, request: RetentionRequest, *, timeout_s: float) -> RetentionAnswer:
    """Ask the service that runs on a home. Raises MembersNotReachableError."""
    return await ask_main(home, request, RetentionAnswer, timeout_s=timeout_s)
