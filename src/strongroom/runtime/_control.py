"""The control socket, main's end: it publishes the table of members, hears suspicions, and answers the owner of the home."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from strongroom.hsm.cluster import ClusterTable, Suspicion
from strongroom.hsm.wire import (
    Connection,
    FrameError,
    FrameServer,
    failure_from,
)
from strongroom.runtime._audit_retention import AuditRetention
from strongroom.runtime._audit_tree import AuditTree
from strongroom.runtime._backup_keeping import BackupKeeping
from strongroom.runtime._control_client import (
    ControlError,
    ProcessMetrics,
    PublishedTable,
    ReportedSuspicion,
)
from strongroom.runtime._custodian_keeping import CustodianKeeping
from strongroom.runtime._key_door import KeyDoor
from strongroom.runtime._key_requests import (
    DestroyKey,
    MakeKey,
)
from strongroom.runtime._metrics import add_expositions
from strongroom.runtime._pin_keeping import PinKeeping
from strongroom.runtime._reminders import Reminders
from strongroom.runtime._root_keeping import RootKeeping
from strongroom.wiring.audit_door import RetentionAnswer, RetentionRequest
from strongroom.wiring.backup_door import BackupAnswer, BackupRequest
from strongroom.wiring.custodian_door import CustodianAnswer, CustodianRequest
from strongroom.wiring.members_door import MembersAnswer, MembersRequest
from strongroom.wiring.pin_door import PinAnswer, PinRequest
from strongroom.wiring.root_door import RootAnswer, RootRequest

_READ_BYTES = 1 << 16


_Asked = MembersRequest | RootRequest | PinRequest | BackupRequest | CustodianRequest | RetentionRequest
_Answered = MembersAnswer | RootAnswer | PinAnswer | BackupAnswer | CustodianAnswer | RetentionAnswer
_FROM_API = ReportedSuspicion | ProcessMetrics | _Asked | MakeKey | DestroyKey
_ANSWERS: Final[Mapping[type, Callable[..., _Answered]]] = MappingProxyType(
    {
        MembersRequest: MembersAnswer,
        RootRequest: RootAnswer,
        PinRequest: PinAnswer,
        BackupRequest: BackupAnswer,
        CustodianRequest: CustodianAnswer,
        RetentionRequest: RetentionAnswer,
    }
)


class ControlServer:
    """Main's end: every connection gets the newest table at once, and each later one.

    It also passes on the metrics of the API processes and its own, so that each can tell those of all.
    """

    def __init__(
        self,
        suspect: Callable[[Suspicion], None],
        own_metrics: Callable[[], str] = str,
        members: Callable[[MembersRequest], Awaitable[MembersAnswer]] | None = None,
    ) -> None:
        """``members`` does what an operator of this user asks (``strongroom members``)."""
        self._suspect = suspect
        self._members = members
        self._answering: set[asyncio.Task[None]] = set()
        self._own_metrics = own_metrics
        self._messages = msgspec.msgpack.Decoder(_FROM_API)
        self._connections: dict[Connection, str] = {}
        self._table = ClusterTable(0, [])
        self._server: FrameServer | None = None
        self.keys: KeyDoor | None = None
        """Who makes and destroys Direct keys for API processes; None: nobody does."""
        self.roots: RootKeeping | None = None
        """Who rotates the root for the home's owner; None: nobody does."""
        self.pins: PinKeeping | None = None
        """Who changes PINs for the home's owner; None: nobody does."""
        self.backups: BackupKeeping | None = None
        """Who makes backups for the home's owner; None: nobody does."""
        self.custodians: CustodianKeeping | None = None
        """Who looks after custodians for the home's owner; None: nobody does."""
        self.retention: AuditRetention | None = None
        """Who archives and prunes the audit log for the home's owner; None: nobody does."""
        self.reminders: list[Reminders | AuditTree] = []
        """Who tells how old PINs, backups and proofs of custodians are, and how far the audit log's tree is."""
        self.more_metrics: list[Callable[[], str]] = []
        """Prometheus text of whatever else main does."""

    async def listen(self, path: Path) -> None:
        """Open the socket, or open it again where it was removed; connections stay. Raises ControlError."""
        if self._is_open_at(path):
            return
        if self._server is not None:
            self._server.close()
        try:
            self._server = await FrameServer.listen(path, lambda: self)
        except OSError as error:
            raise ControlError(f"cannot open the control socket {path}: {error.strerror}") from error

    def _is_open_at(self, path: Path) -> bool:
        return self._server is not None and path.exists()

    def publish(self, table: ClusterTable) -> None:
        """Send a table to every API process."""
        self._table = table
        for connection in self._connections:
            connection.send(PublishedTable(table))

    def made(self, connection: Connection) -> None:
        """Welcome an API process with the newest table."""
        self._connections[connection] = ""
        connection.send(PublishedTable(self._table))

    def received(self, connection: Connection, payload: bytes) -> None:
        """Take a suspicion, or the metrics of a process; then it is told those of the others."""
        message = self._messages.decode(payload)
        if isinstance(message, ReportedSuspicion):
            self._suspect(message.suspicion)
            return
        if isinstance(message, _Asked):
            task = asyncio.ensure_future(self._answer(connection, message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        if isinstance(message, MakeKey | DestroyKey):
            if self.keys is None:
                connection.drop()
            else:
                self.keys.received(connection, message)
            return
        self._connections[connection] = message.text
        others = [text for other, text in self._connections.items() if other is not connection]
        others.append(self._own_metrics())
        others.extend(reminders.metrics() for reminders in self.reminders)
        others.extend(metrics() for metrics in self.more_metrics)
        with contextlib.suppress(FrameError):  # one tells too much: no reason to cut the others off
            connection.send(ProcessMetrics(add_expositions(others)))

    async def _answer(self, connection: Connection, request: _Asked) -> None:
        answer: _Answered
        try:
            match request:
                case MembersRequest():
                    answer = await self._answer_about_members(request)
                case RootRequest():
                    answer = await self._answer_about_root(connection, request)
                case PinRequest():
                    answer = await self._answer_about_pins(connection, request)
                case BackupRequest():
                    answer = await self._answer_about_backups(connection, request)
                case CustodianRequest():
                    answer = await self._answer_about_custodians(connection, request)
                case RetentionRequest():
                    answer = await self._answer_about_retention(connection, request)
        except Exception as error:  # noqa: BLE001  # whoever asks gets words
            answer = _ANSWERS[type(request)](failure=failure_from(error))
        connection.send(answer)

    async def _answer_about_pins(self, connection: Connection, request: PinRequest) -> PinAnswer:
        if self.pins is None:
            raise ControlError("this process changes no PIN")
        return await self.pins.answer(request, connection.pid)

    async def _answer_about_backups(self, connection: Connection, request: BackupRequest) -> BackupAnswer:
        if self.backups is None:
            raise ControlError("this process makes no backups")
        return await self.backups.answer(request, connection.pid)

    async def _answer_about_custodians(
        self, connection: Connection, request: CustodianRequest
    ) -> CustodianAnswer:
        if self.custodians is None:
            raise ControlError("this process looks after no custodians")
        return await self.custodians.answer(request, connection.pid)

    async def _answer_about_retention(
        self, connection: Connection, request: RetentionRequest
    ) -> RetentionAnswer:
        if self.retention is None:
            raise ControlError("this process archives and prunes nothing")
        return await self.retention.answer(request, connection.pid)

    async def _answer_about_members(self, request: MembersRequest) -> MembersAnswer:
        if self._members is None:
            raise ControlError("this process answers no questions about members")
        return await self._members(request)

    async def _answer_about_root(self, connection: Connection, request: RootRequest) -> RootAnswer:
        if self.roots is None:
            raise ControlError("this process rotates no root")
        return await self.roots.answer(request, connection.pid)

    def lost(self, connection: Connection) -> None:
        """Forget an API process that has gone."""
        self._connections.pop(connection, None)
        if self.keys is not None:
            self.keys.lost(connection)

    def close(self) -> None:
        """Stop listening and cut everybody off."""
        if self.keys is not None:
            self.keys.close()
        if self.roots is not None:
            self.roots.close()
        if self.pins is not None:
            self.pins.close()
        if self.retention is not None:
            self.retention.close()
        for reminders in self.reminders:
            reminders.close()
        if self._server is not None:
            self._server.close()
        for task in self._answering:
            task.cancel()
        for connection in list(self._connections):
            connection.drop()
