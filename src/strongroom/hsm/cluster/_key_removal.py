"""Destroying Direct keys for good on every member, and undoing what was not made to its end.

Destroying begins with the tombstone: from then on the key is gone, whatever happens. Members that are away
when it is destroyed are told when they come back (``Reconciler``).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from strongroom.core import Clock, Deadline, EventSink, HsmError, HsmKeyId, HsmKeyNotFoundError
from strongroom.hsm.cluster._key_copies import KeyCopier
from strongroom.hsm.cluster._key_door import Replica
from strongroom.hsm.cluster._turns import Turns
from strongroom.storage import CopyState, HsmKeyCopyRecord, HsmKeyRecord, HsmKeyState, Store, Transaction

_UNDO_LIMIT_S: Final = 10.0


class Destroyed(NamedTuple):
    """What became of a destruction. The key is gone for good either way."""

    record: HsmKeyRecord
    left_on: tuple[str, ...]
    """Members that may still hold it: away, or failing. It is destroyed there when they come back."""


class KeyRemoval:
    """Destroys Direct keys on the members that serve (``members()``), as one of the changes of ``turns``.

    Belongs to the event loop of main.
    """

    def __init__(
        self,
        store: Store,
        members: Callable[[], Sequence[Replica]],
        *,
        turns: Turns,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._store = store
        self._members = members
        self._turns = turns
        self._events = events
        self._clock = clock
        self._undoing: set[asyncio.Future[None]] = set()

    async def resolve_pending(self) -> list[HsmKeyId]:
        """Undo what was being made when an earlier service ended: nobody was told of it. Returns what it was.

        Only the tombstones are made here; members are told as they are reconciled.
        """
        pending = self._store.list_hsm_keys(HsmKeyState.PENDING)
        for record in pending:
            await self._entomb(record)
            self._events.emit(
                "key.undone", key=record.key_id.hex(), cause="the service ended while it was made"
            )
        return [record.key_id for record in pending]

    async def destroy(self, key_id: HsmKeyId, *, deadline: Deadline) -> Destroyed:
        """Destroy a key on every member. Raises HsmKeyNotFoundError when there is no such key, and StorageError.

        One that is destroyed already is destroyed again wherever it may be left.
        """
        async with self._turns.change():
            record = self._store.get_hsm_key(key_id)
            if record is None or record.state is HsmKeyState.PENDING:
                raise HsmKeyNotFoundError(f"there is no Direct key {key_id.hex()}")
            if record.state is not HsmKeyState.DESTROYED:
                record = await self._entomb(record)  # here, and not before, the key is gone for good
                self._events.emit("key.destroyed", key=key_id.hex(), spec=record.spec)
            return Destroyed(record, await self._sweep(record, deadline))

    async def destroy_chosen(
        self, choose: Callable[[Transaction], Sequence[HsmKeyId]], *, deadline: Deadline
    ) -> list[Destroyed]:
        """Destroy the active keys that ``choose`` names, for whose tombstones it is asked within their transaction.

        So what it changes itself is durable together with them. Raises what it raises, and StorageError; then nothing
        has happened.
        """
        async with self._turns.change():
            now = self._clock.now()
            buried = await self._store.write(lambda tx: _bury(tx, choose(tx), now))
            for record in buried:
                self._events.emit("key.destroyed", key=record.key_id.hex(), spec=record.spec)
            return [Destroyed(record, await self._sweep(record, deadline)) for record in buried]

    async def begin_to_undo(self, record: HsmKeyRecord, cause: str, waits_s: float) -> None:
        """Undo a creation; what takes longer goes on alone: a member that hangs costs the caller no time."""
        end_turn = self._turns.another()  # a returning member sees the tombstone, or is swept
        undoing = asyncio.ensure_future(self._undo(record, cause))
        undoing.add_done_callback(lambda _undoing: end_turn())
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undoing.discard)
        await asyncio.wait({undoing}, timeout=waits_s)
        if undoing.done():
            undoing.result()

    async def _undo(self, record: HsmKeyRecord, cause: str) -> None:
        """Make the tombstone, then destroy what may be there. Whatever fails here is done at a later start."""
        try:
            await self._entomb(record)
            await self._sweep(record, Deadline.after(self._clock, _UNDO_LIMIT_S))
        except Exception as error:  # noqa: BLE001  # the failure that is on its way says more
            self._events.emit("key.undo_failed", key=record.key_id.hex(), cause=str(error))
        else:
            self._events.emit("key.undone", key=record.key_id.hex(), cause=cause)

    async def _entomb(self, record: HsmKeyRecord) -> HsmKeyRecord:
        tombstone = record._replace(state=HsmKeyState.DESTROYED, destroyed_at=self._clock.now())
        await self._store.write(lambda tx: tx.move_hsm_key(tombstone, was=record.state))
        return tombstone

    async def _sweep(self, record: HsmKeyRecord, deadline: Deadline) -> tuple[str, ...]:
        """Destroy a key on every member that serves; returns where it may still be."""
        members = self._members()
        copier = KeyCopier((), clock=self._clock)

        async def destroy(member: Replica) -> bool:
            try:
                await copier.destroy_key(record, member, deadline=deadline)
            except HsmError as error:
                self._events.emit(
                    "key.not_destroyed", key=record.key_id.hex(), member=member.name, cause=error.message
                )
                await self._note(record, member, CopyState.HELD)  # as far as anybody knows: it is told again
                return False
            await self._note(record, member, CopyState.GONE)
            return True

        done = await asyncio.gather(*map(destroy, members))
        copies = self._store.list_hsm_key_copies(record.key_id)
        left = {copy.member for copy in copies if copy.state is CopyState.HELD}
        left |= {member.name for member, is_done in zip(members, done, strict=True) if not is_done}
        return tuple(sorted(left))

    async def _note(self, record: HsmKeyRecord, member: Replica, state: CopyState) -> None:
        copy = HsmKeyCopyRecord(record.key_id, member.name, state)
        await self._store.write(lambda tx: tx.put_hsm_key_copy(copy))


def _bury(transaction: Transaction, chosen: Sequence[HsmKeyId], now: float) -> list[HsmKeyRecord]:
    buried = []
    for key_id in chosen:
        record = transaction.get_hsm_key(key_id)
        if record is not None and record.state is HsmKeyState.ACTIVE:
            tombstone = record._replace(state=HsmKeyState.DESTROYED, destroyed_at=now)
            transaction.move_hsm_key(tombstone, was=HsmKeyState.ACTIVE)
            buried.append(tombstone)
    return buried
