"""What main does about Direct keys for API processes: no more than it checked itself, and nothing half made stays."""

import asyncio
import os
import uuid
from contextlib import suppress

import pytest

from fakes_replication import CLOCK, FakeCluster, Killed
from fakes_runtime import until
from fresh_database import fresh_database
from strongroom.core import (
    ApprovalRequiredError,
    HsmKeyLimitError,
    HsmRequestError,
    KeyOrigin,
    KeySpec,
    KeyState,
    KeyUsage,
    MemberBusyError,
    NoMemberError,
    TooFewMembersError,
)
from strongroom.runtime import _key_door, _key_making
from strongroom.runtime._control import ControlServer
from strongroom.runtime._control_client import ControlClient
from strongroom.runtime._key_door import KeyDoor
from strongroom.runtime._key_making import KeyMaking
from strongroom.runtime._key_requests import DestroyKey, MakeKey
from strongroom.runtime._keys_at_main import KeysAtMain
from strongroom.storage import DomainRecord, HsmKeyState, KeyRecord, KeyVersionRecord, Store

AES, ENCRYPTS = KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT
DOMAIN = "00000000-0000-4000-8000-000000000001"
MATERIAL = "ab" * 32
NEVER, LONG_AGO = 4e9, 1.0


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "strongroom.db"
    fresh_database(path)
    return path.read_bytes()


@pytest.fixture
async def cluster(blank_database, tmp_path):
    path = tmp_path / "strongroom.db"
    path.write_bytes(blank_database)
    with Store.open(path) as store:
        made = FakeCluster(store, ("alpha", "beta"))
        await made.make()
        await made.join_all()
        domain = DomainRecord(DOMAIN, made.root.root_id, "shard", b"wrapped", 0, 1.0)
        await store.write(lambda tx: tx.insert_domain(domain))
        yield made


def making_of(cluster, most_keys=10):
    return KeyMaking(
        cluster.store, cluster.replication, most_keys=most_keys, events=cluster.events, clock=CLOCK
    )


@pytest.fixture
async def making(cluster):
    made = making_of(cluster)
    await made.start()
    yield made
    made.close()


def request(key_id=None, version=1, spec=AES, usage=ENCRYPTS):
    return MakeKey(7, key_id or str(uuid.uuid4()), version, spec, usage)


async def claim(cluster, asked, made, **changes):
    """Store the version that a key was made for, as the API process does that asked for it."""
    record = KeyRecord(asked.key_id, KeyState.ACTIVE, "", 1.0, DOMAIN, 1, MATERIAL)
    record = record._replace(**{"origin": KeyOrigin.AWS_CLOUDHSM, **changes})
    version = KeyVersionRecord(asked.key_id, asked.version, MATERIAL, b"", 1.0, b"", made.hsm_key_id)

    def insert(tx):
        if asked.version == 1:
            tx.insert_key(record)
        tx.insert_key_version(version)

    await cluster.store.write(insert)


def holders(cluster, made):
    return {name for name, hsm in cluster.hsms.items() if made.hsm_key_id in hsm.direct._held}


def state(cluster, made):
    return cluster.store.get_hsm_key(made.hsm_key_id).state


async def test_a_key_is_on_every_member_and_in_the_records(cluster, making):
    asked = request(spec=KeySpec.ECC_NIST_P256, usage=KeyUsage.SIGN_VERIFY)
    made = await making.make(asked, "api")
    record = cluster.store.get_hsm_key(made.hsm_key_id)
    assert (record.state, record.made_for) == (HsmKeyState.ACTIVE, f"{asked.key_id}/1")
    assert record.public_key == made.public_key != b""
    assert (made.call, holders(cluster, made)) == (7, {"alpha", "beta"})


async def test_asked_again_for_the_same_version_it_is_the_same_key(cluster, making):
    asked = request()
    first, second = await asyncio.gather(making.make(asked, "one"), making.make(asked, "two"))
    third = await making.make(asked, "one")
    assert first.hsm_key_id == second.hsm_key_id == third.hsm_key_id
    assert cluster.store.count_hsm_keys() == 1
    with pytest.raises(HsmRequestError, match="another kind"):
        await making.make(request(asked.key_id, 1, KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC), "one")


