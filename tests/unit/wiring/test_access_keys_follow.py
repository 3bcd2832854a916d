"""The access keys of a process follow the database; what is asked of principals that cannot be done is refused."""

import pytest

from fakes_keyring import count_a_change
from strongroom.config import CacheConfig, ClusterConfig, Config, Home, MemberConfig, PinSource
from strongroom.core import NoMemberError, RootId
from strongroom.keyring import CREDENTIALS, make_access_key
from strongroom.service import Caller
from strongroom.testing import RecordingEvents
from strongroom.wiring.data_plane import build_data_plane
from strongroom.wiring.policy_check import Case, check_policy_of
from strongroom.wiring.principals import MAX_ACCESS_KEYS, PrincipalError, Principals


@pytest.fixture
def config():
    members = [MemberConfig(name="hsm-a", profile="softhsm2", pin=PinSource(file="x"), token_label="hsm-a")]
    return Config(version=1, cluster=ClusterConfig(members=members), cache=CacheConfig(ttl_s=7.0))


@pytest.fixture
def home(bench, tmp_path):
    return Home(tmp_path)


@pytest.fixture
async def plane(bench, home, config):
    built = build_data_plane(config, home, bench.cluster, writer="api-1", clock=bench.clock)
    yield built
    built.close()


@pytest.fixture
async def domain_id(bench):
    domain = await bench.keyring.ciphers.new_domain(RootId(bench.root_id), CREDENTIALS)
    await bench.store.write(lambda tx: tx.insert_domain(domain))
    return domain.domain_id


async def add(bench, domain_id, principal="user/app", *roles):
    record, _ = await make_access_key(
        bench.keyring.ciphers, domain_id, principal=principal, roles=roles, now=1.0
    )
    await bench.store.write(lambda tx: tx.insert_access_key(record))
    return record.access_key_id


def caller(access_key_id):
    return Caller("user/app", access_key_id, "192.0.2.7", "eu-central-1", "request")


async def test_a_new_access_key_is_recognised_and_a_disabled_one_no_longer(bench, plane, domain_id):
    events, first = RecordingEvents(), await add(bench, domain_id)
    await plane.access_keys.follow(events)
    known = plane.service.find_credential(first)
    second = await add(bench, domain_id)
    assert plane.service.find_credential(second) is None
    await plane.access_keys.follow(events)
    assert plane.service.find_credential(second).principal == "user/app"
    assert plane.service.find_credential(first) is known  # what was derived from it stays good
    await bench.store.write(lambda tx: tx.set_access_key_active(first, is_active=False))
    await plane.access_keys.follow(events)
    assert plane.service.find_credential(first) is None


async def test_nothing_is_unwrapped_while_no_access_key_changes(bench, plane, domain_id):
    await add(bench, domain_id)
    await plane.access_keys.follow(RecordingEvents())
    bench.cluster.is_down = True
    count_a_change(bench.path)  # somebody commits something else
    await plane.access_keys.follow(RecordingEvents())


async def test_while_no_hsm_answers_those_that_were_known_go_on(bench, plane, domain_id):
    first = await add(bench, domain_id)
    await plane.access_keys.follow(RecordingEvents())
    await add(bench, domain_id)
    bench.clock.advance(3_600)
    plane.keyring.sweep()
    bench.cluster.is_down = True
    with pytest.raises(NoMemberError):
        await plane.access_keys.follow(RecordingEvents())
    assert plane.service.find_credential(first) is not None


async def test_last_uses_are_noted_for_access_keys_that_were_used(bench, plane, domain_id):
    used, idle = [await add(bench, domain_id) for _ in range(2)]
    await plane.access_keys.follow(RecordingEvents())
    await plane.service.get_caller_identity(caller(used))
    changes = bench.store.count_access_changes()
    await plane.access_keys.note_uses()
    assert bench.store.list_access_key_uses() == {used: bench.clock.now()}
    assert bench.store.count_access_changes() == changes  # nobody has to read anything again for it
    bench.clock.advance(60)
    await plane.access_keys.note_uses()
    assert bench.store.list_access_key_uses()[used] == bench.clock.now() - 60
    await bench.store.write(lambda tx: tx.delete_access_key(used))
    await plane.access_keys.note_uses()
    assert idle not in bench.store.list_access_key_uses()


@pytest.mark.parametrize(
    "name", ["", "app", "user/", "user/a b", "user/a\n", "root", "user/" + "a" * 65, "group/x"]
)
async def test_a_principal_has_a_name_that_policies_can_name(bench, home, config, name):
    with Principals.opened(home, config, bench.clock) as desk:
        with pytest.raises(PrincipalError, match="name"):
            await desk.create(name, (), RecordingEvents())
        with pytest.raises(PrincipalError, match="role"):
            await desk.create("user/app", ("admin",), RecordingEvents())


async def test_a_principal_has_a_bounded_number_of_access_keys(bench, home, config, domain_id):
    for _ in range(MAX_ACCESS_KEYS):
        await add(bench, domain_id)
    with Principals.opened(home, config, bench.clock) as desk:
        with pytest.raises(PrincipalError, match="most"):
            await desk.create("user/app", (), RecordingEvents())
        with pytest.raises(PrincipalError, match="no access key"):
            await desk.delete("AKIANOBODY")
        with pytest.raises(NoMemberError, match="control socket"):  # no service runs on this home
            await desk.create("user/other", (), RecordingEvents())
        assert len(desk.list()) == MAX_ACCESS_KEYS


async def test_a_case_is_decided_for_each_access_key_of_the_principal(bench, home, config, domain_id):
    made = await bench.service.create_key(bench.caller(), description="")
    user, operator = [await add(bench, domain_id, "user/app", role) for role in ("crypto-user", "operator")]
    case = Case(f"arn:aws:kms:eu-central-1:123456789012:key/{made.key_id}", "user/app", "Encrypt")
    found = {one.access_key_id: one.decision.is_allowed for one in check_policy_of(home, config, case)}
    assert found == {user: True, operator: False}
    (one,) = check_policy_of(home, config, case._replace(access_key_id=operator))
    assert (one.roles, one.decision.is_allowed) == (("operator",), False)
    (other,) = check_policy_of(home, config, case._replace(principal="user/other", access_key_id=user))
    assert (other.roles, other.decision.is_allowed) == ((), False)  # it is user/app's
    (nobody,) = check_policy_of(home, config, case._replace(principal="user/nobody"))
    assert (nobody.access_key_id, nobody.decision.is_allowed) == ("-", False)
