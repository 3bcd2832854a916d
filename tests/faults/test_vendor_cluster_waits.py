"""A vendor's own cluster behind one member: a key is acknowledged once it is found and works, and on that one alone."""

import contextlib
import time

import msgspec
import pytest

from faults.shimmed_members import shimmed_members
from fresh_database import fresh_database
from strongroom.config import ClusterConfig
from strongroom.core import Deadline, HsmError, KeySpec, KeyUsage, SystemClock
from strongroom.hsm.cluster import KeyReplication, RemoteKeys, RemoteMember, Replica, Turns
from strongroom.storage import HsmKeyState, Store
from strongroom.testing import RecordingEvents
from strongroom.wiring.replication_rules import replication_rules

pytestmark = pytest.mark.softhsm

CLOCK = SystemClock()


@contextlib.asynccontextmanager
async def replication_on(member, folder, usable_within_s):
    changes = {"replication": "vendor", "usable_within_s": usable_within_s}
    member = member._replace(config=msgspec.structs.replace(member.config, profile_changes=changes))
    bootstrap = member.bootstrap("serve")
    child = await member.start(bootstrap)
    fresh_database(folder / "strongroom.db")
    keys, use = RemoteKeys("whole", bootstrap.admin_path), RemoteMember("whole", bootstrap.use_path)
    try:
        with Store.open(folder / "strongroom.db") as store:
            yield (
                store,
                KeyReplication(
                    store,
                    lambda: [Replica("whole", keys, use)],
                    rules=replication_rules(ClusterConfig(members=[member.config])),
                    turns=Turns(),
                    events=RecordingEvents(),
                    clock=CLOCK,
                ),
            )
    finally:
        keys.close()
        use.close()
        await child.end()


@pytest.fixture
def whole(shared):
    yield shared
    shared.shim.heal()
    shared.shim.forget_hidden_keys()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with shimmed_members(tmp_path_factory.mktemp("whole"), ("whole",)) as (member,):
        yield member


async def create(replication, seconds):
    return await replication.create(
        KeySpec.ECC_NIST_P256,
        KeyUsage.SIGN_VERIFY,
        "late",
        may_leave=True,
        deadline=Deadline.after(CLOCK, seconds),
    )


async def test_a_key_that_is_shown_late_is_acknowledged_late(whole, tmp_path):
    async with replication_on(whole, tmp_path, 30.0) as (store, replication):
        whole.shim.hide_new_keys(0.5)
        began = time.monotonic()
        record = await create(replication, 60)
        assert time.monotonic() - began > 0.45
        assert store.list_hsm_keys(HsmKeyState.ACTIVE) == [record]
        assert [copy.member for copy in store.list_hsm_key_copies()] == ["whole"]


async def test_a_key_that_is_never_shown_is_undone(whole, tmp_path):
    async with replication_on(whole, tmp_path, 0.5) as (store, replication):
        whole.shim.hide_new_keys(600)
        with pytest.raises(HsmError):
            await create(replication, 20)
        assert {record.state for record in store.list_hsm_keys()} == {HsmKeyState.DESTROYED}
