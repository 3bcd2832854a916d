"""Making a root on several members at once, and destroying one for good.

    pending, durable → generated on one member, which seals a canary under it → copied to the others → each copy proved
        → current, durable

The same order as that of Direct keys (``_key_replication``), for the same reason: whoever is killed in between leaves a
pending record, and the next start undoes it. A root that is not published has nothing under it, so it can be destroyed
and another one made. Every copy has the attributes of the first one: the token makes it by its one template of roots,
and reads it back.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    NoMemberError,
    RootId,
    WrapAlgorithm,
    random_bytes,
)
from strongroom.hsm.cluster._key_copies import KeyCopier
from strongroom.hsm.cluster._key_door import Replica
from strongroom.hsm.cluster._key_replication import Rules, TooFewCopiesError
from strongroom.hsm.cluster._proof import Canary, make_canary, prove_canary, prove_use
from strongroom.hsm.cluster._turns import Turns
from strongroom.hsm.wire import KeyCheck
from strongroom.storage import RootRecord, RootState, Store, Transaction

_SOURCE_SHARE: Final = 0.5
"""The part of the time that one member may take to generate a root, so that another one can be tried."""
_UNDO_LIMIT_S: Final = 10.0
_STEP_LIMIT_S: Final = 10.0


class MadeRootCopies(NamedTuple):
    """A root that was published."""

    record: RootRecord
    held_by: tuple[str, ...]
    lacking: tuple[str, ...]
    """Members that serve and did not get it: they must not go on serving before they have it."""


class RootReplication:
    """Makes and destroys roots on the members that serve (``members()``, in order of preference).

    ``turns`` lets a returning member see all of a change or none. Belongs to the event loop of main.
    """

    def __init__(
        self,
        store: Store,
        members: Callable[[], Sequence[Replica]],
        *,
        label: str,
        rules: Rules,
        turns: Turns,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``label`` is what every root is labelled with on the tokens."""
        self._store = store
        self._members = members
        self._label = label
        self._rules = rules
        self._turns = turns
        self._events = events
        self._clock = clock

    @property
    def n_wanted(self) -> int:
        """On how many members a root must be."""
        return self._rules.copies_of(may_leave=True)

    async def resolve_pending(self) -> list[RootRecord]:
        """Undo what was being made when an earlier service ended. Returns what it was.

        Only the tombstones are made here; members are told as they are reconciled.
        """
        pending = [root for root in self._store.list_all_roots() if root.state is RootState.PENDING]
        for record in pending:
            await self._entomb(record, RootState.PENDING)
            self._events.emit("root.undone", root=record.root_id.hex(), cause="the service ended meanwhile")
        return pending

    async def make(
        self, publish: Callable[[Transaction, RootRecord], None], *, deadline: Deadline
    ) -> MadeRootCopies:
        """Make a root that wraps as the current one does, and have it published once enough members proved it.

        ``publish`` is called in the transaction that makes it the current one, with its record. Raises
        TooFewCopiesError when it could not be put on enough members, HsmRequestError when the members cannot copy
        roots or one of them takes none at the moment, NoMemberError when none could make one; nothing of it stays.
        """
        failure: HsmError | None = None
        tried: set[str] = set()
        async with self._turns.change():
            self._require_copies_can_be_made()
            while not deadline.has_passed():
                source = next((m for m in self._members() if m.name not in tried), None)
                if source is None:
                    break
                tried.add(source.name)
                record = await self._begin()
                try:
                    return await self._make(record, source, publish, deadline)
                except BaseException as error:
                    await self._undo(record, error)
                    if not isinstance(error, HsmError) or isinstance(
                        error, HsmRequestError | TooFewCopiesError
                    ):
                        raise
                    failure = error
        raise NoMemberError(
            "no member could make the root" + (f"; the last one said: {failure.message}" if failure else ""),
            next_step="see 'strongroom members list'",
        ) from failure

    async def prove(self, record: RootRecord) -> list[str]:
        """Have every member that serves prove a root; returns who did. Raises HsmIntegrityError for another key."""
        canary = Canary(record.canary, record.canary_digest)
        proved = []
        for member in self._members():
            try:
                await prove_use(RootId(record.root_id), canary, member.use, deadline=self._step())
            except HsmRequestError:
                raise
            except HsmError as error:
                self._events.emit("root.not_proved", member=member.name, cause=error.message)
            else:
                proved.append(member.name)
        return proved

    async def destroy(self, entomb: Callable[[Transaction], Sequence[RootRecord]]) -> Sequence[RootRecord]:
        """Have ``entomb`` make tombstones of roots in a transaction, while no member is between two looks.

        From then on they are gone for good; ``sweep`` destroys each where it is. Raises what ``entomb`` raises, and
        StorageError; then nothing has happened.
        """
        async with self._turns.change():
            buried = await self._store.write(entomb)
        for record in buried:
            self._events.emit("root.destroyed", root=record.root_id.hex())
        return buried

    async def sweep(self, record: RootRecord) -> tuple[str, ...]:
        """Destroy a root with a tombstone on every member that serves; returns where it may still be.

        Members that are away are told when they come back (``Reconciler``).
        """

        async def destroy(member: Replica) -> bool:
            try:
                await member.keys.destroy_root(RootId(record.root_id), deadline=self._step())
            except HsmKeyNotFoundError:
                return True
            except HsmError as error:
                self._events.emit(
                    "root.not_destroyed_there",
                    root=record.root_id.hex(),
                    member=member.name,
                    cause=error.message,
                )
                return False
            return True

        members = self._members()
        outcomes = await asyncio.gather(*map(destroy, members))
        return tuple(member.name for member, is_gone in zip(members, outcomes, strict=True) if not is_gone)

    def _require_copies_can_be_made(self) -> None:
        members = self._members()
        refusing = [member.name for member in members if not member.takes_creations]
        if refusing:
            raise HsmRequestError(
                f"member {refusing[0]} takes no keys at the moment, and would lack the new root while it serves",
                next_step="wait until it does (strongroom members list), or take it out of the cluster",
            )
        if self._rules.is_native or self._algorithm is WrapAlgorithm.HSM_AES_GCM:
            return
        raise HsmRequestError(
            f"the cluster wraps by {self._algorithm.name}: roots of it do not travel, since no HSM is known that needs it and"
            " keeps keys from leaving under any other key",
            next_step="such a cluster keeps its root; see docs/root-rotation.md",
        )

    @property
    def _algorithm(self) -> WrapAlgorithm:
        return WrapAlgorithm(self._store.get_current_root().wrap_algorithm)

    async def _begin(self) -> RootRecord:
        root_id, now = RootId(random_bytes(16)), self._clock.now()
        record = RootRecord(root_id, int(self._algorithm), "", "", b"", b"", now, RootState.PENDING)
        await self._store.write(lambda tx: tx.insert_root(record))
        return record

    async def _make(
        self,
        record: RootRecord,
        source: Replica,
        publish: Callable[[Transaction, RootRecord], None],
        deadline: Deadline,
    ) -> MadeRootCopies:
        root_id = RootId(record.root_id)
        share = Deadline.after(self._clock, deadline.remaining_s() * _SOURCE_SHARE)
        check = await source.keys.generate_root(root_id, self._label, deadline=share)
        canary = await make_canary(root_id, source.use, algorithm=self._algorithm, deadline=share)
        await prove_use(root_id, canary, source.use, deadline=share)
        record = record._replace(
            check_kind=check.kind,
            check_value=check.value,
            canary=canary.blob,
            canary_digest=canary.digest,
            state=RootState.CURRENT,
        )
        held, failures = await self._copy(root_id, check, canary, source, deadline)
        self._require_enough(held, failures)
        await self._store.write(lambda tx: publish(tx, record))  # here, and not before, it is the current one
        lacking = tuple(member.name for member in self._members() if member.name not in held)
        self._events.emit("root.published", root=root_id.hex(), members=", ".join(held))
        return MadeRootCopies(record, tuple(held), lacking)

    async def _copy(
        self, root_id: RootId, check: KeyCheck, canary: Canary, source: Replica, deadline: Deadline
    ) -> tuple[list[str], list[str]]:
        """Copy a new root to every other member that serves; returns who holds it, and what went wrong elsewhere."""
        copier = KeyCopier(self._store.list_transport_keys(), clock=self._clock)

        async def copy_to(target: Replica) -> HsmError | None:
            try:
                await copier.copy_root(
                    root_id, self._label, check, source=source, target=target, deadline=deadline
                )
                await prove_canary(root_id, canary, target.use, deadline=self._step(deadline))
            except HsmError as error:
                self._events.emit(
                    "root.not_copied", root=root_id.hex(), member=target.name, cause=error.message
                )
                if isinstance(error, HsmIntegrityError):  # another key has the new root's name there
                    with contextlib.suppress(HsmError):
                        await target.keys.destroy_root(root_id, deadline=self._step(deadline))
                return error
            return None

        targets = [] if self._rules.is_native else [m for m in self._members() if m.name != source.name]
        outcomes = list(zip(targets, await asyncio.gather(*map(copy_to, targets)), strict=True))
        held = [source.name, *(target.name for target, error in outcomes if error is None)]
        return held, [f"{target.name}: {error.message}" for target, error in outcomes if error is not None]

    def _require_enough(self, held: Sequence[str], failures: Sequence[str]) -> None:
        if len(held) < self.n_wanted:
            raise TooFewCopiesError(
                f"the new root is on {len(held)} of the {self.n_wanted} members that it must be on"
                + (f" ({'; '.join(failures)})" if failures else ""),
                next_step="bring the other members back: strongroom members list",
            )

    async def _undo(self, record: RootRecord, cause: BaseException) -> None:
        """Make the tombstone, then destroy what may be there. Whatever fails here is done at a later start."""
        try:
            tombstone = await asyncio.shield(self._entomb(record, RootState.PENDING))
            async with asyncio.timeout(_UNDO_LIMIT_S):
                await self.sweep(tombstone)
        except Exception as error:  # noqa: BLE001  # the failure that is on its way says more
            self._events.emit("root.undo_failed", root=record.root_id.hex(), cause=str(error))
        else:
            self._events.emit("root.undone", root=record.root_id.hex(), cause=str(cause))

    async def _entomb(self, record: RootRecord, was: RootState) -> RootRecord:
        tombstone = record._replace(state=RootState.DESTROYED, destroyed_at=self._clock.now())
        await self._store.write(lambda tx: tx.move_root(tombstone, was=was))
        return tombstone

    def _step(self, deadline: Deadline | None = None) -> Deadline:
        left_s = _STEP_LIMIT_S if deadline is None else min(deadline.remaining_s(), _STEP_LIMIT_S)
        return Deadline.after(self._clock, max(left_s, 0.0))
