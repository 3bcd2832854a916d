"""What the tests of runtime share: a child that is no process, a keeper over it, and a clock for its pauses."""

import asyncio
import os
from collections import deque
from contextlib import contextmanager

from strongroom.core import Secret
from strongroom.hsm.cluster import MemberState, RemoteMember
from strongroom.runtime._keeper import MemberKeeper
from strongroom.runtime._watch import StartedWorker
from strongroom.testing import FakeClock, FakeHsm, FakePerformer, RecordingEvents
from strongroom.wiring.bootstrap import Started
from worker_in_process import WorkerInProcess


async def until(is_so, limit_s=60.0):
    """Wait until something is so, and no longer; the limit is for a machine that stands still now and then."""
    async with asyncio.timeout(limit_s):
        while not is_so():
            await asyncio.sleep(0.002)


class ChildInProcess:
    """What main sees of a worker process (``wiring.workers.Child``); the worker itself runs in this process."""

    def __init__(self, pid, crash=lambda: None):
        self.pid = pid
        self.status = None
        self.started = Started()
        self.grace_s = None
        self.slow_to_let_go_s = 0.0
        self._crash = crash
        self._ended = asyncio.get_running_loop().create_future()

    @property
    def has_ended(self):
        return self.status is not None

    def die(self, status):
        if self.status is None:
            self.status = status
            self._crash()
            self._ended.set_result(status)

    async def wait(self):
        try:
            return await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            await asyncio.sleep(self.slow_to_let_go_s)
            raise

    async def kill(self):
        self.die(-9)

    async def end(self, *, limit_s=5.0):
        self.grace_s = limit_s
        self.die(0)


class RecordedPauses:
    """``asyncio`` with a ``sleep`` that takes no time and is written down."""

    def __init__(self):
        self.pauses = []

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        await asyncio.sleep(0)


class KeptMember:
    """A keeper, the worker that it keeps, and all that happened.

    ``start_errors``, ``check_errors`` and ``proof_errors`` are raised one by one, before starting, checking and
    proving work. Unless ``hold_start`` and ``hold_check`` are set, that step waits. ``proofs`` counts proofs that were
    begun, ``answers`` the pings that were answered.
    """

    def __init__(self, folder):
        self.hsm = FakeHsm("hsm-a")
        self.root_id = self.hsm.make_root()
        self.performer = FakePerformer(self.hsm, limit_s=300.0)
        self.worker = WorkerInProcess(self.hsm, folder, performer=self.performer)
        self.clock = FakeClock()
        self.events = RecordingEvents()
        self.starts, self.children, self.published = [], [], []
        self.start_errors, self.check_errors, self.proof_errors = deque(), deque(), deque()
        self.sealed = self.hsm.wrap(self.root_id, Secret(b"canary"), b"")
        self.proofs = self.answers = self._under_way = 0
        self.hold_start, self.hold_check = asyncio.Event(), asyncio.Event()
        self.hold_start.set()
        self.hold_check.set()
        self.keeper = MemberKeeper(
            "hsm-a",
            start=self._start,
            check=self._check,
            prove=self._prove,
            changed=lambda: self.published.append(self.keeper.entry),
            events=self.events,
            clock=self.clock,
        )
        self.task = None

    def run(self):
        self.task = asyncio.ensure_future(self.keeper.run())

    async def let_pass(self, seconds):
        """Let time pass while no ping and no proof is under way: the clock that moves would take their time away."""
        await self.is_idle()
        self.clock.advance(seconds)

    async def is_idle(self):
        """Wait until the worker has answered, and is asked nothing."""
        await until(lambda: self.answers and not self._under_way)

    async def ping(self, member, *, deadline, real=RemoteMember.ping):
        """``RemoteMember.ping``, counted."""
        with self._counted():
            pong = await real(member, deadline=deadline)
        self.answers += 1
        return pong

    @contextmanager
    def _counted(self):
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def stop(self):
        # asyncio loses the socket of a caller whom it accepts while its server is being closed.
        member = self.keeper.member
        while member is not None and member._connecting is not None and self.task is not None:
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.005)
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})
        await self.worker.stop()

    @property
    def child(self):
        return self.children[-1]

    @property
    def states(self):
        return [(entry.state, entry.generation) for entry in self.published]

    async def reaches(self, state, generation):
        await until(lambda: (state, generation) in self.states)
        return next(e for e in self.published if (e.state, e.generation) == (state, generation))

    async def active(self, generation=1):
        return await self.reaches(MemberState.ACTIVE, generation)

    async def _start(self, generation):
        self.starts.append(generation)
        await self.hold_start.wait()
        if self.start_errors:
            raise self.start_errors.popleft()
        await self.worker.start()
        self.children.append(ChildInProcess(os.getpid(), self.worker.crash))
        return StartedWorker(self.child, str(self.worker.use_path))

    async def _check(self, member):
        await self.hold_check.wait()
        if self.check_errors:
            raise self.check_errors.popleft()

    async def _prove(self, member, deadline):
        self.proofs += 1
        if self.proof_errors:
            raise self.proof_errors.popleft()
        with self._counted():
            await member.unwrap(self.root_id, self.sealed, b"", deadline=deadline)