async def test_what_nobody_claims_in_time_is_destroyed_and_what_is_claimed_stays(
    cluster, making, monkeypatch
):
    kept_request = request()
    kept = await making.make(kept_request, "api")
    await claim(cluster, kept_request, kept)
    monkeypatch.setattr(_key_making, "_CLAIM_LIMIT_S", 0.05)
    left = await making.make(request(), "api")
    await until(lambda: state(cluster, left) is HsmKeyState.DESTROYED and not holders(cluster, left))
    assert (state(cluster, kept), holders(cluster, kept)) == (HsmKeyState.ACTIVE, {"alpha", "beta"})


async def test_the_key_of_a_retired_version_is_destroyed_and_a_new_one_has_time(cluster, making, monkeypatch):
    monkeypatch.setattr(_key_making, "_CLAIM_LIMIT_S", 0.05)
    asked, other = request(), request()
    made = await making.make(asked, "api")
    await claim(cluster, asked, made)
    await claim(cluster, other, await making.make(other, "api"))
    await until(lambda: not making._unclaimed)
    version = cluster.store.get_key_version(asked.key_id, 1)
    retired = version._replace(hsm_key_id=b"", retired_at=2.0)
    await cluster.store.write(lambda tx: tx.change_key_version(retired))
    await asyncio.sleep(0.3)
    assert holders(cluster, made) == {"alpha", "beta"}
    monkeypatch.setattr(_key_making, "_LEFT_BEHIND_S", -1.0)
    await until(lambda: state(cluster, made) is HsmKeyState.DESTROYED and not holders(cluster, made))
    assert cluster.store.count_hsm_keys() == 1


async def test_when_its_asker_has_gone_an_unclaimed_key_is_destroyed_at_once(cluster, making, monkeypatch):
    monkeypatch.setattr(_key_making, "_CLAIM_LIMIT_S", 3600.0)
    one = await making.make(request(), "gone")
    another = await making.make(request(), "there")
    making.lost("gone")
    await until(lambda: not holders(cluster, one))
    assert holders(cluster, another) == {"alpha", "beta"}


async def test_an_asker_that_goes_while_its_key_is_made_leaves_none_and_is_forgotten(
    cluster, making, monkeypatch
):
    monkeypatch.setattr(_key_making, "_CLAIM_LIMIT_S", 3600.0)
    asking = asyncio.ensure_future(making.make(request(), "gone"))
    await until(cluster.store.list_hsm_keys)
    making.lost("gone")
    made = await asking
    await until(lambda: not holders(cluster, made))
    making.lost("who never asked")
    assert not making._gone


async def test_a_new_start_destroys_what_no_version_names(cluster, making):
    claimed_request = request()
    claimed = await making.make(claimed_request, "api")
    await claim(cluster, claimed_request, claimed)
    left = await making.make(request(), "api")
    others = await cluster.create()  # for nothing that the service knows
    making.close()
    again = making_of(cluster)
    await again.start()
    again.close()
    assert (state(cluster, left), holders(cluster, left)) == (HsmKeyState.DESTROYED, set())
    assert state(cluster, claimed) is HsmKeyState.ACTIVE
    assert cluster.store.get_hsm_key(others.key_id).state is HsmKeyState.ACTIVE


@pytest.mark.parametrize("step", range(0, 24, 3))
async def test_a_main_that_dies_while_it_makes_a_key_leaves_nothing_of_it(cluster, step):
    making = making_of(cluster)
    cluster.life.dies_after = step
    with suppress(Killed, Exception):
        await making.make(request(), "api")
    making.close()
    await cluster.start()  # a new life: nobody serves yet
    again = making_of(cluster)
    await again.start()
    await cluster.join_all()
    again.close()
    assert cluster.store.list_hsm_keys(HsmKeyState.ACTIVE) == []
    assert cluster.store.list_hsm_keys(HsmKeyState.PENDING) == []
    assert all(not hsm.direct._held for hsm in cluster.hsms.values())


async def test_beyond_the_places_to_wait_in_a_request_is_told_to_come_again(cluster, making, monkeypatch):
    monkeypatch.setattr(_key_making, "_MOST_WAITING", 2)
    asked = [making.make(request(), "api") for _ in range(5)]
    made = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, MemberBusyError) for one in made) == 3
    assert cluster.store.count_hsm_keys() == 2


