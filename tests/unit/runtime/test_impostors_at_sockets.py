"""Another process of our user puts a socket in the place of a member's: main gives it no work and believes it nothing."""

import asyncio
import os
import subprocess
import sys

import pytest

from fakes_runtime import until
from fresh_database import fresh_database
from strongroom.core import Deadline, KeySpec, KeyUsage, MemberFailedError, NoMemberError, SystemClock
from strongroom.hsm.cluster import MemberState, RemoteKeys, RemoteMember, Rules, WorkerEntry
from strongroom.runtime._control import ControlServer
from strongroom.runtime._control_client import ControlClient, ControlError
from strongroom.runtime._reconciling import Reconciling
from strongroom.storage import HsmKeyState, Store
from strongroom.testing import FakeHsm, RecordingEvents
from worker_in_process import running_worker

CLOCK = SystemClock()


@pytest.fixture
async def worker(short_folder):
    """What answers at the sockets of member alpha: a worker in software."""
    async with running_worker(FakeHsm("alpha"), short_folder) as running:
        yield running


@pytest.fixture
def another_pid():
    """A process of ours that is not this one: the worker that main started."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


@pytest.fixture
def store(short_folder):
    path = short_folder / "strongroom.db"
    fresh_database(path)
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def reconciling(store, worker):
    """Main's keeping of keys; ``serve(pid)`` publishes alpha as active in the process of that id."""
    entries = []
    made = Reconciling(
        store,
        lambda: entries,
        rules=Rules(1),
        revive=lambda name: None,
        refused=lambda entry, reason: None,
        events=RecordingEvents(),
        clock=CLOCK,
    )
    made.serve = lambda pid: entries.append(
        WorkerEntry("alpha", 0, 1, MemberState.ACTIVE, str(worker.use_path), pid=pid)
    )
    yield made
    made.close()


def soon():
    return Deadline.after(CLOCK, 5)


def key_of(reconciling):
    return reconciling.create(
        KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY, "ca", may_leave=False, deadline=soon()
    )


async def test_a_key_that_another_process_made_in_software_is_never_acknowledged(
    reconciling, store, worker, another_pid
):
    reconciling.serve(another_pid)
    with pytest.raises(NoMemberError):
        await key_of(reconciling)
    assert not store.list_hsm_keys(HsmKeyState.ACTIVE)
    assert not worker.performer.performed


async def test_the_worker_that_main_started_is_given_work(reconciling, store):
    reconciling.serve(os.getpid())
    record = await key_of(reconciling)
    assert store.list_hsm_keys(HsmKeyState.ACTIVE) == [record]


async def test_a_member_is_neither_checked_nor_used_through_a_socket_of_another_process(
    reconciling, worker, another_pid
):
    member = RemoteMember("alpha", str(worker.use_path), another_pid)
    keys = RemoteKeys("alpha", str(worker.admin_path), another_pid)
    with pytest.raises(MemberFailedError, match="another process"):
        await reconciling.check(member)
    with pytest.raises(MemberFailedError, match="another process"):
        await member.random(16, deadline=soon())
    with pytest.raises(MemberFailedError, match="another process"):
        await keys.list_objects(deadline=soon())
    assert not worker.performer.performed


async def test_an_api_process_takes_no_table_from_another_process_than_main(short_folder, another_pid):
    server = ControlServer(lambda suspicion: None)
    await server.listen(short_folder / "control")
    try:
        with pytest.raises(ControlError, match="another process"):
            await ControlClient.connect(str(short_folder / "control"), only_pid=another_pid)
        client = await ControlClient.connect(str(short_folder / "control"), only_pid=os.getpid())
        tables = []
        following = asyncio.ensure_future(client.follow(tables.append))
        await until(lambda: tables)
    finally:
        server.close()
    await asyncio.wait_for(following, 60)
