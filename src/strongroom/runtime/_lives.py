"""The worker processes of one member: started, checked, let go of. At most two at a time serve it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from strongroom.core import Clock, Deadline, HsmError, MemberBusyError
from strongroom.hsm.cluster import RemoteMember
from strongroom.runtime._watch import StartedWorker
from strongroom.wiring.workers import Child

_BUSY_TRIES = 20
_BUSY_PAUSE_S = 0.25
_GRACE_S = 1.0
_HANDED_OVER_S = 0.5
"""How long an old worker goes on at least: until every API process has heard of the new one."""
_LAST_CALLS_S = 5.0
_LOOK_EVERY_S = 0.05


class Life(NamedTuple):
    """One worker process: a generation."""

    generation: int
    child: Child
    use_path: str
    member: RemoteMember


class Lives:
    """Every worker process of a member that has not been ended. Belongs to the event loop of main."""

    def __init__(
        self,
        name: str,
        *,
        start: Callable[[int], Awaitable[StartedWorker]],
        check: Callable[[RemoteMember], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._name = name
        self._start = start
        self._check = check
        self._clock = clock
        self._lives: list[Life] = []

    async def begin(self, generation: int, started: Callable[[Life], None] = lambda _life: None) -> Life:
        """Start a worker and check it; ``started`` is told once it runs. Raises what went wrong.

        A worker whose HSM takes no more calls for the moment is checked later: that it is busy is no fault.
        """
        worker = await self._start(generation)
        member = RemoteMember(self._name, worker.use_path, worker.child.pid)
        life = Life(generation, worker.child, worker.use_path, member)
        self._lives.append(life)
        started(life)
        for tries_left in reversed(range(_BUSY_TRIES)):
            try:
                await self._check(member)
                break
            except MemberBusyError:
                if not tries_left:
                    raise
                await asyncio.sleep(_BUSY_PAUSE_S)
        return life

    async def retire(self, old: Life) -> None:
        """Let a worker that was replaced finish its calls, and end it."""
        await asyncio.sleep(_HANDED_OVER_S)
        until = Deadline.after(self._clock, _LAST_CALLS_S)
        try:
            while not until.has_passed():
                pong = await old.member.ping(deadline=until)
                if not pong.running and not pong.waiting:
                    break
                await asyncio.sleep(_LOOK_EVERY_S)
        except HsmError:
            pass  # it is to end anyway
        await self._end(old, grace_s=_GRACE_S)

    async def end_generation(self, generation: int) -> None:
        """Kill the worker of one generation, if it was started."""
        for life in [life for life in self._lives if life.generation == generation]:
            await self._end(life, grace_s=None)

    async def end_all(self, *, grace_s: float | None) -> None:
        """Kill every worker, or ask each to log out and end within ``grace_s``."""
        while self._lives:
            await self._end(self._lives[0], grace_s=grace_s)

    async def _end(self, life: Life, *, grace_s: float | None) -> None:
        life.member.close()
        if life in self._lives:
            self._lives.remove(life)
        await (life.child.kill() if grace_s is None else life.child.end(limit_s=grace_s))
