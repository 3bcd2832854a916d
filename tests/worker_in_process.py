"""Real member workers over fake HSMs, in this process: real sockets, real HSM threads, no PKCS#11."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from strongroom.core import SystemClock
from strongroom.hsm.cluster import ClusterTable, MemberState, WorkerEntry
from strongroom.hsm.worker import MemberWorker
from strongroom.testing import FakeHsm, FakePerformer


class WorkerInProcess:
    """One worker of a fake HSM, and its successors: ``crash`` and ``start`` may be called again and again."""

    def __init__(self, hsm, folder, *, threads=1, gate=None, performer=None):
        self.hsm = hsm
        self.generation = 0
        self.performer = performer or FakePerformer(hsm, gate)
        self.worker = None
        self._folder = Path(folder)
        self._threads = threads
        self._all = []

    @property
    def use_path(self):
        return self._folder / f"{self.hsm.name}-{self.generation}.use"

    @property
    def admin_path(self):
        return self._folder / f"{self.hsm.name}-{self.generation}.admin"

    async def start(self):
        self.generation += 1
        self.worker = MemberWorker(self.performer, threads=self._threads, clock=SystemClock())
        self._all.append(self.worker)
        await self.worker.listen(self.use_path, self.admin_path)

    def crash(self):
        """What callers see of the death of the process: the connections are cut, nobody listens."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def entry(self, state=MemberState.ACTIVE):
        return WorkerEntry(self.hsm.name, 0, self.generation, state, str(self.use_path))

    async def stop(self):
        self.crash()
        self.hsm.faults.clear()
        threads = [thread for worker in self._all for thread in worker._runner._threads]
        await asyncio.to_thread(lambda: [thread.join(60) for thread in threads])
        assert not any(thread.is_alive() for thread in threads)


@asynccontextmanager
async def running_worker(hsm, folder, **options):
    worker = WorkerInProcess(hsm, folder, **options)
    try:
        await worker.start()
        yield worker
    finally:
        await worker.stop()


def three_hsms():
    """Three HSMs that hold the same root, and its id."""
    first, *others = (FakeHsm(name) for name in ("alpha", "beta", "gamma"))
    root_id = first.make_root()
    for other in others:
        first.copy_root_to(other, root_id)
    return [first, *others], root_id


def table(version, *workers, state=MemberState.ACTIVE):
    return ClusterTable(version, [worker.entry(state) for worker in workers])
