"""Making Direct keys on several members at once.

    pending, durable → generated on one member, which gives its canary → copied to the others → each copy proved
        → active, durable

A key is acknowledged when it is active, on at least ``min_copies`` members. One that does not get so far is
undone: a tombstone is made durable, and the key destroyed wherever it may be. A service that was killed in
between finds the pending record at its start and does the same, so nothing is left that nobody knows of.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmKeyId,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    MemberFailedError,
    NoMemberError,
    random_bytes,
)
from strongroom.hsm.cluster._key_canary import make_key_canary
from strongroom.hsm.cluster._key_copies import KeyCopier
from strongroom.hsm.cluster._key_door import Replica
from strongroom.hsm.cluster._key_proof import prove_key
from strongroom.hsm.cluster._key_removal import Destroyed, KeyRemoval
from strongroom.hsm.cluster._turns import Turns
from strongroom.storage import CopyState, HsmKeyCopyRecord, HsmKeyRecord, HsmKeyState, Store, Transaction

_SOURCE_SHARE: Final = 0.5
"""The part of a creation's time that one member may take to generate and show it: so that another one can be tried."""
_SOURCE_LOOK_S: Final = 2.0
"""How long a member that generated a key may take to say whether it was its fault that the copies failed."""
_UNDO_AT_ONCE_S: Final = 0.05
"""How long a creation that failed waits for that before it is tried elsewhere, or beyond its deadline."""
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


class TooFewCopiesError(MemberFailedError):
    """A key could not be put on as many members as it must be on; it was undone."""


class _SourceLostError(MemberFailedError):
    """The member that had generated a key failed before there were enough copies: another one may do it."""


class Rules(NamedTuple):
    """How keys are kept."""

    min_copies: int
    """On how many members a key that may leave must be before it is acknowledged."""
    usable_within_s: float = 0.0
    """How long a member may take until a key that it made is found and works (``Profile.usable_within_s``)."""
    is_native: bool = False
    """Each member is a whole cluster of its vendor, which copies inside itself: one copy is enough."""

    def copies_of(self, *, may_leave: bool) -> int:
        """On how many members a key must be."""
        return self.min_copies if may_leave and not self.is_native else 1


