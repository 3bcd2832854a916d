"""All members together: their keepers, the table that is published, and the check of a member before it serves."""

import asyncio
import contextlib
from pathlib import Path

from strongroom.config import Config, Home, MemberConfig, read_pin
from strongroom.core import Clock, Deadline, EventSink, MemberFailedError, RootId, StrongroomError
from strongroom.hsm.cluster import (
    Canary,
    ClusterTable,
    MemberState,
    RemoteMember,
    Suspicion,
    prove_canary,
    prove_same_root,
)
from strongroom.runtime._control import ControlServer
from strongroom.runtime._keeper import MemberKeeper, StartedWorker
from strongroom.storage import RootRecord
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member

_CHECK_LIMIT_S = 20.0


class Supervisor:
    """Starts and keeps a worker for each member, and publishes what state they are in."""

    def __init__(
        self,
        config: Config,
        home: Home,
        sockets: Path,
        roots: list[RootRecord],
        *,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._home = home
        self._sockets = sockets
        self._roots = roots
        self._clock = clock
        self._version = 0
        self.control = ControlServer(self._suspect)
        self._keepers = {
            member.name: self._keeper(member, events, clock) for member in config.cluster.members
        }
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, control_path: Path) -> None:
        """Open the control socket and start every member."""
        await self.control.listen(control_path)
        self._tasks = [asyncio.ensure_future(keeper.run()) for keeper in self._keepers.values()]

    async def first_outcomes(self) -> list[StrongroomError]:
        """Wait until each member serves or failed once; returns the failures if not one of them serves."""
        for keeper in self._keepers.values():
            await keeper.first_outcome.wait()
        if any(keeper.entry.state is MemberState.ACTIVE for keeper in self._keepers.values()):
            return []
        return [keeper.failure for keeper in self._keepers.values() if keeper.failure is not None]

    async def stop(self) -> None:
        """End every worker and close the control socket."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.control.close()

    def _keeper(self, member: MemberConfig, events: EventSink, clock: Clock) -> MemberKeeper:
        async def start(generation: int) -> StartedWorker:
            pin = read_pin(member.pin, self._home.root)
            bootstrap = member_bootstrap(
                member, self._home, "serve", pin=pin.reveal(), sockets=self._sockets, generation=generation
            )
            pin.zeroize()
            child = await start_member(bootstrap, member_environment(member, self._home))
            for refused in child.started.protections:
                events.emit("worker.unprotected", member=member.name, what=refused)
            return StartedWorker(child, bootstrap.use_path)

        return MemberKeeper(
            member.name, start=start, check=self._check, changed=self._publish, events=events, clock=clock
        )

    async def _check(self, member: RemoteMember) -> None:
        """Prove that a member holds every root, by its canary and, where another member serves, by a challenge.

        Raises HsmIntegrityError when it holds another key, HsmKeyNotFoundError when it holds none.
        """
        peer = next(
            (
                keeper.member
                for keeper in self._keepers.values()
                if keeper.entry.state is MemberState.ACTIVE and keeper.member is not None
            ),
            None,
        )
        for root in self._roots:
            root_id = RootId(root.root_id)
            deadline = Deadline.after(self._clock, _CHECK_LIMIT_S)
            await prove_canary(root_id, Canary(root.canary, root.canary_digest), member, deadline=deadline)
            if peer is not None:
                # The peer may fail just now: then the canary, which is proof enough, stands alone.
                with contextlib.suppress(MemberFailedError):
                    await prove_same_root(root_id, member, peer, deadline=deadline)

    def _suspect(self, suspicion: Suspicion) -> None:
        keeper = self._keepers.get(suspicion.member)
        if keeper is not None:
            keeper.suspect(suspicion.generation, suspicion.reason)

    def _publish(self) -> None:
        self._version += 1
        entries = [keeper.entry for keeper in self._keepers.values()]
        self.control.publish(ClusterTable(self._version, entries))
