"""Reconcile in the running service: members that come back, keys that are made, and what operators ask."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmIntegrityError,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    MemberDeadlineError,
    MemberFailedError,
    StrongroomError,
)
from strongroom.hsm.cluster import (
    SERVING,
    Allowed,
    BeforeCall,
    Destroyed,
    DriftReport,
    KeyReplication,
    MemberState,
    Reconciler,
    RemoteMember,
    Replica,
    RootReplication,
    Rules,
    Turns,
    WorkerEntry,
)
from strongroom.runtime._helping import Helping
from strongroom.runtime._member_tests import MemberTests
from strongroom.runtime._replicas import Connected, replica_of
from strongroom.storage import HsmKeyRecord, Store, Transaction
from strongroom.wiring.cluster_setup import ROOT_LABEL
from strongroom.wiring.members_door import MembersAnswer, MembersRequest, MemberTest

_COME_BACK_LIMIT_S = 30.0
_LOOK_EVERY_S = 0.1


class Reconciling:
    """Keeps the keys of the members as the records say. Belongs to the event loop of main.

    ``entries()`` are the workers as last published. A member passes ``check`` and then ``catch_up`` before it
    serves. Members that lack something while they serve, since nobody could give it to them or they failed at that
    moment, are looked at again: when another one begins to serve, and ever more seldom meanwhile. All that serve are
    looked at once an hour or two, so that a key which was replaced there does not stay in use. A key that no member
    shows to be the one of its record is in quarantine: nobody uses it, and members serve everything else.
    """

    def __init__(
        self,
        store: Store,
        entries: Callable[[], Iterable[WorkerEntry]],
        *,
        rules: Rules,
        revive: Callable[[str], None],
        refused: Callable[[WorkerEntry, str], None],
        differs: Callable[[str, HsmError], None] = lambda _member, _error: None,
        changed: Callable[[], None] = lambda: None,
        before: BeforeCall | None = None,
        turn: Callable[[str], AbstractContextManager[object]] = nullcontext,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``revive`` has a member started again that was given up; ``refused`` is told who takes no changes.

        ``differs`` has a member that serves taken out of service, since it holds another key under some name, or lacks
        a root. ``changed`` has ``quarantined`` published. ``before`` hands members what officers approved. ``turn`` is had
        while a member is repaired, and raises HsmError while another process repairs it.
        """
        self._store = store
        self._entries = entries
        self._revive = revive
        self._refused = refused
        self._differs = differs
        self._before = before
        self._turn = turn
        self._may_replace: set[str] = set()
        self._events = events
        self._clock = clock
        self._tests = MemberTests(store, clock)
        self._connected: dict[tuple[str, str], Connected] = {}
        self._changed = changed
        self._quarantined: set[bytes] = set()
        self._known_serving: set[str] = set()
        turns = Turns()
        self._replication = KeyReplication(
            store, self.serving, rules=rules, turns=turns, events=events, clock=clock
        )
        self.roots = RootReplication(
            store, self.serving, label=ROOT_LABEL, rules=rules, turns=turns, events=events, clock=clock
        )
        self._reconciler = Reconciler(
            store, self.serving, root_label=ROOT_LABEL, turns=turns, events=events, clock=clock
        )
        self._helping = Helping(
            self._reconciler.needing_others, self.serving, self._look_again, events=events, clock=clock
        )

    async def start(self) -> None:
        """Undo what an earlier service was making when it ended, and begin to help. Call before a member is checked."""
        await self._replication.resolve_pending()
        await self.roots.resolve_pending()
        self._helping.start()

    def serving(self) -> list[Replica]:
        """Return the members that serve, in the order of their priority."""
        entries = list(self._entries())
        current = {(entry.member, entry.use_path) for entry in entries}
        for stale in self._connected.keys() - current:
            self._connected.pop(stale).close()
        serving = sorted((e for e in entries if e.state in SERVING), key=lambda entry: entry.priority)
        return [self._replica(entry) for entry in serving]

    async def check(self, member: RemoteMember) -> None:
        """Look at a member that wants to serve, and repair it.

        Raises HsmIntegrityError when it holds another key under a name, and HsmError when it does not answer.
        """
        with self._turn(member.name), replica_of(member, self._before) as replica:
            allowed = Allowed(replace_different=member.name in self._may_replace)
            self._may_replace.discard(member.name)
            self._reconciler.require_same_keys(await self._reconciler.reconcile(replica, allowed))

    async def catch_up(self, member: RemoteMember) -> None:
        """Make good what was changed since ``check``; then the member serves without another await."""
        with self._turn(member.name), replica_of(member, self._before) as replica:
            await self._reconciler.catch_up(replica)

    def must_come_back(self, member: str, error: HsmError) -> None:
        """Take a member out of service that lacks what it must hold: it is given that before it serves again."""
        self._differs(member, error)

    def member_serves(self) -> None:
        """Take notice that a member may have begun to serve: others may get from it what they lack."""
        serving = {entry.use_path for entry in self._entries() if entry.state in SERVING}
        if serving - self._known_serving:
            self._helping.soon()
        self._known_serving = serving

    def quarantined(self) -> list[bytes]:
        """Return the Direct keys that nobody may use, as things stand; what has changed since the last call is told."""
        serving = [entry.member for entry in self._entries() if entry.state in SERVING]
        if serving:
            before, self._quarantined = self._quarantined, self._reconciler.quarantined(serving)
            for key_id in sorted(self._quarantined - before):
                self._events.emit("key.quarantined", key=key_id.hex())
            for key_id in sorted(before - self._quarantined):
                self._events.emit("key.released", key=key_id.hex())
        return sorted(self._quarantined)

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
        """Make a Direct key (``KeyReplication.create``)."""
        return await self._replication.create(
            spec, usage, label, may_leave=may_leave, deadline=deadline, made_for=made_for
        )

    async def destroy(self, key_id: HsmKeyId, *, deadline: Deadline) -> Destroyed:
        """Destroy a Direct key (``KeyReplication.destroy``)."""
        return await self._replication.destroy(key_id, deadline=deadline)

    async def destroy_chosen(
        self, choose: Callable[[Transaction], Sequence[HsmKeyId]], *, deadline: Deadline
    ) -> list[Destroyed]:
        """Destroy Direct keys (``KeyReplication.destroy_chosen``)."""
        return await self._replication.destroy_chosen(choose, deadline=deadline)

    async def answer(self, request: MembersRequest) -> MembersAnswer:
        """Do what an operator asks of one member, or of all."""
        chosen = [entry for entry in self._entries() if request.member in {None, entry.member}]
        self._events.emit(
            f"members.{request.action}", member=request.member or "all", repair=str(request.repair).lower()
        )
        if request.action == "revive":
            return MembersAnswer(tests=[await self._revived(entry) for entry in chosen])
        if request.action == "test":
            return MembersAnswer(tests=[await self._test(entry) for entry in chosen])
        return await self._reconcile(chosen, Allowed(replace_different=request.repair))

    def close(self) -> None:
        """Drop every connection."""
        self._helping.close()
        for connected in self._connected.values():
            connected.close()

    async def _reconcile(self, entries: list[WorkerEntry], allowed: Allowed) -> MembersAnswer:
        answer = MembersAnswer(reports=[], failures={})
        for entry in entries:
            try:
                if entry.use_path:
                    report = await self._reconcile_serving(self._replica(entry), allowed)
                else:
                    report = await self._reconcile_absent(entry, allowed)
                answer.reports.append(report)
            except StrongroomError as error:
                answer.failures[entry.member] = error.message
        return answer

    async def _reconcile_absent(self, entry: WorkerEntry, allowed: Allowed) -> DriftReport:
        """Tell what was seen last; to repair, have the member started and looked at as it comes."""
        last = self._reconciler.reports.get(entry.member)
        if not allowed.replace_different and last is not None:
            return last
        reason = f"member {entry.member} is {entry.state}" + (f": {entry.reason}" if entry.reason else "")
        if not allowed.replace_different:
            raise MemberFailedError(reason)
        self._may_replace.add(entry.member)
        self._revive(entry.member)
        until = Deadline.after(self._clock, _COME_BACK_LIMIT_S)
        while not until.has_passed():
            await asyncio.sleep(_LOOK_EVERY_S)
            report = self._reconciler.reports.get(entry.member)
            if report is not None and report is not last:
                return report
        self._may_replace.discard(entry.member)  # nobody who was told that it failed expects it done some day
        raise MemberDeadlineError(f"{reason}; it did not come back within {_COME_BACK_LIMIT_S:.0f} s")

    async def _revived(self, entry: WorkerEntry) -> MemberTest:
        """Have a member that does not serve started again at once; returns its state once it serves, or after 30 s."""
        name, until = entry.member, Deadline.after(self._clock, _COME_BACK_LIMIT_S)
        if entry.state not in SERVING:
            self._revive(name)
        while entry.state not in SERVING and not until.has_passed():
            await asyncio.sleep(_LOOK_EVERY_S)
            entry = next(one for one in self._entries() if one.member == name)
        failure = "" if entry.state in SERVING else entry.reason or f"it is {entry.state}"
        return MemberTest(name, entry.state.value, [], failure)

    async def _test(self, entry: WorkerEntry) -> MemberTest:
        test = MemberTest(entry.member, entry.state.value, [])
        if not entry.use_path:
            return MemberTest(entry.member, entry.state.value, [], entry.reason or f"it is {entry.state}")
        try:
            await self._tests.run(self._replica(entry), test.steps)
        except StrongroomError as error:
            return MemberTest(entry.member, entry.state.value, test.steps, error.message)
        return test

    async def _reconcile_serving(self, replica: Replica, allowed: Allowed) -> DriftReport:
        """Look at a member that serves; one that holds another key under some name serves no longer."""
        with self._turn(replica.name):
            before = self._reconciler.reports.get(replica.name)
            report = await self._reconciler.reconcile(replica, allowed)
            if before is None or before.drifts or report.drifts:
                self._changed()  # nobody uses what is in quarantine, also while its member still serves
            try:
                self._reconciler.require_same_keys(report)
            except HsmIntegrityError as error:
                self._differs(replica.name, error)
            else:
                await self._reconciler.catch_up(replica)
            return report

    async def _look_again(self, replica: Replica) -> None:
        await self._reconcile_serving(replica, Allowed())

    def _replica(self, entry: WorkerEntry) -> Replica:
        key = (entry.member, entry.use_path)
        if key not in self._connected:
            self._connected[key] = Connected(entry, partial(self._refused, entry), self._before)
        return self._connected[key].replica(takes_creations=entry.state is not MemberState.READ_ONLY)