async def test_no_more_keys_are_made_than_there_may_be(cluster):
    making = making_of(cluster, most_keys=1)
    await making.make(request(), "api")
    with pytest.raises(HsmKeyLimitError, match="max_direct_keys"):
        await making.make(request(), "api")
    making.close()


async def test_creations_side_by_side_do_not_pass_the_limit(cluster):
    making = making_of(cluster, most_keys=3)
    await making.make(request(), "api")
    outcomes = await asyncio.gather(
        *(making.make(request(), "api") for _ in range(6)), return_exceptions=True
    )
    making.close()
    refused = [outcome for outcome in outcomes if isinstance(outcome, HsmKeyLimitError)]
    assert (len(refused), len(outcomes) - len(refused)) == (4, 2)
    assert cluster.store.count_hsm_keys() == 3


@pytest.mark.parametrize(
    ("version", "spec", "usage", "changes"),
    [
        (2, KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC, {}),
        (2, AES, ENCRYPTS, {"origin": KeyOrigin.AWS_KMS}),
        (1, KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC, {}),
    ],
)
async def test_a_key_of_another_kind_than_the_services_own_is_not_made_and_holds_up_no_rotation(
    cluster, making, version, spec, usage, changes
):
    asked = request()
    await claim(cluster, asked, await making.make(asked, "api"), **changes)
    with pytest.raises(HsmRequestError, match="another kind"):
        await making.make(request(asked.key_id, version, spec, usage), "rogue")
    assert cluster.store.count_hsm_keys() == 1
    if not changes:
        assert (await making.make(request(asked.key_id, 2), "api")).hsm_key_id


async def test_a_further_version_of_a_key_that_is_not_there_is_not_made(cluster, making):
    with pytest.raises(HsmRequestError, match="no such key"):
        await making.make(request(version=2), "api")
    assert cluster.store.list_hsm_keys() == []


async def test_a_usage_that_no_such_key_has_is_refused_before_any_hsm_is_asked(cluster, making):
    with pytest.raises(HsmRequestError, match="cannot be made for"):
        await making.make(request(usage=KeyUsage.SIGN_VERIFY), "api")
    assert cluster.store.list_hsm_keys() == []


async def test_too_few_members_is_an_error_of_its_own_and_leaves_nothing(cluster, making):
    cluster.serving.remove("beta")
    with pytest.raises(TooFewMembersError, match="1 of the 2"):
        await making.make(request(), "api")
    await until(lambda: not cluster.hsms["alpha"].direct._held)
    assert cluster.store.list_hsm_keys(HsmKeyState.ACTIVE) == []


async def test_a_key_whose_date_has_come_is_destroyed_with_every_version_on_every_member(cluster, making):
    first_request = request()
    first = await making.make(first_request, "api")
    await claim(cluster, first_request, first, state=KeyState.SUSPENDED, destroy_at=LONG_AGO)
    second_request = request(first_request.key_id, 2)
    second = await making.make(second_request, "api")
    await claim(cluster, second_request, second)
    answer = await making.destroy(DestroyKey(3, first_request.key_id))
    assert (answer.was_due, answer.n_versions, answer.left_on) == (True, 2, [])
    for made in (first, second):
        assert (state(cluster, made), holders(cluster, made)) == (HsmKeyState.DESTROYED, set())
    assert cluster.store.get_key(first_request.key_id).state is KeyState.DESTROYED
    assert cluster.store.get_key_version(first_request.key_id, 1) is None
    again = await making.destroy(DestroyKey(4, first_request.key_id))
    assert (again.call, again.was_due) == (4, False)


