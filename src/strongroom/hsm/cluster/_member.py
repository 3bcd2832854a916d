"""A member as reached through its worker's socket."""

import asyncio

from strongroom.core import (
    Deadline,
    MemberDeadlineError,
    MemberFailedError,
    RootId,
    Secret,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.cluster._batch_member import RemoteBatchUse
from strongroom.hsm.cluster._custody_admin import RemoteCustodyAdmin
from strongroom.hsm.cluster._direct_member import RemoteDirectAdmin, RemoteDirectUse, seconds_left
from strongroom.hsm.cluster._transport_exchange import RemoteTransportAdmin
from strongroom.hsm.wire import (
    DestroyImportPair,
    DestroyTrustedPublic,
    GenerateImportPair,
    GenerateRoot,
    ImportTrustedPublic,
    KeyCheck,
    Ping,
    Pong,
    Random,
    Unwrap,
    UnwrapInRoot,
    WireClient,
    Wrap,
    WrapOutRoot,
)


class RemoteMember(RemoteDirectUse, RemoteBatchUse):
    """One worker of one member (``core.HsmMember``, ``HsmDirectUse``, ``HsmBatchUse``). Connects at the first call, and again after a loss.

    A call that the deadline cuts short is a MemberDeadlineError; the caller decides what that means.
    """

    def __init__(self, name: str, use_path: str, pid: int = 0) -> None:
        """``pid`` is the worker's process: nobody else is spoken to at its socket; 0: whoever listens there."""
        self._name = name
        self._use_path = use_path
        self._pid = pid
        self._client: WireClient | None = None
        self._connecting: asyncio.Task[WireClient] | None = None
        self._without_connection = 0

    @property
    def name(self) -> str:
        """The member's name in the configuration."""
        return self._name

    @property
    def use_path(self) -> str:
        """The worker's use socket."""
        return self._use_path

    @property
    def pid(self) -> int:
        """The worker's process id; 0 where nobody said it."""
        return self._pid

    @property
    def outstanding(self) -> int:
        """Calls that wait for an answer, or for a connection."""
        sent = 0 if self._client is None else self._client.outstanding
        return sent + self._without_connection

    async def wrap(
        self, root_id: RootId, key_bytes: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt key bytes under a root KEK (``core.HsmUse.wrap``)."""
        client = await self._connected(deadline)
        call = Wrap(root_id, key_bytes.reveal(), aad)
        made = await client.call(call, timeout_s=seconds_left(deadline))
        return WrappedBytes(_algorithm(made.algorithm), made.iv, made.ciphertext, made.wrap_tag)

    async def unwrap(
        self, root_id: RootId, wrapped: WrappedBytes, aad: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt key bytes under a root KEK (``core.HsmUse.unwrap``)."""
        client = await self._connected(deadline)
        algorithm, iv, ciphertext, tag = wrapped
        call = Unwrap(root_id, int(algorithm), iv, ciphertext, tag, aad)
        return Secret(await client.call(call, timeout_s=seconds_left(deadline)))

    async def random(self, n_bytes: int, *, deadline: Deadline) -> Secret:
        """Return bytes of the HSM's generator (``core.HsmUse.random``)."""
        client = await self._connected(deadline)
        return Secret(await client.call(Random(n_bytes), timeout_s=seconds_left(deadline)))

    async def ping(self, *, deadline: Deadline) -> Pong:
        """Ask the worker what it is at. Not an HSM call."""
        client = await self._connected(deadline)
        return await client.call(Ping(), timeout_s=seconds_left(deadline))

    def close(self) -> None:
        """Drop the connection."""
        self._connecting = None
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self, deadline: Deadline) -> WireClient:
        if self._client is not None and not self._client.is_lost:
            return self._client
        if self._connecting is None:
            # One connection for all who wait: hundreds at once would overrun the socket's queue of 100.
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(_look_at)
        self._without_connection += 1
        try:
            async with asyncio.timeout(seconds_left(deadline)):
                return await asyncio.shield(self._connecting)
        except TimeoutError as error:
            raise MemberDeadlineError("no connection to the worker in time") from error
        finally:
            self._without_connection -= 1

    async def _connect(self) -> WireClient:
        try:
            client = await WireClient.connect(self._use_path, only_pid=self._pid)
            if self._connecting is not asyncio.current_task():
                client.close()
                raise MemberFailedError("the connection was closed")
            self._client = client
            return client
        finally:
            if self._connecting is asyncio.current_task():
                self._connecting = None


def _look_at(connecting: asyncio.Task[WireClient]) -> None:
    """Take notice of a failure that nobody waited for: asyncio would complain."""
    if not connecting.cancelled():
        connecting.exception()


def _algorithm(number: int) -> WrapAlgorithm:
    try:
        return WrapAlgorithm(number)
    except ValueError:
        raise MemberFailedError(f"the member used wrap algorithm {number}, which is not known") from None


class RemoteAdmin(RemoteDirectAdmin, RemoteTransportAdmin, RemoteCustodyAdmin):
    """The admin door of one member (``AdminDoor``), through its worker's admin socket."""

    def __init__(self, name: str, client: WireClient, *, timeout_s: float) -> None:
        self._name = name
        self._client = client
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """The member's name in the configuration."""
        return self._name

    async def generate_root(self, root_id: RootId, label: str) -> KeyCheck:
        """Make a root KEK in the member."""
        return await self._client.call(GenerateRoot(root_id, label), timeout_s=self._timeout_s)

    async def generate_import_pair(self, cka_id: bytes, label: str) -> bytes:
        """Make the member's import pair; returns the public half, SPKI DER."""
        return await self._client.call(GenerateImportPair(cka_id, label), timeout_s=self._timeout_s)

    async def import_trusted_public(self, cka_id: bytes, label: str, spki_der: bytes) -> None:
        """Import another member's public half as trusted; the worker must be logged in as security officer."""
        await self._client.call(ImportTrustedPublic(cka_id, label, spki_der), timeout_s=self._timeout_s)

    async def destroy_import_pair(self, cka_id: bytes) -> None:
        """Destroy the member's import pair."""
        await self._client.call(DestroyImportPair(cka_id), timeout_s=self._timeout_s)

    async def destroy_trusted_public(self, cka_id: bytes) -> None:
        """Destroy another member's public half that was trusted."""
        await self._client.call(DestroyTrustedPublic(cka_id), timeout_s=self._timeout_s)

    async def wrap_out_root(self, root_id: RootId, wrapping_cka_id: bytes) -> bytes:
        """Wrap a root under a trusted public key."""
        return await self._client.call(WrapOutRoot(root_id, wrapping_cka_id), timeout_s=self._timeout_s)

    async def unwrap_in_root(
        self, root_id: RootId, label: str, import_cka_id: bytes, wrapped: bytes, expected: KeyCheck
    ) -> KeyCheck:
        """Unwrap a root under this member's import pair; with another check value it is not kept."""
        call = UnwrapInRoot(root_id, label, import_cka_id, wrapped, expected)
        return await self._client.call(call, timeout_s=self._timeout_s)

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _door(self) -> tuple[WireClient, float]:
        return self._client, self._timeout_s
