"""A service over three SoftHSM members behind fault shims, and callers of its workers as an API process is one.

The members are those of a development home, each with keys of its own under which keys travel: so keys can be made too.
"""

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from running_service import RunningService, configure, copy_home, require_softhsm
from strongroom.config import Home, load_config
from strongroom.core import Deadline, HsmKey, Secret, SigningAlgorithm, SystemClock
from strongroom.hsm.cluster import HsmCluster
from strongroom.hsm.token import load_profile
from strongroom.runtime._control_client import ControlClient
from strongroom.storage import ReadOnlyStore
from strongroom.testing import RecordingEvents
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.initialise import initialise_development

MEMBERS = ("alpha", "beta", "gamma")
CALLERS = 16


@pytest.fixture(scope="session")
def three_member_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A development home of three members, each with a token of its own; to be copied, not used."""
    require_softhsm()
    root = tmp_path_factory.mktemp("three-members") / "home"
    made = asyncio.run(
        initialise_development(
            root, port=8443, clock=SystemClock(), progress=lambda step: None, names=MEMBERS
        )
    )
    assert made
    return root


def three_member_home(template: Path, target: Path, modules: dict[str, Path]) -> Home:
    """Copy a home of three members and give each a library of its own."""
    home = copy_home(template, target)
    members = load_config(home.root).cluster.members
    changed = [msgspec.structs.replace(member, module=str(modules[member.name])) for member in members]
    configure(home, section="cluster", members=changed)
    return home


def softhsm_library() -> str:
    return load_profile("softhsm2").find_module()


class Done(NamedTuple):
    """One call: when it began, how long it took, and what went wrong."""

    began: float
    took_s: float
    failure: str | None


class Load:
    """Sixteen callers that wrap, unwrap and sign through a cluster of their own, and check what they get."""

    def __init__(self, home: Home, key: HsmKey, *, pause_s: float, deadline_s: float = 10.0) -> None:
        self.calls: list[Done] = []
        self.events = RecordingEvents()
        self.deadline_s = deadline_s
        self._home = home
        self._key = key
        self._pause_s = pause_s
        self._clock = SystemClock()
        self.cluster: HsmCluster | None = None

    @asynccontextmanager
    async def running(self):
        path = restore_runtime_folder(self._home) / "control"
        control = await ControlClient.connect(str(path))
        self.cluster = HsmCluster(clock=self._clock, events=self.events, attempt_s=1.0, report=control.report)
        with ReadOnlyStore.open(self._home.database) as store:
            self._root_id = store.list_roots()[-1].root_id
        tasks = [asyncio.ensure_future(control.follow(self.cluster.apply))]
        tasks += [asyncio.ensure_future(self._call_on(number)) for number in range(CALLERS)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.cluster.close()
            await asyncio.sleep(0.05)

    async def _call_on(self, number: int) -> None:
        plaintext, aad = Secret(f"caller {number}".encode().ljust(32)), b"load"
        wrapped = None
        for turn in range(10**9):
            began = time.monotonic()
            failure = None
            deadline = Deadline.after(self._clock, self.deadline_s)
            try:
                if wrapped is None or turn % 3 == 0:
                    wrapped = await self.cluster.wrap(self._root_id, plaintext, aad, deadline=deadline)
                elif turn % 3 == 1:
                    opened = await self.cluster.unwrap(self._root_id, wrapped, aad, deadline=deadline)
                    failure = None if opened.matches(plaintext) else "wrong bytes"
                else:
                    made = await self.cluster.sign(
                        self._key, SigningAlgorithm.ECDSA_SHA_256, bytes(32), deadline=deadline
                    )
                    failure = None if made else "no signature"
            except Exception as error:
                failure = repr(error)
            self.calls.append(Done(began, time.monotonic() - began, failure))
            await asyncio.sleep(self._pause_s)

    def between(self, since: float, until: float) -> list[Done]:
        """The calls that began in this time, by the monotonic clock, and have ended."""
        return [call for call in self.calls if since <= call.began < until]

    def quantile_s(self, part: float, since: float, until: float) -> float:
        took = sorted(call.took_s for call in self.between(since, until))
        assert took, "no call was done in that time"
        return took[min(int(part * len(took)), len(took) - 1)]

    @property
    def failures(self) -> list[str]:
        return [call.failure for call in self.calls if call.failure is not None]

    def late(self) -> list[Done]:
        """Calls that took longer than their deadline and a tenth of a second."""
        return [call for call in self.calls if call.took_s > self.deadline_s + 0.1]


async def all_active(service: RunningService, limit_s: float = 60.0) -> None:
    """Wait until each member has served."""
    await reaches(
        service,
        lambda: {event["member"] for event in service.events("member.active")} == set(MEMBERS),
        limit_s,
    )


async def reaches(service: RunningService, is_so, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, service.log()
        await asyncio.sleep(0.1)
