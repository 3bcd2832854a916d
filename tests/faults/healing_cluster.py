"""Three members behind fault shims as a cluster that heals itself: keepers, routing, replication and reconcile.

What main and an API process do in a service is done here in one process, with the real parts: ``MemberKeeper`` keeps
real worker processes, ``HsmCluster`` routes, ``KeyReplication`` and ``Reconciler`` work on a real store. The workers
take admin verbs, as those of ``init`` do, since there is no approval to be had here.
"""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from faults.shimmed_members import PIN, ShimmedMember
from faults.shimmed_setup import Joined
from fresh_database import fresh_database
from strongroom.core import Deadline, HsmError, MemberFailedError, RootId, Secret, SystemClock, random_bytes
from strongroom.hsm.cluster import (
    SERVING,
    Canary,
    ClusterTable,
    DriftReport,
    HsmCluster,
    KeyReplication,
    MemberState,
    Reconciler,
    RemoteKeys,
    RemoteMember,
    Replica,
    Rules,
    Suspicion,
    Turns,
    WorkerEntry,
    prove_use,
)
from strongroom.runtime import _restart_pauses
from strongroom.runtime._keeper import MemberKeeper
from strongroom.runtime._watch import StartedWorker
from strongroom.storage import Store, Transaction
from strongroom.testing import RecordingEvents
from strongroom.wiring.bootstrap import MemberBootstrap
from strongroom.wiring.pin_refusals import refuse_known_pin

CLOCK = SystemClock()
ATTEMPT_S = 0.5
_LONGEST_PAUSE_S = 0.2
_LOOK_EVERY_S = 0.02


def soon(seconds: float = 5.0) -> Deadline:
    return Deadline.after(CLOCK, seconds)


@contextmanager
def impatient_keepers() -> Iterator[None]:
    """Between two starts of a worker a keeper takes up to 15 s; where a test loses members all the time, that is all
    that would be seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_restart_pauses, "_LONGEST_PAUSE_S", _LONGEST_PAUSE_S)
        yield


class TimedStore:
    """A store that says how long its writes took: that the disk has other things to do is no fault of the cluster."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.took_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, work: Any) -> Any:
        began = time.monotonic()
        try:
            return await self._store.write(work)
        finally:
            self.took_s += time.monotonic() - began


