"""A cluster of real worker processes on SoftHSM tokens behind fault shims, and what main does for it, on one event loop.

Members are made once, with a root and transport keys. ``tend`` is the supervisor in short: a worker that has ended, does not
answer or hangs is killed and started again, and serves once it was reconciled with the records and has proved the root.
"""

import asyncio
import shutil
import signal
import time
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from faults.shimmed_members import PIN, SO_PIN, ShimmedMember, shimmed_members
from strongroom.config import Home
from strongroom.core import Deadline, HsmError, MemberFailedError, SystemClock, WrapAlgorithm
from strongroom.hsm.cluster import (
    Canary,
    ClusterTable,
    HsmCluster,
    KeyReplication,
    MemberState,
    Reconciler,
    RemoteKeys,
    RemoteMember,
    Replica,
    Rules,
    Turns,
    WorkerEntry,
    prove_use,
)
from strongroom.storage import MemberRecord, RootRecord, Store, create_database
from strongroom.testing import RecordingEvents
from strongroom.wiring.cluster_setup import ROOT_LABEL, MadeRoot, SetUpMember, make_root, open_doors
from strongroom.wiring.development_tls import write_private
from strongroom.wiring.home import runtime_folder
from strongroom.wiring.workers import Child

NAMES = ("alpha", "beta", "gamma")
CLOCK = SystemClock()
_ATTEMPT_S = 1.0
_PING_S = 1.0
_HANGS_AFTER_S = 1.0


def soon(seconds: float = 10.0) -> Deadline:
    """A deadline."""
    return Deadline.after(CLOCK, seconds)


@dataclass
class Worker:
    """A running worker of one member and the doors to it."""

    child: Child
    generation: int
    use: RemoteMember
    keys: RemoteKeys
    serves: bool = False


