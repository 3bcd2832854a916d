"""Who may still store the version of a Direct key that was made: as long as anybody may, it stays; then it goes."""

import asyncio
import uuid

import pytest

from fakes_replication import CLOCK, FakeCluster
from fakes_runtime import until
from fresh_database import fresh_database
from strongroom.core import KeySpec, KeyUsage
from strongroom.runtime import _key_making
from strongroom.runtime._key_making import KeyMaking
from strongroom.runtime._key_requests import MakeKey
from strongroom.storage import HsmKeyState, Store


@pytest.fixture
async def cluster(tmp_path):
    fresh_database(tmp_path / "strongroom.db")
    with Store.open(tmp_path / "strongroom.db") as store:
        made = FakeCluster(store, ("alpha", "beta"))
        await made.make()
        await made.join_all()
        yield made


@pytest.fixture
async def making(cluster):
    made = KeyMaking(cluster.store, cluster.replication, most_keys=10, events=cluster.events, clock=CLOCK)
    await made.start()
    yield made
    made.close()


def new_request():
    return MakeKey(7, str(uuid.uuid4()), 1, KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)


def state(cluster, made):
    return cluster.store.get_hsm_key(made.hsm_key_id).state


async def test_a_key_that_two_asked_for_stays_while_one_of_them_may_still_store_it(
    cluster, making, monkeypatch
):
    asked = new_request()
    made = await making.make(asked, "first")
    assert await making.make(asked, "second") == made
    making.lost("first")
    await asyncio.sleep(0.05)
    assert state(cluster, made) is HsmKeyState.ACTIVE
    making.lost("second")
    await until(lambda: state(cluster, made) is HsmKeyState.DESTROYED)


async def test_whatever_goes_wrong_as_keys_that_nobody_claimed_are_destroyed_it_is_tried_again(
    cluster, making, monkeypatch
):
    monkeypatch.setattr(_key_making, "_TRY_AGAIN_S", 0.01)
    destroy_chosen, errors = cluster.replication.destroy_chosen, [ValueError("a bug"), OSError("disk")]

    async def failing(choose, *, deadline):
        if errors:
            raise errors.pop()
        return await destroy_chosen(choose, deadline=deadline)

    cluster.replication.destroy_chosen = failing
    made = await making.make(new_request(), "process")
    making.lost("process")
    await until(lambda: state(cluster, made) is HsmKeyState.DESTROYED)
    causes = [told["cause"] for told in cluster.events.named("key.unclaimed_not_destroyed")]
    assert causes == ["OSError", "ValueError"]
