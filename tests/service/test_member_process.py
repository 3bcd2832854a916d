"""A member worker as a process of its own: what it does with standard output, its sockets, and an order to end."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest

from running_service import copy_home
from strongroom.config import Home, load_config, read_pin
from strongroom.core import Deadline, MemberFailedError, StrongroomError, SystemClock, WrapAlgorithm
from strongroom.hsm.cluster import RemoteMember
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member
from tries import Tries


@pytest.fixture
def home(initialised_home: Path, tmp_path: Path) -> Home:
    return copy_home(initialised_home, tmp_path / "home")


@pytest.fixture
def sockets():
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def worker_of(home: Home, sockets: Path, wrap_algorithm: int | None = None, **changes):
    member = msgspec.structs.replace(load_config(home.root).cluster.members[0], **changes)
    pin = read_pin(member.pin, home.root).reveal()
    bootstrap = member_bootstrap(
        member, home, "serve", pin=pin, sockets=sockets, generation=1, wrap_algorithm=wrap_algorithm
    )
    child = await start_member(bootstrap, member_environment(member, home))
    try:
        yield child, bootstrap
    finally:
        await child.kill()


async def test_a_worker_that_is_asked_to_end_logs_out_and_ends_within_a_second(
    home: Home, sockets: Path
) -> None:
    tries = Tries(1.5)
    for _ in tries:
        async with worker_of(home, sockets) as (child, bootstrap):
            member = RemoteMember("alpha", bootstrap.use_path)
            assert len(await member.random(8, deadline=Deadline.after(SystemClock(), 60))) == 8
            with tries.timed():
                await child.end(limit_s=60)
            assert await child.wait() == 0
            member.close()
    assert not Path(bootstrap.use_path).exists(), "it closed its sockets itself"


async def test_sockets_that_cannot_be_opened_are_said(home: Home, sockets: Path) -> None:
    shutil.rmtree(sockets)
    with pytest.raises(MemberFailedError, match="cannot open the worker's sockets: No such file"):
        async with worker_of(home, sockets):
            pass


async def test_a_worker_whose_token_does_not_fit_the_profile_does_not_serve_and_names_the_field(
    home: Home, sockets: Path
) -> None:
    for changes, field in (({"iv_rule": "hsm-in-parameter"}, "iv_rule"), ({"threads": 0}, "threads")):
        with pytest.raises(StrongroomError, match=field):
            async with worker_of(home, sockets, profile_changes=changes):
                pass
    assert list(sockets.iterdir()) == []


async def test_a_member_that_lacks_what_its_cluster_wraps_by_does_not_join_and_names_the_mechanism(
    home: Home, sockets: Path
) -> None:
    without = {"gcm_mechanism": 0x80001087, "wrap_algorithm": "HSM_AES_CBC_HMAC"}
    cluster_s = int(WrapAlgorithm.HSM_AES_GCM)
    with pytest.raises(StrongroomError, match=r"HSM_AES_GCM.*does not offer mechanism 0x80001087"):
        async with worker_of(home, sockets, cluster_s, profile_changes=without):
            pass
    async with worker_of(home, sockets, profile_changes=without) as (child, _):
        assert not child.has_ended, "in a cluster that wraps by what it can it would serve"
