"""A member that comes back, made to hold what it should before it serves."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from strongroom.core import Clock, Deadline, EventSink, HsmIntegrityError, HsmKeyId, StorageError
from strongroom.hsm.cluster._key_door import Replica
from strongroom.hsm.cluster._reconcile import Drift, DriftKind, DriftReport, Records, compare
from strongroom.hsm.cluster._repairs import Allowed, Outcome, Repairs
from strongroom.hsm.cluster._turns import Turns
from strongroom.hsm.wire import ObjectEntry
from strongroom.storage import CopyState, HsmKeyCopyRecord, HsmKeyRecord, HsmKeyState, Store, Transaction

_LIST_LIMIT_S: Final = 10.0
_RECENT_S: Final = 3_600.0
"""Tombstones of so long ago are read at each look, so that none is missed which was made while a member was looked at."""


class Reconciler:
    """Compares members with the records and repairs what can be repaired without a person.

    Missing roots and keys are copied from a member that serves; what has a tombstone is destroyed; what is not
    the same key is reported, and replaced only on command. ``peers()`` are the members that serve. Belongs to
    the event loop of main.
    """

    def __init__(
        self,
        store: Store,
        peers: Callable[[], Sequence[Replica]],
        *,
        root_label: str,
        turns: Turns,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._store = store
        self._peers = peers
        self._root_label = root_label
        self._turns = turns
        self._events = events
        self._clock = clock
        self._seen: dict[str, Records] = {}
        self._proved: dict[str, set[int]] = {}  # by member, hashes of the records whose keys it showed last
        self.reports: dict[str, DriftReport] = {}
        """The last report on each member."""

    async def reconcile(self, member: Replica, allowed: Allowed = Allowed()) -> DriftReport:  # noqa: B008  # frozen
        """Look at a member and repair it; returns what was found and done.

        Raises HsmError when the member does not answer; what cannot be copied is in the report. A change that is
        made meanwhile may be missed: ``catch_up`` follows where that matters.
        """
        records = self._records(member.name)
        self._seen[member.name] = records
        outcome = await self._work_off(member, records, allowed)
        return self._report(member, outcome.drifts, len(outcome.proved))

    async def catch_up(self, member: Replica) -> None:
        """Make good what was made or destroyed since ``reconcile`` began, while no key is being made or destroyed.

        Whoever calls lets the member serve before awaiting anything else: then it holds every key that is
        acknowledged, or the report says which not. Raises HsmError when the member does not answer.
        """
        async with self._turns.alone():
            before = self._seen.pop(member.name, None)
            records = self._records(member.name)
            # Whatever is not among these was looked at: it is no stranger, and is not looked at again.
            part = records.changed_since({} if before is None else before.states())
            if not part.keys and not part.roots:
                return
            outcome = await self._work_off(member, part, Allowed(), is_part=True)
            report = self.reports.get(member.name)
            names = {record.key_id.hex() for record in part.keys}
            names |= {record.root_id.hex() for record in part.roots}
            kept = [] if report is None else [d for d in report.drifts if d.object_id not in names]
            proved = len(outcome.proved) + (0 if report is None else report.keys_proved)
            self._report(member, [*kept, *outcome.drifts], proved)

    def require_same_keys(self, report: DriftReport) -> None:
        """Raise HsmIntegrityError when a member holds another key under a name: then it must not serve."""
        different = [d for d in report.drifts if d.kind is DriftKind.DIFFERENT and d.is_open]
        if different:
            raise HsmIntegrityError(
                f"the member holds {len(different)} keys that are not the same as those of the others",
                next_step=different[0].next_step or "strongroom members reconcile",
            )

    def needing_others(self) -> list[str]:
        """Return the members that another one might help, or that still have to destroy what has a tombstone.

        Those whose last report says that something is missing, or in quarantine, which another may show to be well; and
        those that serve and were passed over when a key was made or destroyed, since they failed at that moment.
        """
        missing = {
            name
            for name, report in self.reports.items()
            if any(self._may_be_mended(drift) for drift in report.drifts)
        }
        return sorted(missing | self._passed_over())

    def quarantined(self, serving: Iterable[str]) -> set[bytes]:
        """Return the Direct keys that nobody may use, as one of these members does not hold what their record says.

        That is also so while a member that holds another key than the others still serves.
        """
        kinds = (DriftKind.QUARANTINED, DriftKind.DIFFERENT)
        reports = [self.reports[name] for name in serving if name in self.reports]
        drifts = [d for report in reports for d in report.drifts if d.kind in kinds and d.is_open]
        return {bytes.fromhex(drift.object_id) for drift in drifts}

    def _may_be_mended(self, drift: Drift) -> bool:
        if drift.kind is DriftKind.QUARANTINED:
            return True
        if drift.kind is not DriftKind.MISSING or not drift.is_open:
            return False
        if drift.what != "key":
            return True
        try:
            record = self._store.get_hsm_key(HsmKeyId(bytes.fromhex(drift.object_id)))
        except StorageError:  # its record cannot be read any more: the next look says so
            return True
        return record is not None and record.state is HsmKeyState.ACTIVE and record.may_leave

    def _passed_over(self) -> set[str]:
        store = self._store
        held = {(copy.key_id, copy.member) for copy in store.list_held_hsm_key_copies()}
        wanted = [key.key_id for key in store.list_hsm_keys(HsmKeyState.ACTIVE) if key.may_leave]
        not_swept = store.list_holders_of_destroyed_hsm_keys()
        return {
            member.name
            for member in self._peers()
            if member.name in not_swept or any((key_id, member.name) not in held for key_id in wanted)
        }

    async def _work_off(
        self, member: Replica, records: Records, allowed: Allowed, *, is_part: bool = False
    ) -> Outcome:
        inventory = await member.keys.list_objects(deadline=Deadline.after(self._clock, _LIST_LIMIT_S))
        found = compare(member.name, inventory, self._with_tombstones(records, inventory))
        if is_part:
            found.others.clear()
        peers = [peer for peer in self._peers() if peer.name != member.name]
        repairs = Repairs(
            member,
            peers,
            records,
            allowed=allowed,
            was_proved=lambda name, record: hash(record) in self._proved.get(name, ()),
            events=self._events,
            clock=self._clock,
        )
        try:
            await repairs.work_off(found, self._root_label)
        finally:
            await self._keep(member.name, repairs.outcome, records)
        proved = set(map(hash, repairs.outcome.proved))
        self._proved[member.name] = proved | self._proved.get(member.name, set()) if is_part else proved
        return repairs.outcome

    def _with_tombstones(self, records: Records, inventory: Sequence[ObjectEntry]) -> Records:
        """Add the tombstones of what a member lists and ``_records`` did not read: no destroyed key comes back unseen."""
        known = {record.key_id for record in records.keys}
        listed = {entry.cka_id for entry in inventory if not entry.is_ghost} - known
        return records._replace(keys=[*records.keys, *self._store.list_destroyed_hsm_keys_among(listed)])

    async def _keep(self, member: str, outcome: Outcome, records: Records) -> None:
        """Note which copies were proved, which are gone, and the canaries of keys that had none."""
        known = {copy.key_id for copy in records.copies if copy.member == member}
        copies = [
            *(HsmKeyCopyRecord(record.key_id, member, CopyState.GONE) for record in outcome.buried),
            *(
                HsmKeyCopyRecord(record.key_id, member, CopyState.HELD)
                for record in outcome.proved
                if record.key_id not in known
            ),
        ]
        without = {record.key_id for record in records.keys if record.canary is None}
        marked = [r for r in outcome.proved if r.canary is not None and r.key_id in without]
        if copies or marked:
            await self._store.write(lambda tx: _put(tx, copies, marked))

    def _report(self, member: Replica, drifts: list[Drift], proved: int) -> DriftReport:
        report = DriftReport(member.name, self._clock.now(), proved, drifts)
        for drift in report.drifts:
            if drift.is_open:
                self._events.emit(
                    "reconcile.drift",
                    member=report.member,
                    found=drift.kind.value,
                    what=drift.what,
                    object=drift.object_id,
                    cause=drift.cause,
                )
        self.reports[report.member] = report
        return report

    def _records(self, member: str) -> Records:
        """Read what concerns a member; tombstones that it has worked off are added as it lists their keys again."""
        store = self._store
        return Records(
            store.list_all_roots(),
            store.list_hsm_keys_concerning(member, since=self._clock.now() - _RECENT_S),
            store.list_held_hsm_key_copies(),
            store.list_transport_keys(),
            store.list_unreadable_hsm_keys(),
            frozenset(record.transport_id for record in store.list_backup_transport_keys()),
        )


def _put(
    transaction: Transaction, copies: Iterable[HsmKeyCopyRecord], marked: Iterable[HsmKeyRecord]
) -> None:
    for copy in copies:
        transaction.put_hsm_key_copy(copy)
    for record in marked:
        if transaction.get_hsm_key(record.key_id) == record._replace(canary=None):  # not destroyed meanwhile
            transaction.move_hsm_key(record, was=record.state)