class HealingCluster:
    """The cluster. ``begin`` gives it an empty database; its workers live on. Everything belongs to one event loop."""

    def __init__(self, members: list[ShimmedMember], joined: Joined, folder: Path) -> None:
        self.members = {member.name: member for member in members}
        self.joined = joined
        self.events = RecordingEvents()
        self.away: set[str] = set()
        """Members of which no worker can be started."""
        self.cluster = HsmCluster(clock=CLOCK, events=self.events, attempt_s=ATTEMPT_S, report=self._suspect)
        self._folder = folder
        fresh_database(folder / "empty.db")
        self._empty = (folder / "empty.db").read_bytes()
        self._opened: Store | None = None
        self._version = 0
        self.n_starts = 0
        self._keepers: dict[str, MemberKeeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._bootstraps: dict[str, MemberBootstrap] = {}  # of the last worker that was started
        self._replicas: dict[str, Replica] = {}  # by admin path

    async def begin(self) -> None:
        """Begin with records of nothing but the root and the transport keys, and see that every member is kept."""
        self._path = self._folder / f"{random_bytes(6).hex()}.db"
        self._path.write_bytes(self._empty)
        self._opened = opened = Store.open(self._path)
        self.store = store = TimedStore(opened)
        turns: Any = Turns()
        self.reconciler = Reconciler(
            store, self.replicas, root_label="root", turns=turns, events=self.events, clock=CLOCK
        )
        self.replication = KeyReplication(
            store, self.replicas, rules=Rules(min_copies=2), turns=turns, events=self.events, clock=CLOCK
        )
        await store.write(self._fill)
        self.events.events.clear()
        for name in self.members:
            self.keep(name)
        while not all(map(self.is_serving, self.members)):
            await asyncio.sleep(_LOOK_EVERY_S)

    def _fill(self, transaction: Transaction) -> None:
        transaction.insert_root(self.joined.root)
        for record in self.joined.transports:
            transaction.insert_transport_key(record)

    def end(self) -> None:
        """Close the database and remove it."""
        if self._opened is None:
            return
        self._opened.close()
        self._opened = None
        for path in self._folder.glob(f"{self._path.name}*"):
            path.unlink()

    async def stop(self) -> None:
        """End every worker."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for path in list(self._replicas):
            self._forget_replica(path)
        self.cluster.close()
        self.end()
        await asyncio.sleep(0.05)  # for what was cancelled and closed

    # --- members -----------------------------------------------------------------------------------------------

    def keep(self, name: str) -> None:
        """Have a keeper for the member; a new one where only a person could help the last."""
        if name in self._tasks and not self._tasks[name].done():
            return
        keeper = MemberKeeper(
            name,
            start=lambda _generation: self._start(name),
            check=self._check,
            prove=self._prove,
            changed=self._publish,
            events=self.events,
            clock=CLOCK,
        )
        self._keepers[name] = keeper
        self._tasks[name] = asyncio.ensure_future(keeper.run())

    def entry(self, name: str) -> WorkerEntry:
        return self._keepers[name].entry

    def state(self, name: str) -> MemberState:
        return self.entry(name).state

    def is_serving(self, name: str) -> bool:
        return self.state(name) in SERVING

    def replica(self, name: str) -> Replica:
        """The ways into the member's present worker."""
        bootstrap = self._bootstraps[name]
        if bootstrap.admin_path not in self._replicas:
            for path, replica in list(self._replicas.items()):
                if replica.name == name:
                    self._forget_replica(path)
            keys, use = RemoteKeys(name, bootstrap.admin_path), RemoteMember(name, bootstrap.use_path)
            self._replicas[bootstrap.admin_path] = Replica(name, keys, use)
        is_writable = self.state(name) is not MemberState.READ_ONLY
        return self._replicas[bootstrap.admin_path]._replace(takes_creations=is_writable)

    def _forget_replica(self, path: str) -> None:
        replica: Any = self._replicas.pop(path)
        replica.keys.close()
        replica.use.close()

    def replicas(self) -> list[Replica]:
        return [self.replica(name) for name in self.members if self.is_serving(name)]

    async def reconcile(self, name: str) -> DriftReport | None:
        """What ``strongroom members reconcile`` does with a member that serves; None when it does not answer."""
        try:
            return await self.reconciler.reconcile(self.replica(name))
        except HsmError:
            return None

    async def serves(self, name: str) -> bool:
        """Whether the member serves and works; a worker that would wait before it recovers is replaced. Takes a moment."""
        if self.is_serving(name):
            try:
                await self._prove(self.replica(name).use, soon(1.0))
            except HsmError:
                self.kill(name)
            else:
                return True
        await asyncio.sleep(_LOOK_EVERY_S)
        return False

    def kill(self, name: str) -> None:
        """Kill the worker, as a crash in the vendor's library does."""
        for life in self._keepers[name]._lives._lives:
            life.child.signal(9)

    async def lose(self, name: str) -> None:
        """Let the member be away: its worker is gone, and no other can be started."""
        self.away.add(name)
        while self.is_serving(name) or self._keepers[name]._lives._lives:
            self.kill(name)
            await asyncio.sleep(_LOOK_EVERY_S)

    def restore_token(self, name: str, copy: Path) -> None:
        """Put an older state of the token's files in place; the member must be away."""
        folder = self.members[name].token_folder
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)

    async def _start(self, name: str) -> StartedWorker:
        if name in self.away:
            raise MemberFailedError("the HSM is away")
        member = self.members[name]
        refuse_known_pin(member.home, member.config, Secret(PIN))
        self.n_starts += 1
        bootstrap = member.bootstrap("administer", self.n_starts)
        child = await member.start(bootstrap)
        if name in self.away:
            await child.kill()
            raise MemberFailedError("the HSM is away")
        self._bootstraps[name] = bootstrap
        return StartedWorker(child, bootstrap.use_path)

    async def _check(self, member: RemoteMember) -> None:
        """Reconcile a member before it serves; nothing is awaited between the end of this and its serving."""
        replica = self.replica(member.name)
        report = await self.reconciler.reconcile(replica)
        await self._prove(member, soon(10))
        self.reconciler.require_same_keys(report)
        await self.reconciler.catch_up(replica)

    async def _prove(self, member: Any, deadline: Deadline) -> None:
        root = self.joined.root
        canary = Canary(root.canary, root.canary_digest)
        await prove_use(RootId(root.root_id), canary, member, deadline=deadline)

    def _suspect(self, suspicion: Suspicion) -> None:
        self._keepers[suspicion.member].suspect(suspicion.generation, suspicion.reason, suspicion.kind)

    def _publish(self) -> None:
        self._version += 1
        self.cluster.apply(ClusterTable(self._version, [keeper.entry for keeper in self._keepers.values()]))
