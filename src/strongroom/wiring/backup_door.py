"""What the owner of a home asks of the running service about backups, over main's control socket."""

from typing import Annotated, Literal

import msgspec

from strongroom.config import Home
from strongroom.hsm.wire import Failure
from strongroom.wiring.members_door import ask_main

_Words = Annotated[str, msgspec.Meta(max_length=200)]


class BackupRequest(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Make a backup, note that one was opened by its shares, or note one that a vendor's tool made."""

    action: Literal["create", "verified", "record-vendor"]
    set_id: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?\Z")] = ""
    """Of ``create``: the set that shall open it; empty: the one in use."""
    approval: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{8,64})?\Z")] = ""
    """Of ``create``: the request by which officers approved it, or the beginning of its id; empty: one is looked for."""
    output: Annotated[str, msgspec.Meta(max_length=4_000)] = ""
    """Of ``create``: an absolute path that is not there yet; empty: a name of its own in ``HOME/backups``."""
    sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    """Of ``verified``: which bundle."""
    kind: _Words = ""
    """Of ``record-vendor``, as the next two: by what it was made, such as ``luna-backup-hsm``."""
    reference: _Words = ""
    """What finds it: a serial number, a backup id, the number of a bag."""
    at: float = 0.0
    """When it was made, in seconds since the Unix epoch."""


class BackupAnswer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a request."""

    backup_id: str = ""
    set_id: str = ""
    path: str = ""
    sha256: str = ""
    size: int = 0
    source: str = ""
    """The member that gave the keys."""
    n_roots: int = 0
    n_keys: int = 0
    left_out: list[str] = []
    """Labels of the Direct keys that are not in it, and why: ``LABEL (WHY)``."""
    failure: Failure | None = None
    """Why nothing was done."""


async def ask_backups(home: Home, request: BackupRequest, *, timeout_s: float) -> BackupAnswer:
    """Ask the service that runs on a home. Raises MembersNotReachableError."""
    return await ask_main(home, request, BackupAnswer, timeout_s=timeout_s)
