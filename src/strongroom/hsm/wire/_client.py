"""The asynchronous client of a member worker's socket."""

import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import Any, Self, cast, overload

import msgspec

from strongroom.core import HsmError, HsmRequestError, MemberDeadlineError, MemberFailedError, WrappedBytes
from strongroom.hsm.wire._custody_messages import (
    AdmitAct,
    CustodyPlace,
    FollowChain,
    PinCustody,
    RejectAct,
    WhereInChain,
)
from strongroom.hsm.wire._direct_messages import (
    DestroyDirect,
    DirectDecrypt,
    DirectDecryptOaep,
    DirectDerive,
    DirectEncrypt,
    DirectMac,
    DirectPublicKey,
    DirectSign,
    GenerateDirect,
    HoldsDirect,
    InspectDirect,
)
from strongroom.hsm.wire._errors import raise_failure
from strongroom.hsm.wire._frames import FrameBuffer, FrameError, frame
from strongroom.hsm.wire._messages import (
    DestroyImportPair,
    DestroyRoot,
    DestroyTrustedPublic,
    EncodedBatch,
    GenerateImportPair,
    GenerateRoot,
    ImportTrustedPublic,
    ItemAnswer,
    KeyCheck,
    ListObjects,
    ObjectEntry,
    Ping,
    Pong,
    Random,
    ReadBack,
    ReadObject,
    Reply,
    Request,
    RootCheck,
    Unwrap,
    UnwrapInRoot,
    Wrap,
    WrapOutRoot,
    Wrapped,
)
from strongroom.hsm.wire._transport_messages import (
    BackupPair,
    DestroyTransportKey,
    EndTransportOffer,
    MakeBackupPair,
    MakeTransportKeys,
    OfferBackup,
    OfferTransport,
    TakeInKey,
    TakeInRoot,
    TakeTransportKeys,
    TransportOffer,
    WrapOut,
)

_RESULT_TYPES: dict[type, Any] = {
    Wrap: Wrapped,
    Unwrap: bytes,
    Random: bytes,
    EncodedBatch: list[ItemAnswer],
    Ping: Pong,
    GenerateRoot: KeyCheck,
    GenerateImportPair: bytes,
    ImportTrustedPublic: None,
    DestroyImportPair: None,
    DestroyTrustedPublic: None,
    DestroyRoot: None,
    WrapOutRoot: bytes,
    UnwrapInRoot: KeyCheck,
    RootCheck: KeyCheck,
    ReadBack: list[ReadObject],
    ListObjects: list[ObjectEntry],
    OfferTransport: TransportOffer,
    MakeTransportKeys: list[list[bytes]],
    TakeTransportKeys: None,
    EndTransportOffer: None,
    DestroyTransportKey: None,
    WrapOut: bytes,
    TakeInRoot: None,
    TakeInKey: None,
    MakeBackupPair: BackupPair,
    OfferBackup: TransportOffer,
    DirectSign: bytes,
    DirectMac: bytes,
    DirectEncrypt: WrappedBytes,
    DirectDecrypt: bytes,
    DirectDecryptOaep: bytes,
    DirectDerive: bytes,
    DirectPublicKey: bytes,
    GenerateDirect: bytes,
    DestroyDirect: None,
    HoldsDirect: bool,
    InspectDirect: list[str],
    AdmitAct: None,
    RejectAct: None,
    FollowChain: CustodyPlace,
    PinCustody: CustodyPlace,
    WhereInChain: CustodyPlace,
}
_PEER_CREDENTIALS = struct.Struct("3i")


def peer_uid(sock: socket.socket) -> int:
    """Return the user id at the other end of a Unix socket (SO_PEERCRED, unix(7))."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    _pid, uid, _gid = _PEER_CREDENTIALS.unpack(raw)
    return cast("int", uid)


def peer_pid(sock: socket.socket) -> int:
    """Return the id of the process that connected a Unix socket, or listens at it (SO_PEERCRED: as it was then)."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    pid, _uid, _gid = _PEER_CREDENTIALS.unpack(raw)
    return cast("int", pid)