class KeyReplication:
    """Makes and destroys Direct keys on the members that serve (``members()``, in order of preference).

    Creations and destructions may run side by side; ``turns`` lets a returning member see all of them or none.
    Belongs to the event loop of main, which alone makes and destroys keys.
    """

    def __init__(
        self,
        store: Store,
        members: Callable[[], Sequence[Replica]],
        *,
        rules: Rules,
        turns: Turns,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._store = store
        self._members = members
        self._rules = rules
        self._turns = turns
        self._events = events
        self._clock = clock
        self._removal = KeyRemoval(store, members, turns=turns, events=events, clock=clock)

    async def resolve_pending(self) -> list[HsmKeyId]:
        """Undo what was being made when an earlier service ended (``KeyRemoval.resolve_pending``)."""
        return await self._removal.resolve_pending()

    async def create(
        self,
        spec: KeySpec,
        usage: KeyUsage,
        label: str,
        *,
        may_leave: bool,
        deadline: Deadline,
        made_for: str = "",
    ) -> HsmKeyRecord:
        """Make a key; returns its record once it is active.

        ``made_for`` is kept in the record. Raises TooFewCopiesError when it could not be put on enough members, HsmRequestError when a member says
        that it makes no such key, NoMemberError when none could; nothing of it stays. A creation is tried on
        another member with another id, never again with the same: the first may have happened. So it is too when
        the member that generated the key fails before the key is copied.
        """
        failure: HsmError | None = None
        async with self._turns.change():
            tried: set[str] = set()
            while not deadline.has_passed():
                source = next((m for m in self._creating() if m.name not in tried), None)
                if source is None:
                    break
                tried.add(source.name)
                record = await self._begin(spec, usage, label, may_leave=may_leave, made_for=made_for)
                try:
                    return await self._make(record, source, deadline)
                except BaseException as error:
                    is_final = not isinstance(error, HsmError) or isinstance(
                        error, HsmRequestError | TooFewCopiesError
                    )
                    waits_s = max(deadline.remaining_s() if is_final else 0.0, _UNDO_AT_ONCE_S)
                    await self._removal.begin_to_undo(record, str(error), waits_s)
                    if is_final or not isinstance(error, HsmError):
                        raise
                    failure = error
        raise NoMemberError(
            "no member could make the key" + (f"; the last one said: {failure.message}" if failure else ""),
            next_step="see 'strongroom members list'",
        ) from failure

    async def destroy(self, key_id: HsmKeyId, *, deadline: Deadline) -> Destroyed:
        """Destroy a key on every member (``KeyRemoval.destroy``)."""
        return await self._removal.destroy(key_id, deadline=deadline)

    async def destroy_chosen(
        self, choose: Callable[[Transaction], Sequence[HsmKeyId]], *, deadline: Deadline
    ) -> list[Destroyed]:
        """Destroy the active keys that ``choose`` names (``KeyRemoval.destroy_chosen``)."""
        return await self._removal.destroy_chosen(choose, deadline=deadline)

    def _creating(self) -> list[Replica]:
        return [member for member in self._members() if member.takes_creations]

    async def _begin(
        self, spec: KeySpec, usage: KeyUsage, label: str, *, may_leave: bool, made_for: str
    ) -> HsmKeyRecord:
        key_id = HsmKeyId(random_bytes(16))
        now = self._clock.now()
        record = HsmKeyRecord(key_id, spec, usage, label, may_leave, HsmKeyState.PENDING, b"", now)
        record = record._replace(made_for=made_for)
        await self._store.write(lambda tx: tx.insert_hsm_key(record))
        return record

    async def _make(self, record: HsmKeyRecord, source: Replica, deadline: Deadline) -> HsmKeyRecord:
        share = Deadline.after(self._clock, deadline.remaining_s() * _SOURCE_SHARE)
        spki_der = await source.keys.generate_direct(
            record.key, record.label, may_leave=record.may_leave, deadline=share
        )
        record = record._replace(public_key=spki_der)
        await self._until_usable(record, source, share)
        record = record._replace(canary=await make_key_canary(record.key, source.use, deadline=share))
        held, failures = await self._copy(record, source, deadline)
        if failures and len(held) < self._rules.copies_of(may_leave=record.may_leave):
            await self._require_source(record, source, deadline)
        self._require_enough(record, held, failures)
        active = record._replace(state=HsmKeyState.ACTIVE)
        await self._store.write(lambda tx: _activate(tx, active, held))  # here it is acknowledged
        self._events.emit("key.created", key=record.key_id.hex(), spec=record.spec, members=", ".join(held))
        return active

    async def _copy(
        self, record: HsmKeyRecord, source: Replica, deadline: Deadline
    ) -> tuple[list[str], list[str]]:
        """Copy a new key to every member that can take it; returns who holds it, and what went wrong elsewhere."""
        if not record.may_leave or self._rules.is_native:
            return [source.name], []
        copier = KeyCopier(self._store.list_transport_keys(), clock=self._clock)

        async def copy_to(target: Replica) -> HsmError | None:
            try:
                await copier.copy_key(record, source=source, target=target, deadline=deadline)
            except HsmError as error:
                self._events.emit(
                    "key.not_copied", key=record.key_id.hex(), member=target.name, cause=error.message
                )
                return error
            return None

        targets = [member for member in self._creating() if member.name != source.name]
        outcomes = list(zip(targets, await asyncio.gather(*map(copy_to, targets)), strict=True))
        held = [source.name, *(target.name for target, error in outcomes if error is None)]
        return held, [f"{target.name}: {error.message}" for target, error in outcomes if error is not None]

    async def _require_source(self, record: HsmKeyRecord, source: Replica, deadline: Deadline) -> None:
        """Raise _SourceLostError when the copies failed and the member that was to give them no longer works."""
        if deadline.remaining_s() < _SOURCE_LOOK_S:
            return  # there is no time for another one either
        limit = Deadline.after(self._clock, _SOURCE_LOOK_S)
        try:
            await prove_key(record, source.use, None, deadline=limit)
            await source.keys.inspect_direct(record.key, may_leave=record.may_leave, deadline=limit)
        except MemberFailedError as error:
            raise _SourceLostError(f"member {source.name} was lost: {error.message}") from error

    def _require_enough(self, record: HsmKeyRecord, held: list[str], failures: list[str]) -> None:
        wanted = self._rules.copies_of(may_leave=record.may_leave)
        if len(held) < wanted:
            raise TooFewCopiesError(
                f"the key is on {len(held)} of the {wanted} members that it must be on"
                + (f" ({'; '.join(failures)})" if failures else ""),
                next_step="bring the other members back, or make a key that may not leave its member",
            )

    async def _until_usable(self, record: HsmKeyRecord, member: Replica, deadline: Deadline) -> None:
        """Wait until the member finds and uses what it made: some show a new key only after a while."""
        until = Deadline.after(self._clock, min(self._rules.usable_within_s, deadline.remaining_s()))
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await prove_key(record, member.use, None, deadline=deadline)
                return
            except MemberFailedError:
                if until.remaining_s() <= pause_s:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _activate(transaction: Transaction, record: HsmKeyRecord, held: Sequence[str]) -> None:
    transaction.move_hsm_key(record, was=HsmKeyState.PENDING)
    for member in held:
        transaction.put_hsm_key_copy(HsmKeyCopyRecord(record.key_id, member, CopyState.HELD))
