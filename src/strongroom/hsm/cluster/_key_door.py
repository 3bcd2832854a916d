"""Main's way to the keys of a member: list, make, destroy, and copy under transport keys."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import msgspec

from strongroom.core import (
    ApprovalRequiredError,
    Deadline,
    HsmBatchUse,
    HsmDirectUse,
    HsmError,
    HsmKey,
    HsmRequestError,
    HsmUse,
    MemberDeadlineError,
    MemberReadOnlyError,
    RootId,
    TransportKind,
    is_backup_transport,
)
from strongroom.hsm.cluster._direct_member import seconds_left
from strongroom.hsm.wire import (
    DestroyDirect,
    DestroyRoot,
    GenerateDirect,
    GenerateRoot,
    InspectDirect,
    KeyCheck,
    ListObjects,
    ObjectEntry,
    TakeInKey,
    TakeInRoot,
    WireClient,
    WrapOut,
)


class KeyDoor(Protocol):
    """The admin verbs of one member that need no security officer. None is repeated by itself."""

    @property
    def name(self) -> str:
        """The member's name."""
        ...

    async def list_objects(self, *, deadline: Deadline) -> list[ObjectEntry]:
        """List what the member's token holds."""
        ...

    async def generate_direct(self, key: HsmKey, label: str, *, may_leave: bool, deadline: Deadline) -> bytes:
        """Make a Direct key; return its public half, SPKI DER, or no bytes if it has none."""
        ...

    async def destroy_direct(self, key: HsmKey, *, deadline: Deadline) -> None:
        """Destroy a Direct key, confirmed by a fresh look-up. Raises HsmKeyNotFoundError when there is none."""
        ...

    async def inspect_direct(self, key: HsmKey, *, may_leave: bool, deadline: Deadline) -> list[str]:
        """Name the attributes (``CKA_…``) of a Direct key that are not as they were when it was made or copied."""
        ...

    async def wrap_out(
        self, cka_id: bytes, kind: TransportKind, transport_id: bytes, *, deadline: Deadline
    ) -> bytes:
        """Wrap a key under the member's own transport key."""
        ...

    async def generate_root(self, root_id: RootId, label: str, *, deadline: Deadline) -> KeyCheck:
        """Make a root KEK."""
        ...

    async def destroy_root(self, root_id: RootId, *, deadline: Deadline) -> None:
        """Destroy a root KEK, confirmed by a fresh look-up. Raises HsmKeyNotFoundError when there is none."""
        ...

    async def take_in_root(
        self,
        root_id: RootId,
        label: str,
        *,
        transport_id: bytes,
        wrapped: bytes,
        check: KeyCheck,
        deadline: Deadline,
    ) -> None:
        """Take in a root that came under another member's transport key."""
        ...

    async def take_in_key(
        self,
        key: HsmKey,
        label: str,
        *,
        transport_id: bytes,
        wrapped: bytes,
        spki_der: bytes,
        deadline: Deadline,
    ) -> None:
        """Take in a Direct key that came under another member's transport key."""
        ...


class MemberUse(HsmUse, HsmDirectUse, HsmBatchUse, Protocol):
    """All use verbs of one member."""


class Replica(NamedTuple):
    """A member as replication sees it."""

    name: str
    keys: KeyDoor
    use: MemberUse
    takes_creations: bool = True
    """False for one that may be used only (``MemberState.READ_ONLY``)."""


BeforeCall = Callable[[WireClient, str, msgspec.Struct], Awaitable[None]]
"""Told of a call that makes or destroys a key, and of the member, before it is sent: to hand over what officers approved."""


