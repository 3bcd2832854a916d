"""All members together: their keepers, the table that is published, and the check of a member before it serves."""

import asyncio
from functools import partial
from pathlib import Path

from strongroom.config import Config, Home, MemberConfig
from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    MemberFailedError,
    PinRefusedError,
    RootId,
    StrongroomError,
)
from strongroom.hsm.cluster import (
    SERVING,
    Canary,
    ClusterTable,
    MemberState,
    RemoteMember,
    Rules,
    Suspicion,
    WorkerEntry,
    prove_same_root,
    prove_use,
    quarantine_of,
)
from strongroom.runtime._control import ControlServer
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._custody_telling import WorkerDoor
from strongroom.runtime._keeper import MemberKeeper
from strongroom.runtime._pin_changing import PinChanging
from strongroom.runtime._reconciling import Reconciling
from strongroom.runtime._worker_starts import WorkerStarts
from strongroom.storage import RootRecord, Store
from strongroom.wiring.exposition import supervisor_metrics
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.members_door import MembersAnswer, MembersRequest
from strongroom.wiring.repair_turns import repair_by_service
from strongroom.wiring.workers import admin_path_beside

_CHECK_LIMIT_S = 20.0
_PEER_LIMIT_S = 5.0
_FULLY_FIT = SERVING - {MemberState.DEGRADED}


