"""What ``core.HsmDirectUse`` is tested on: a fake, a fake behind a worker, a cluster of them, and a real member.

A test file that imports the fixtures, all five, has its tests run on each of them. Its ``SOFTHSM_KINDS``, if there, are the
only keys that are made on the real token.
"""

import contextlib
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest
import pytest_asyncio

from running_service import copy_home
from strongroom.config import load_config, read_pin
from strongroom.core import (
    Deadline,
    HsmDirectUse,
    HsmError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    KeySpec,
    KeyUsage,
    MemberDeadlineError,
    NoMemberError,
    RootId,
    SystemClock,
    random_bytes,
)
from strongroom.hsm.cluster import HsmCluster, RemoteAdmin, RemoteMember
from strongroom.hsm.wire import WireClient
from strongroom.storage import ReadOnlyStore
from strongroom.testing import FakeMember, RecordingEvents
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member
from worker_in_process import running_worker, table, three_hsms

BIG_RSA = {KeySpec.RSA_3072, KeySpec.RSA_4096}
KINDS = [(spec, usage) for spec in KeySpec if spec not in BIG_RSA for usage in sorted(spec.usages)]


class Subject(NamedTuple):
    """An implementation, the keys that it holds with their public halves, and what its errors are."""

    use: HsmDirectUse
    root_id: RootId
    keys: Mapping[tuple[KeySpec, KeyUsage], tuple[HsmKey, bytes]]
    stop_answering: Callable[[], None]
    answer_again: Callable[[], None]
    deadline_error: type[HsmError] = MemberDeadlineError
    no_key_error: type[HsmError] = HsmKeyNotFoundError

    def key(self, spec, usage=None):
        return self.keys[spec, usage or min(spec.usages)][0]

    def spki(self, spec, usage=None):
        return self.keys[spec, usage or min(spec.usages)][1]


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


def new_key(spec, usage):
    return HsmKey(HsmKeyId(random_bytes(16)), spec, usage)


def keys_of(first, *others):
    """Make a key of each kind on one fake HSM and copy it to the others."""
    made = {}
    for spec, usage in KINDS:
        key = new_key(spec, usage)
        made[spec, usage] = key, first.direct.generate(key, "conformance", may_leave=True)
        for other in others:
            first.direct.copy_to(other.direct, key)
    return made


@asynccontextmanager
async def fake_member_subject(_folder):
    (hsm, *_), root_id = three_hsms()
    yield Subject(FakeMember(hsm), root_id, keys_of(hsm), hsm.faults.hang, hsm.faults.release)


@asynccontextmanager
async def remote_member_subject(folder):
    (hsm, *_), root_id = three_hsms()
    async with running_worker(hsm, folder) as worker:
        member = RemoteMember(hsm.name, str(worker.use_path))
        with contextlib.closing(member):
            yield Subject(member, root_id, keys_of(hsm), hsm.faults.hang, hsm.faults.release)


@asynccontextmanager
async def cluster_of_two_subject(folder):
    (*hsms, _), root_id = three_hsms()
    cluster = HsmCluster(
        clock=SystemClock(), events=RecordingEvents(), attempt_s=5.0, report=lambda suspicion: None
    )
    async with AsyncExitStack() as stack:
        stack.callback(cluster.close)
        workers = [await stack.enter_async_context(running_worker(hsm, folder)) for hsm in hsms]
        cluster.apply(table(1, *workers))
        yield Subject(
            cluster,
            root_id,
            keys_of(*hsms),
            lambda: [hsm.faults.hang() for hsm in hsms],
            lambda: [hsm.faults.release() for hsm in hsms],
            NoMemberError,
            NoMemberError,
        )


@asynccontextmanager
async def softhsm_subject(initialised_home, folder, kinds):
    home = copy_home(initialised_home, folder / "home")
    with ReadOnlyStore.open(home.database) as store:
        root_id = RootId(store.list_roots()[0].root_id)
    config = load_config(home.root).cluster.members[0]
    pin = read_pin(config.pin, home.root).reveal()
    bootstrap = member_bootstrap(config, home, "administer", pin=pin, sockets=folder, generation=1)
    child = await start_member(bootstrap, member_environment(config, home))
    member = RemoteMember(config.name, bootstrap.use_path)
    try:
        admin = RemoteAdmin(config.name, await WireClient.connect(bootstrap.admin_path), timeout_s=60)
        with contextlib.closing(admin):
            keys = {}
            for spec, usage in kinds:
                key = new_key(spec, usage)
                keys[spec, usage] = key, await admin.generate_direct(key, "conformance", may_leave=False)
        yield Subject(
            member, root_id, keys, lambda: child.signal(signal.SIGSTOP), lambda: child.signal(signal.SIGCONT)
        )
    finally:
        member.close()
        await child.kill()


_module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")


@_module_fixture
async def fake_member(tmp_path_factory):
    async with fake_member_subject(tmp_path_factory.mktemp("fake")) as subject:
        yield subject


@_module_fixture
async def remote_member(tmp_path_factory):
    async with remote_member_subject(tmp_path_factory.mktemp("remote")) as subject:
        yield subject


@_module_fixture
async def cluster_of_two(tmp_path_factory):
    async with cluster_of_two_subject(tmp_path_factory.mktemp("cluster")) as subject:
        yield subject


@_module_fixture
async def softhsm(initialised_home, tmp_path_factory, request):
    kinds = getattr(request.module, "SOFTHSM_KINDS", KINDS)
    async with softhsm_subject(initialised_home, tmp_path_factory.mktemp("softhsm"), kinds) as subject:
        yield subject


@pytest.fixture(
    params=[
        "fake_member",
        "remote_member",
        "cluster_of_two",
        pytest.param("softhsm", marks=pytest.mark.softhsm),
    ]
)
def subject(request):
    return request.getfixturevalue(request.param)
