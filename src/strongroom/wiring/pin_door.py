"""What the owner of a home asks of the running service about PINs, over main's control socket."""

from typing import Annotated, Literal

import msgspec

from strongroom.config import Home
from strongroom.hsm.wire import Failure
from strongroom.wiring.members_door import ask_main
from strongroom.wiring.pin_changes import PinRole

_Recipient = Annotated[str, msgspec.Meta(max_length=1024)]


class PinRequest(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Change the PIN of one member, or of all, one after the other."""

    role: PinRole
    member: str | None = None
    """None: all, for user PINs."""
    approval: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Id of the approved request; empty where the home has no officers."""
    so_pin: Annotated[bytes, msgspec.Meta(max_length=255)] = b""
    """The security officer's present PIN."""
    recipients: Annotated[list[_Recipient], msgspec.Meta(max_length=64)] = []
    """Whom the security officer's new PIN is delivered to."""

    def __repr__(self) -> str:
        return f"PinRequest({self.role} {self.member})"


class PinOutcome(msgspec.Struct, frozen=True):
    """What became of one member's PIN."""

    member: str
    role: PinRole
    state: Literal["changed", "pending", "failed"]
    """``pending``: it is changed when the member is back, or its token answers."""
    change_id: str = ""
    delivery: str = ""
    """The file by which a security officer's PIN was delivered; path relative to the home."""
    cause: str = ""


class PinAnswer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a request."""

    outcomes: list[PinOutcome] = []
    failure: Failure | None = None
    """Why nothing more was done."""


async def ask_pins(home: Home, request: PinRequest, *, timeout_s: float) -> PinAnswer:
    """Ask the service that runs on a home. Raises MembersNotReachableError."""
    return await ask_main(home, request, PinAnswer, timeout_s=timeout_s)