class RemoteKeys:
    """The ``KeyDoor`` of a member through its worker's admin socket, which only main may use.

    Connects at the first call, and again after a loss.
    """

    def __init__(
        self,
        name: str,
        admin_path: str,
        pid: int = 0,
        *,
        refused: Callable[[str], None] = lambda _reason: None,
        before: BeforeCall | None = None,
    ) -> None:
        """``refused`` is told when the member takes no changes at the moment, and in what words it said so.

        ``pid`` is the worker's process: nobody else is spoken to at its socket; 0: whoever listens there.
        """
        self._name = name
        self._admin_path = admin_path
        self._pid = pid
        self._refused = refused
        self._before = before
        self._client: WireClient | None = None

    @property
    def name(self) -> str:
        """The member's name."""
        return self._name

    async def list_objects(self, *, deadline: Deadline) -> list[ObjectEntry]:
        """List what the member's token holds."""
        client = await self._connected(deadline)
        try:
            return await client.call(ListObjects(), timeout_s=seconds_left(deadline))
        except HsmRequestError as error:
            raise HsmError(
                f"the token of member {self._name} holds more objects than one answer can list: {error.message}",
                next_step="there is room for about 12,000 objects, a pair being two, those of others on the same token"
                " included: move what is not ours to another partition, or destroy Direct keys that nobody needs",
            ) from error

    async def generate_direct(self, key: HsmKey, label: str, *, may_leave: bool, deadline: Deadline) -> bytes:
        """Make a Direct key (``KeyDoor.generate_direct``)."""
        client = await self._connected(deadline)
        call = GenerateDirect(key, label, may_leave)
        await self._hand_over(client, call)
        with self._telling():
            return await client.call(call, timeout_s=seconds_left(deadline))

    async def destroy_direct(self, key: HsmKey, *, deadline: Deadline) -> None:
        """Destroy a Direct key (``KeyDoor.destroy_direct``)."""
        client = await self._connected(deadline)
        call = DestroyDirect(key)
        with self._telling(), _unapproved_is_left():
            await self._hand_over(client, call)
            await client.call(call, timeout_s=seconds_left(deadline))

    async def inspect_direct(self, key: HsmKey, *, may_leave: bool, deadline: Deadline) -> list[str]:
        """Name the attributes that changed (``KeyDoor.inspect_direct``)."""
        client = await self._connected(deadline)
        return await client.call(InspectDirect(key, may_leave), timeout_s=seconds_left(deadline))

    async def wrap_out(
        self, cka_id: bytes, kind: TransportKind, transport_id: bytes, *, deadline: Deadline
    ) -> bytes:
        """Wrap a key under the member's own transport key; under one of a backup set that takes an approval."""
        client = await self._connected(deadline)
        call = WrapOut(cka_id, kind, transport_id)
        if is_backup_transport(transport_id):
            await self._hand_over(client, call)
        return await client.call(call, timeout_s=seconds_left(deadline))

    async def generate_root(self, root_id: RootId, label: str, *, deadline: Deadline) -> KeyCheck:
        """Make a root KEK (``KeyDoor.generate_root``)."""
        client = await self._connected(deadline)
        call = GenerateRoot(root_id, label)
        await self._hand_over(client, call)
        with self._telling():
            return await client.call(call, timeout_s=seconds_left(deadline))

    async def destroy_root(self, root_id: RootId, *, deadline: Deadline) -> None:
        """Destroy a root KEK (``KeyDoor.destroy_root``)."""
        client = await self._connected(deadline)
        call = DestroyRoot(root_id)
        with self._telling(), _unapproved_is_left():
            await self._hand_over(client, call)
            await client.call(call, timeout_s=seconds_left(deadline))

    async def take_in_root(
        self,
        root_id: RootId,
        label: str,
        *,
        transport_id: bytes,
        wrapped: bytes,
        check: KeyCheck,
        deadline: Deadline,
    ) -> None:
        """Take in a root (``KeyDoor.take_in_root``)."""
        client = await self._connected(deadline)
        call = TakeInRoot(root_id, label, transport_id, wrapped, check.kind, check.value)
        with self._telling():
            await client.call(call, timeout_s=seconds_left(deadline))

    async def take_in_key(
        self,
        key: HsmKey,
        label: str,
        *,
        transport_id: bytes,
        wrapped: bytes,
        spki_der: bytes,
        deadline: Deadline,
    ) -> None:
        """Take in a Direct key (``KeyDoor.take_in_key``)."""
        client = await self._connected(deadline)
        call = TakeInKey(key, label, transport_id, wrapped, spki_der)
        with self._telling():
            await client.call(call, timeout_s=seconds_left(deadline))

    def close(self) -> None:
        """Drop the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _hand_over(self, client: WireClient, call: msgspec.Struct) -> None:
        if self._before is not None:
            await self._before(client, self._name, call)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except MemberReadOnlyError as error:
            self._refused(error.message)
            raise

    async def _connected(self, deadline: Deadline) -> WireClient:
        if deadline.has_passed():
            raise MemberDeadlineError(f"no time was left to ask member {self._name}")
        if self._client is None or self._client.is_lost:
            self._client = await WireClient.connect(self._admin_path, only_pid=self._pid)
        return self._client


@contextmanager
def _unapproved_is_left() -> Iterator[None]:
    """Make of a destruction that no approval covers one that failed: the key stays on that member, and it is said why."""
    try:
        yield
    except ApprovalRequiredError as error:
        raise HsmError(error.message, next_step=error.next_step) from error