class Supervisor:
    """Starts and keeps a worker for each member, and publishes what state they are in."""

    def __init__(
        self,
        config: Config,
        home: Home,
        roots: list[RootRecord],
        *,
        events: EventSink,
        clock: Clock,
        pins: PinChanging | None = None,
    ) -> None:
        """``pins`` gives each worker its PIN, once what is to be done about the PIN was done."""
        self._home = home
        self._starts = WorkerStarts(
            home,
            pins or PinChanging(home, config.pins, events=events, clock=clock),
            # All roots of a cluster have one; a worker refuses every other.
            wrap_algorithm=roots[-1].wrap_algorithm if roots else None,
            approved_only=config.policy.fips,
            events=events,
        )
        self._first_roots = roots
        self._store: Store | None = None
        self._custody: CustodyKeeping | None = None
        self._events = events
        self._clock = clock
        self._version = 0
        self._did_nobody_serve = True
        self._changed = asyncio.Event()
        self.control = ControlServer(self._suspect, self._metrics, self._answer)
        self._reconciling: Reconciling | None = None
        self._keepers = {member.name: self._keeper(member) for member in config.cluster.members}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reviving: set[str] = set()  # members that are about to be started again

    async def reconcile_by(
        self, store: Store, rules: Rules, custody: CustodyKeeping | None = None
    ) -> Reconciling:
        """Have members compared with the records before they serve; returns what also makes and destroys keys.

        ``custody`` carries to them what officers decided; None where there are none.

        Call before ``start``. Raises StorageError.
        """
        self._store, self._custody = store, custody
        self._reconciling = Reconciling(
            store,
            lambda: [keeper.entry for keeper in self._keepers.values()],
            rules=rules,
            revive=self._revive,
            refused=self._refused_write,
            differs=self._holds_other_keys,
            changed=self._publish,
            before=None if custody is None else custody.before,
            turn=partial(repair_by_service, self._home),
            events=self._events,
            clock=self._clock,
        )
        await self._reconciling.start()
        return self._reconciling

    async def start(self) -> None:
        """Open the control socket and start every member. Raises ControlError and HomeError."""
        await self.restore_sockets()
        if self._custody is not None:
            self._custody.start(self._doors)
        self._tasks = {name: asyncio.ensure_future(keeper.run()) for name, keeper in self._keepers.items()}

    async def restore_sockets(self) -> Path:
        """See that the control socket and its folder are there, since somebody may clean up; returns its path."""
        path = restore_runtime_folder(self._home) / "control"
        await self.control.listen(path)
        return path

    async def first_outcomes(self) -> list[StrongroomError]:
        """Wait until one member serves or each of them failed once; returns the failures if none serves.

        A member that hangs at its start does not hold up those that work.
        """
        while True:
            changed = self._changed
            keepers = self._keepers.values()
            if any(keeper.entry.state in SERVING for keeper in keepers):
                return []
            if all(keeper.first_outcome.is_set() for keeper in keepers):
                return [keeper.failure for keeper in keepers if keeper.failure is not None]
            await changed.wait()

    async def stop(self) -> None:
        """End every worker and close the control socket."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._reconciling is not None:
            self._reconciling.close()
        if self._custody is not None:
            self._custody.close()
        self.control.close()

    def _keeper(self, member: MemberConfig) -> MemberKeeper:
        return MemberKeeper(
            member.name,
            start=partial(self._starts.start, member),
            check=self._check,
            prove=self._prove,
            changed=self._publish,
            events=self._events,
            clock=self._clock,
            priority=member.priority,
            is_needed=self._nobody_serves,
        )

    async def _check(self, member: RemoteMember) -> None:
        """Prove that a member holds every root and works with it; then compare it with one that serves.

        Raises HsmIntegrityError when it holds another key, HsmKeyNotFoundError when it holds none, and other
        HsmErrors when it does not work.
        """
        if self._custody is not None:
            await self._custody.introduce(_door_of(member))
        roots = self._roots()  # one that is published from here on is given to it, and proved, by catch_up
        if self._reconciling is not None:
            await self._reconciling.check(member)
        await self._prove_these(member, roots, Deadline.after(self._clock, _CHECK_LIMIT_S))
        keepers = self._keepers.values()
        peer = next((keeper for keeper in keepers if keeper.entry.state in _FULLY_FIT), None)
        if peer is not None:
            await self._compare(member, peer)
        if self._reconciling is not None:
            await self._reconciling.catch_up(member)  # the last: it serves before anything else is awaited

    async def _prove(self, member: RemoteMember, deadline: Deadline) -> None:
        await self._prove_these(member, self._roots(), deadline)

    async def _prove_these(self, member: RemoteMember, roots: list[RootRecord], deadline: Deadline) -> None:
        for root in roots:
            canary = Canary(root.canary, root.canary_digest)
            try:
                await prove_use(RootId(root.root_id), canary, member, deadline=deadline)
            except HsmKeyNotFoundError:
                if self._is_in_use(root):  # else it was destroyed while it was proved
                    raise

    def _doors(self) -> list[WorkerDoor]:
        """Every worker that runs."""
        members = [keeper.member for keeper in self._keepers.values()]
        return [_door_of(member) for member in members if member is not None]

    def _roots(self) -> list[RootRecord]:
        """Return the roots that every member has to hold now: rotations change them."""
        return self._first_roots if self._store is None else self._store.list_roots()

    def _is_in_use(self, root: RootRecord) -> bool:
        return any(one.root_id == root.root_id for one in self._roots())

    async def _compare(self, member: RemoteMember, keeper: MemberKeeper) -> None:
        """Challenge a member that has just proved itself and a peer: where they differ, the peer has to prove itself.

        That the peer fails otherwise says nothing about the member, and is found out where the peer is watched.
        """
        peer, generation = keeper.member, keeper.entry.generation
        if peer is None:
            return
        deadline = Deadline.after(self._clock, _PEER_LIMIT_S)
        try:
            for root in self._roots():
                await prove_same_root(RootId(root.root_id), member, peer, deadline=deadline)
        except HsmIntegrityError as error:
            self._events.emit("member.differs", member=keeper.name, peer=member.name, cause=error.message)
            keeper.suspect(generation, error.message, "failure")
        except HsmError:
            return

    def _suspect(self, suspicion: Suspicion) -> None:
        keeper = self._keepers.get(suspicion.member)
        if keeper is None:
            return
        others = (other for other in self._keepers.values() if other is not keeper)
        if suspicion.kind == "slow" and not any(other.entry.state in _FULLY_FIT for other in others):
            return  # slow is better than none
        keeper.suspect(suspicion.generation, suspicion.reason, suspicion.kind)

    async def renew(self, name: str, reason: str) -> StrongroomError | None:
        """Have another worker of a member take over without an outage; returns why it did not."""
        return await self._keepers[name].renew(reason)

    def serves(self, name: str) -> bool:
        """Whether a member serves at this moment."""
        return self._keepers[name].entry.state in SERVING

    def _nobody_serves(self) -> bool:
        return not any(keeper.entry.state in SERVING for keeper in self._keepers.values())

    async def _answer(self, request: MembersRequest) -> MembersAnswer:
        if self._reconciling is None:
            raise MemberFailedError("members are not compared with any records")
        if request.member is not None and request.member not in self._keepers:
            raise MemberFailedError(
                f"there is no member {request.member!r}",
                next_step=f"the members are: {', '.join(self._keepers)}",
            )
        return await self._reconciling.answer(request)

    def _refused_write(self, entry: WorkerEntry, reason: str) -> None:
        self._keepers[entry.member].refuses_writes(entry.generation, reason)

    def _holds_other_keys(self, member: str, error: HsmError) -> None:
        self._keepers[member].condemn(error)

    def _revive(self, name: str) -> None:
        """Start a member again that was given up, or let it try without another pause."""
        keeper = self._keepers[name]
        keeper.hurry()
        is_given_up = keeper.entry.state is MemberState.STOPPED
        if is_given_up and not isinstance(keeper.failure, PinRefusedError) and name not in self._reviving:
            self._reviving.add(name)
            self._tasks[name] = asyncio.ensure_future(self._run_again(name, self._tasks[name]))

    async def _run_again(self, name: str, before: asyncio.Task[None]) -> None:
        """Keep a member again, once whoever gave it up has ended its worker: two at a time would kill each other's."""
        await asyncio.gather(before, return_exceptions=True)
        self._reviving.discard(name)
        await self._keepers[name].run()

    def _metrics(self) -> str:
        return supervisor_metrics({name: keeper.counts for name, keeper in self._keepers.items()})

    def _publish(self) -> None:
        self._version += 1
        entries = [keeper.entry for keeper in self._keepers.values()]
        nobody_serves = self._nobody_serves()
        if nobody_serves and not self._did_nobody_serve:
            for keeper in self._keepers.values():
                keeper.hurry()
        self._did_nobody_serve = nobody_serves
        quarantined = [] if self._reconciling is None else self._reconciling.quarantined()
        self.control.publish(ClusterTable(self._version, entries, quarantine_of(quarantined)))
        if self._reconciling is not None:
            self._reconciling.member_serves()
        self._changed.set()
        self._changed = asyncio.Event()


def _door_of(member: RemoteMember) -> WorkerDoor:
    return WorkerDoor(member.name, admin_path_beside(member.use_path), member.pid)