async def test_a_member_that_is_away_is_told_and_does_without_the_key_before_it_serves_again(cluster, making):
    asked = request()
    made = await making.make(asked, "api")
    await claim(cluster, asked, made, state=KeyState.SUSPENDED, destroy_at=LONG_AGO)
    cluster.serving.remove("beta")
    assert (await making.destroy(DestroyKey(3, asked.key_id))).left_on == ["beta"]
    assert holders(cluster, made) == {"beta"}
    await cluster.join("beta")
    assert holders(cluster, made) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": KeyState.SUSPENDED},
        {"state": KeyState.SUSPENDED, "destroy_at": NEVER},
        {"state": KeyState.SUSPENDED, "destroy_at": LONG_AGO, "origin": KeyOrigin.AWS_KMS},
        {"state": KeyState.DESTROYED, "destroy_at": LONG_AGO},
    ],
)
async def test_whatever_is_not_due_by_the_clock_of_main_is_not_destroyed(cluster, making, changes):
    asked = request()
    made = await making.make(asked, "api")
    await claim(cluster, asked, made, **changes)
    before = cluster.store.get_key(asked.key_id)
    assert not (await making.destroy(DestroyKey(3, asked.key_id))).was_due
    assert not (await making.destroy(DestroyKey(3, str(uuid.uuid4())))).was_due
    assert cluster.store.get_key(asked.key_id) == before
    assert holders(cluster, made) == {"alpha", "beta"}


class Door:
    """The control socket with a door for keys, and one API process's end of it."""

    def __init__(self, server, client, keys, following):
        self.server, self.client, self.keys, self.following = server, client, keys, following


@pytest.fixture
async def door(cluster, making, short_folder):
    server = ControlServer(lambda _suspicion: None)
    server.keys = KeyDoor(making, lambda: server.known, events=cluster.events)
    server.known = set()
    await server.listen(short_folder / "control")
    client = await ControlClient.connect(str(short_folder / "control"))
    keys = KeysAtMain(client.ask)
    following = asyncio.ensure_future(client.follow(lambda _table: None, answered=keys.answered))
    yield Door(server, client, keys, following)
    following.cancel()
    server.close()
    await asyncio.gather(following, return_exceptions=True)


def know_this_process(door):
    door.server.known.add(os.getpid())


async def test_an_api_process_has_keys_made_and_destroyed_over_the_control_socket(cluster, door):
    know_this_process(door)
    asked = request()
    made = await door.keys.make(asked.key_id, 1, AES, ENCRYPTS)
    await claim(cluster, asked, made, state=KeyState.SUSPENDED, destroy_at=LONG_AGO)
    with pytest.raises(HsmRequestError, match="cannot be made for"):
        await door.keys.make(str(uuid.uuid4()), 1, AES, KeyUsage.KEY_AGREEMENT)
    assert await door.keys.destroy(str(uuid.uuid4())) is None
    assert await door.keys.destroy(asked.key_id) == (1, 0, ())


async def test_a_process_that_main_did_not_start_is_not_heard(cluster, door, monkeypatch):
    monkeypatch.setattr(_key_door, "_KNOWN_WITHIN_S", 0.1)
    with pytest.raises(ApprovalRequiredError, match="no API process"):
        await door.keys.make(str(uuid.uuid4()), 1, AES, ENCRYPTS)
    assert cluster.store.list_hsm_keys() == []


async def test_an_api_process_that_has_just_begun_is_heard_once_it_is_known(door):
    asking = asyncio.ensure_future(door.keys.make(str(uuid.uuid4()), 1, AES, ENCRYPTS))
    await asyncio.sleep(0.1)
    know_this_process(door)
    assert (await asking).hsm_key_id


async def test_what_an_api_process_had_made_ends_with_it(cluster, door):
    know_this_process(door)
    made = await door.keys.make(str(uuid.uuid4()), 1, AES, ENCRYPTS)
    door.following.cancel()  # closes its connection
    await until(lambda: not holders(cluster, made))


@pytest.mark.parametrize("key_id", ["", "x", "0" * 36, "../../etc", "A" * 8 + "-0000-0000-0000-000000000000"])
async def test_who_asks_for_what_has_no_form_is_cut_off(door, key_id):
    know_this_process(door)
    door.client.ask(MakeKey(1, key_id, 1, AES, ENCRYPTS))
    await asyncio.wait_for(door.following, 10)


async def test_when_main_has_gone_nobody_waits_for_it(door):
    know_this_process(door)
    asking = asyncio.ensure_future(door.keys.destroy(str(uuid.uuid4())))
    door.keys.over()
    for waiting in (asking, door.keys.destroy(str(uuid.uuid4()))):
        with pytest.raises(NoMemberError, match="gone"):
            await waiting