class WireClient(asyncio.Protocol):
    """One connection to one worker. Made by ``connect``; once lost it stays lost.

    ``outstanding`` counts the calls that have no answer yet.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._frames = FrameBuffer()
        self._encoder = msgspec.msgpack.Encoder()
        self._replies = msgspec.msgpack.Decoder(list[Reply])
        self._results = {call: msgspec.msgpack.Decoder(kind) for call, kind in _RESULT_TYPES.items()}
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._unsent: list[Request[Any]] = []
        self._next_id = 0
        self._lost: str | None = None

    @classmethod
    async def connect(cls, path: Path | str, *, only_pid: int = 0) -> Self:
        """Connect to a worker's socket. Raises MemberFailedError when nobody of our own user listens there.

        With ``only_pid`` it must be that process: others of our user can put a socket of theirs in its place.
        """
        loop = asyncio.get_running_loop()
        try:
            transport, client = await loop.create_unix_connection(cls, str(path))
        except OSError as error:
            raise MemberFailedError(f"no worker answers at its socket: {error.strerror}") from error
        sock = transport.get_extra_info("socket")
        if peer_uid(sock) != os.geteuid():
            transport.close()
            raise MemberFailedError("the worker's socket belongs to another user")
        if only_pid and peer_pid(sock) != only_pid:
            transport.close()
            raise MemberFailedError("another process than the worker listens at its socket")
        return client

    @property
    def outstanding(self) -> int:
        """How many calls wait for an answer."""
        return len(self._waiting)

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost is not None

    @overload
    async def call(self, call: Wrap, *, timeout_s: float) -> Wrapped: ...
    @overload
    async def call(
        self, call: Unwrap | Random | GenerateImportPair | WrapOutRoot | WrapOut, *, timeout_s: float
    ) -> bytes: ...
    @overload
    async def call(
        self,
        call: DirectSign
        | DirectMac
        | DirectDecrypt
        | DirectDecryptOaep
        | DirectDerive
        | DirectPublicKey
        | GenerateDirect,
        *,
        timeout_s: float,
    ) -> bytes: ...
    @overload
    async def call(self, call: DirectEncrypt, *, timeout_s: float) -> WrappedBytes: ...
    @overload
    async def call(self, call: DestroyDirect, *, timeout_s: float) -> None: ...
    @overload
    async def call(self, call: HoldsDirect, *, timeout_s: float) -> bool: ...
    @overload
    async def call(self, call: InspectDirect, *, timeout_s: float) -> list[str]: ...
    @overload
    async def call(self, call: OfferTransport | OfferBackup, *, timeout_s: float) -> TransportOffer: ...
    @overload
    async def call(self, call: MakeBackupPair, *, timeout_s: float) -> BackupPair: ...
    @overload
    async def call(self, call: MakeTransportKeys, *, timeout_s: float) -> list[list[bytes]]: ...
    @overload
    async def call(
        self,
        call: TakeTransportKeys | EndTransportOffer | DestroyTransportKey | TakeInRoot | TakeInKey,
        *,
        timeout_s: float,
    ) -> None: ...
    @overload
    async def call(self, call: EncodedBatch, *, timeout_s: float) -> list[ItemAnswer]: ...
    @overload
    async def call(self, call: Ping, *, timeout_s: float) -> Pong: ...
    @overload
    async def call(self, call: GenerateRoot | UnwrapInRoot | RootCheck, *, timeout_s: float) -> KeyCheck: ...
    @overload
    async def call(
        self,
        call: ImportTrustedPublic | DestroyImportPair | DestroyTrustedPublic | DestroyRoot,
        *,
        timeout_s: float,
    ) -> None: ...
    @overload
    async def call(self, call: ReadBack, *, timeout_s: float) -> list[ReadObject]: ...
    @overload
    async def call(self, call: ListObjects, *, timeout_s: float) -> list[ObjectEntry]: ...
    @overload
    async def call(self, call: AdmitAct | RejectAct, *, timeout_s: float) -> None: ...
    @overload
    async def call(
        self, call: FollowChain | PinCustody | WhereInChain, *, timeout_s: float
    ) -> CustodyPlace: ...
    async def call(self, call: msgspec.Struct, *, timeout_s: float) -> object:
        """Send a call and wait for its answer, at most ``timeout_s`` seconds.

        Raises MemberDeadlineError when no answer came in time, MemberFailedError when the connection was
        lost, HsmRequestError when the call is too long for a frame, and what the worker raised.
        """
        if self._lost is not None:
            raise MemberFailedError(self._lost)
        self._next_id += 1
        call_id = self._next_id
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[call_id] = answer
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(Request(call_id, timeout_s, call))
        timer = self._loop.call_later(timeout_s, self._give_up, call_id, timeout_s)
        try:
            reply = await answer
        finally:
            timer.cancel()
            self._waiting.pop(call_id, None)
        if reply.failure is not None:
            raise_failure(reply.failure)
        try:
            return self._results[type(call)].decode(reply.result)
        except msgspec.MsgspecError as error:
            self._lose("the worker sent an answer of the wrong form")
            raise MemberFailedError("the worker sent an answer of the wrong form") from error

    def close(self) -> None:
        """Close the connection; calls that wait get MemberFailedError."""
        self._lose("the connection was closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Match replies to callers; a reply that nobody waits for came too late and is dropped."""
        try:
            for payload in self._frames.feed(data):
                for reply in self._replies.decode(payload):
                    answer = self._waiting.get(reply.id)
                    if answer is not None and not answer.done():
                        answer.set_result(reply)
        except (FrameError, msgspec.MsgspecError):
            self._lose("the worker sent something that is no frame")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail everything that waits."""
        self._lose(f"the connection to the worker was lost{'' if exc is None else f' ({exc})'}")

    def _flush(self) -> None:
        if self._lost is not None or self._transport is None:
            return
        unsent, self._unsent = self._unsent, []
        try:
            framed = frame(self._encoder.encode(unsent))
        except (FrameError, OverflowError, ValueError) as error:
            if len(unsent) == 1:  # no member could take it, so it must not be tried on each of them
                reason = error.message if isinstance(error, FrameError) else type(error).__name__
                self._fail(unsent[0].id, HsmRequestError(f"the call cannot be sent: {reason}"))
                return
            for request in unsent:  # one may spoil it for all, or together they are too long
                self._unsent = [request]
                self._flush()
        else:
            self._transport.write(framed)

    def _give_up(self, call_id: int, timeout_s: float) -> None:
        self._fail(call_id, MemberDeadlineError(f"the worker did not answer within {timeout_s:.3g} s"))

    def _fail(self, call_id: int, error: HsmError) -> None:
        answer = self._waiting.get(call_id)
        if answer is not None and not answer.done():
            answer.set_exception(error)

    def _lose(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        self._unsent.clear()
        if self._transport is not None:
            self._transport.abort()
        for call_id in list(self._waiting):
            self._fail(call_id, MemberFailedError(reason))