class ShimmedCluster:
    """Three members, at least two copies of each key. Everything runs in ``run``, on one loop."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.loop = asyncio.new_event_loop()
        stack.callback(self.loop.close)
        self.members: dict[str, ShimmedMember] = {
            member.name: member for member in stack.enter_context(shimmed_members(folder, NAMES))
        }
        self.workers: dict[str, Worker] = {}
        self.away: set[str] = set()
        self.respawns = 0
        self._generations = dict.fromkeys(NAMES, 0)
        self._version = 0
        stack.callback(lambda: self.run(self._end()))
        self.run(self._make(Home(folder)))
        self.first_contents = {name: self.contents_of(name) for name in NAMES}
        self.run(self.tend())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the loop."""
        return self.loop.run_until_complete(work)

    async def _make(self, home: Home) -> None:
        for name in NAMES:
            write_private(home.pins / name, PIN)
            write_private(home.pins / f"{name}-so", SO_PIN)
        runtime_folder(home)
        set_up = [SetUpMember(member.config, None, ()) for member in self.members.values()]
        async with open_doors(home, set_up, WrapAlgorithm.HSM_AES_GCM) as doors:
            self.root: MadeRoot = await make_root(doors, CLOCK, lambda step: None)
        create_database(home.database)
        self.store = Store.open(home.database)
        await self._record()
        turns, events = Turns(), RecordingEvents()
        common: dict[str, Any] = {"turns": turns, "events": events, "clock": CLOCK}
        self.replication = KeyReplication(self.store, self.replicas, rules=Rules(min_copies=2), **common)
        self.reconciler = Reconciler(self.store, self.replicas, root_label=ROOT_LABEL, **common)
        self.cluster = HsmCluster(
            clock=CLOCK, events=events, attempt_s=_ATTEMPT_S, report=lambda suspicion: None
        )

    async def _record(self) -> None:
        made = self.root
        canary, check = made.canary, made.check
        root = RootRecord(
            made.root_id,
            int(made.algorithm),
            check.kind,
            check.value,
            canary.blob,
            canary.digest,
            CLOCK.now(),
        )
        await self.store.write(lambda tx: tx.insert_root(root))
        for position, (name, member) in enumerate(self.members.items()):
            record = MemberRecord(
                name, "softhsm2", member.config.token_serial or "", f"token-{name}", position
            )
            await self.store.write(lambda tx, record=record: tx.insert_member(record))
        for transport in made.transports:
            await self.store.write(lambda tx, transport=transport: tx.insert_transport_key(transport))

    def replicas(self) -> list[Replica]:
        """The members that serve, as replication sees them."""
        return [self._replica(name) for name in NAMES if name in self.workers and self.workers[name].serves]

    def _replica(self, name: str) -> Replica:
        return Replica(name, self.workers[name].keys, self.workers[name].use)

    # --- what main does ------------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Replace workers that are dead or hang, let come in who can, and publish."""
        for name in NAMES:
            if name in self.away:
                continue
            if name in self.workers and not await self._is_well(name):
                await self._drop(name)
            with suppress(HsmError):
                if name not in self.workers:
                    await self._start(name)
                if not self.workers[name].serves:
                    await self._join(name)
        self._publish()

    async def _is_well(self, name: str) -> bool:
        worker = self.workers[name]
        if worker.child.has_ended:
            return False
        try:
            pong = await worker.use.ping(deadline=soon(_PING_S))
        except HsmError:
            return False
        return not any(running.for_s > _HANGS_AFTER_S for running in pong.running)

    async def _start(self, name: str) -> None:
        self._generations[name] += 1
        generation = self._generations[name]
        self.respawns += generation > 1
        bootstrap = self.members[name].bootstrap("administer", generation)
        child = await self.members[name].start(bootstrap)
        use, keys = RemoteMember(name, bootstrap.use_path), RemoteKeys(name, bootstrap.admin_path)
        self.workers[name] = Worker(child, generation, use, keys)

    async def _join(self, name: str) -> None:
        replica, made = self._replica(name), self.root
        report = await self.reconciler.reconcile(replica)
        canary = Canary(made.canary.blob, made.canary.digest)
        await prove_use(made.root_id, canary, replica.use, deadline=soon())
        self.reconciler.require_same_keys(report)
        await self.reconciler.catch_up(replica)
        self.workers[name].serves = True
        for other in self.reconciler.needing_others():
            if other in self.workers and self.workers[other].serves:
                with suppress(HsmError):
                    await self.reconciler.reconcile(self._replica(other))

    async def _drop(self, name: str) -> None:
        worker = self.workers.pop(name, None)
        if worker is not None:
            worker.use.close()
            worker.keys.close()
            await worker.child.kill()

    def _publish(self) -> None:
        self._version += 1
        entries = [
            WorkerEntry(
                name,
                0,
                worker.generation,
                MemberState.ACTIVE if worker.serves else MemberState.RECONCILING,
                worker.use.use_path,
            )
            for name, worker in self.workers.items()
        ]
        self.cluster.apply(ClusterTable(self._version, entries))

    async def _end(self) -> None:
        for name in list(self.workers):
            await self._drop(name)
        if hasattr(self, "cluster"):
            self.cluster.close()
            self.store.close()

    # --- what a test does to it ------------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """Kill a worker, and tell nobody."""
        if name in self.workers:
            self.workers[name].child.signal(signal.SIGKILL)

    async def leave(self, name: str) -> None:
        """A member is gone until ``away`` forgets it."""
        self.away.add(name)
        await self._drop(name)
        self._publish()

    def contents_of(self, name: str) -> dict[str, bytes]:
        """The files of a token, to be brought back later."""
        folder = self.members[name].token_folder
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    def bring_back(self, name: str, contents: dict[str, bytes]) -> None:
        """Set a token back to what it held; its worker must be gone."""
        folder = self.members[name].token_folder
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for relative, content in contents.items():
            (folder / relative).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / relative).write_bytes(content)

    async def all_serve(self, *, limit_s: float = 60.0) -> None:
        """End every fault and absence, and wait until all members serve."""
        for member in self.members.values():
            member.shim.heal()
        self.away.clear()
        deadline = time.monotonic() + limit_s
        while True:
            await self.tend()
            if all(name in self.workers and self.workers[name].serves for name in NAMES):
                with suppress(MemberFailedError):
                    for replica in self.replicas():
                        await replica.use.random(8, deadline=soon())
                    return
            assert time.monotonic() < deadline, "not every member came back"
            await asyncio.sleep(0.05)

    async def held(self) -> dict[str, set[bytes]]:
        """The CKA_IDs of all objects of Direct keys, by member that serves."""
        found = {}
        for replica in self.replicas():
            listed = await replica.keys.list_objects(deadline=soon(30))
            found[replica.name] = {entry.cka_id for entry in listed if entry.label.startswith("direct-")}
        return found


@pytest.fixture(scope="module")
def shimmed_cluster(tmp_path_factory):
    """One cluster for all sequences of a file: workers live on from one to the next."""
    with ExitStack() as stack:
        yield ShimmedCluster(tmp_path_factory.mktemp("cluster") / "home", stack)
