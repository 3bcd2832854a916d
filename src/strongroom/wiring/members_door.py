"""What an operator asks of the running service about its members, over main's control socket."""

import asyncio
import os
from typing import Literal, TypeVar

import msgspec

from strongroom.config import Home
from strongroom.core import MemberFailedError, StrongroomError
from strongroom.hsm.cluster import DriftReport
from strongroom.hsm.wire import Failure, FrameBuffer, frame, peer_uid
from strongroom.wiring.home import runtime_folder_path

T = TypeVar("T", bound=msgspec.Struct)

_READ_BYTES = 1 << 16


class MembersNotReachableError(StrongroomError):
    """The service of this home does not answer at its control socket."""


class MembersRequest(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Test members, compare them with the records, or start one again that was given up."""

    action: Literal["test", "reconcile", "revive"]
    member: str | None
    """None: all that are configured."""
    repair: bool = False
    """Of ``reconcile``: replace keys that are not the same, too."""


class ProofStep(msgspec.Struct, frozen=True):
    """One thing that a member was asked, and how long it took."""

    what: str
    took_ms: float


class MemberTest(msgspec.Struct, frozen=True):
    """How one member proved itself."""

    member: str
    state: str
    steps: list[ProofStep] = []
    failure: str = ""
    """Why it did not; empty: it did."""


class MembersAnswer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a request."""

    tests: list[MemberTest] = []
    reports: list[DriftReport] = []
    failures: dict[str, str] = {}
    """Members that could not be looked at, and why."""
    failure: Failure | None = None
    """Why nothing was done."""


async def ask_members(home: Home, request: MembersRequest, *, timeout_s: float) -> MembersAnswer:
    """Ask the service that runs on a home. Raises MembersNotReachableError."""
    return await ask_main(home, request, MembersAnswer, timeout_s=timeout_s)


async def ask_main(home: Home, request: msgspec.Struct, kind: type[T], *, timeout_s: float) -> T:
    """Send main one request and return its answer, which is of this kind. Raises MembersNotReachableError."""
    path = runtime_folder_path(home) / "control"
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                return await _ask(reader, writer, request, kind)
            finally:
                writer.close()
    except TimeoutError as error:
        raise MembersNotReachableError(
            f"the service did not answer within {timeout_s:.0f} s", next_step="see the log of the service"
        ) from error
    except (OSError, msgspec.MsgspecError, MemberFailedError) as error:
        raise MembersNotReachableError(
            f"no service of {home.root} answers at its control socket",
            next_step="start it: strongroom serve",
        ) from error


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: msgspec.Struct, kind: type[T]
) -> T:
    if peer_uid(writer.get_extra_info("socket")) != os.geteuid():
        raise MembersNotReachableError("the control socket belongs to another user")
    writer.write(frame(msgspec.msgpack.encode(request)))
    frames = FrameBuffer()
    while data := await reader.read(_READ_BYTES):
        for payload in frames.feed(data):
            # Tables and metrics come along unasked: everybody at this socket gets them.
            tag = msgspec.msgpack.decode(payload, type=list[object])[0]
            if tag == kind.__struct_config__.tag:
                return msgspec.msgpack.decode(payload, type=kind)
    raise MemberFailedError("the service closed the connection")
