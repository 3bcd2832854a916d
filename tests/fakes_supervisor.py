"""A supervisor over two fake HSMs, whose workers run in the process of the test."""

import asyncio
import os

from fakes_runtime import ChildInProcess, until
from strongroom.config import ClusterConfig, Config, MemberConfig, PinSource
from strongroom.core import Deadline, SystemClock, WrapAlgorithm
from strongroom.hsm.cluster import make_canary
from strongroom.runtime._control_client import ControlClient
from strongroom.runtime._supervisor import Supervisor
from strongroom.storage import RootRecord
from strongroom.testing import FakeHsm, FakeMember, RecordingEvents
from strongroom.wiring.bootstrap import Started
from worker_in_process import WorkerInProcess


class WorkerAtItsPath(WorkerInProcess):
    """Listens where its bootstrap says."""

    bootstrap = None

    @property
    def use_path(self):
        return self._folder / self.bootstrap.use_path

    @property
    def admin_path(self):
        return self._folder / self.bootstrap.admin_path


class Cluster:
    """A supervisor over fake HSMs whose workers run in this process, and the tables that it published."""

    def __init__(self, folder, home):
        self.hsms = {name: FakeHsm(name) for name in ("hsm-a", "hsm-b")}
        self.root_id = self.hsms["hsm-a"].make_root()
        self.hsms["hsm-a"].copy_root_to(self.hsms["hsm-b"], self.root_id)
        self.workers = {name: WorkerAtItsPath(hsm, folder) for name, hsm in self.hsms.items()}
        self.children, self.bootstraps, self.start_errors = {}, [], {}
        self.tables, self.events = [], RecordingEvents()
        self.folder, self.home, self.supervisor, self.follower = folder, home, None, None
        self.starting = {name: asyncio.Event() for name in self.hsms}
        for may_start in self.starting.values():
            may_start.set()

    async def start(self, digest=None):
        deadline = Deadline.after(SystemClock(), 10)
        canary = await make_canary(
            self.root_id,
            FakeMember(self.hsms["hsm-a"]),
            algorithm=WrapAlgorithm.HSM_AES_GCM,
            deadline=deadline,
        )
        root = RootRecord(self.root_id, 1, "CKA_CHECK_VALUE", "00", canary.blob, digest or canary.digest, 1.0)
        members = [
            MemberConfig(name=name, profile="fake", pin=PinSource(file=f"pins/{name}"), token_label=name)
            for name in self.hsms
        ]
        config = Config(version=1, cluster=ClusterConfig(members=members))
        self.supervisor = Supervisor(config, self.home, [root], events=self.events, clock=SystemClock())
        await self.supervisor.start()
        self.client = await self.connect()
        self.follower = asyncio.ensure_future(self.client.follow(self.tables.append))

    async def connect(self):
        return await ControlClient.connect(str(await self.supervisor.restore_sockets()))

    async def start_member(self, bootstrap, _environment):
        self.bootstraps.append(bootstrap)
        await self.starting[bootstrap.name].wait()
        if errors := self.start_errors.get(bootstrap.name):
            raise errors
        worker = self.workers[bootstrap.name]
        worker.bootstrap = bootstrap
        await worker.start()
        child = ChildInProcess(os.getpid(), worker.crash)
        child.started = Started(protections=["memory is not locked"])
        self.children[bootstrap.name] = child
        return child

    async def restart(self):
        """What a new main process does, on the same home."""
        await self.supervisor.stop()
        await self.follower
        self.tables.clear()
        await self.start()

    async def stop(self):
        for may_start in self.starting.values():
            may_start.set()
        if self.supervisor is not None:
            await self.supervisor.stop()
        if self.follower is not None:
            await asyncio.wait_for(self.follower, 60)
        for worker in self.workers.values():
            await worker.stop()

    def states(self):
        return {entry.member: entry.state for entry in self.tables[-1].workers} if self.tables else {}

    async def reaches(self, **states):
        wanted = {name.replace("_", "-"): state for name, state in states.items()}
        await until(lambda: wanted.items() <= self.states().items())
