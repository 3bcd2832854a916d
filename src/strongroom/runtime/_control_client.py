"""The control socket, an API process's end, and what both ends say there. Nothing of what main alone does is loaded here."""

import asyncio
import contextlib
import os
from collections.abc import Callable

import msgspec

from strongroom.core import StrongroomError
from strongroom.hsm.cluster import ClusterTable, Suspicion
from strongroom.hsm.wire import FrameBuffer, frame, peer_pid, peer_uid
from strongroom.runtime._key_requests import KeyAnswer, KeyDestroyed, KeyMade, KeyRequest

_READ_BYTES = 1 << 16


class ControlError(StrongroomError):
    """The control socket cannot be opened, or main cannot be reached at it."""


class ProcessMetrics(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The metrics of one API process (Prometheus text), or of all others but the one that it is sent to."""

    text: str


class ReportedSuspicion(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A worker that failed an API process."""

    suspicion: Suspicion


class PublishedTable(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The members and their states."""

    table: ClusterTable


_FROM_MAIN = PublishedTable | ProcessMetrics | KeyMade | KeyDestroyed


class ControlClient:
    """An API process's end. When it ends, main is gone, and so is the reason to go on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, path: str, *, only_pid: int = 0) -> "ControlClient":
        """Connect to main. Raises ControlError when nobody of our own user listens there.

        With ``only_pid`` it must be that process: others of our user can put a socket of theirs in its place.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            raise ControlError(f"main does not answer at its control socket: {error.strerror}") from error
        if peer_uid(writer.get_extra_info("socket")) != os.geteuid():
            writer.close()
            raise ControlError("the control socket belongs to another user")
        if only_pid and peer_pid(writer.get_extra_info("socket")) != only_pid:
            writer.close()
            raise ControlError("another process than main listens at the control socket")
        return cls(reader, writer)

    def report(self, suspicion: Suspicion) -> None:
        """Tell main of a worker that failed us; without effect when main is gone."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(frame(msgspec.msgpack.encode(ReportedSuspicion(suspicion))))

    def report_metrics(self, text: str) -> None:
        """Tell main our metrics; those of the other processes come back to ``follow``."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(frame(msgspec.msgpack.encode(ProcessMetrics(text))))

    def ask(self, request: KeyRequest) -> None:
        """Ask main for a key; its answer comes to ``follow``."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(frame(msgspec.msgpack.encode(request)))

    async def follow(
        self,
        apply: Callable[[ClusterTable], None],
        others: Callable[[str], None] = lambda _text: None,
        answered: Callable[[KeyAnswer], None] = lambda _answer: None,
    ) -> None:
        """Hand over each table, the metrics of other processes, and answers about keys.

        Returns when main closes the connection or sends nonsense.

        Whoever awaits this has to end then: nobody would tell them of members that fail.
        """
        messages = msgspec.msgpack.Decoder(_FROM_MAIN)
        frames = FrameBuffer()
        try:
            with contextlib.suppress(OSError, StrongroomError, msgspec.MsgspecError):
                while data := await self._reader.read(_READ_BYTES):
                    for payload in frames.feed(data):
                        message = messages.decode(payload)
                        if isinstance(message, PublishedTable):
                            apply(message.table)
                        elif isinstance(message, ProcessMetrics):
                            others(message.text)
                        else:
                            answered(message)
        finally:
            self._writer.close()
