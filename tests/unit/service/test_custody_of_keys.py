"""Where the home has officers: keys inside HSMs are made, rotated and ended, and keys in use deleted, when they approved it."""

import pytest

from custody_service import DAY_S, OFFICERS_RULES, give_officers, sign
from fakes_direct_keys import CLUSTER
from strongroom.core import KeyOrigin, KeyState, Secret
from strongroom.keyring import KeyById, KeyKind, KeyStoreStateError
from strongroom.service import ApprovalPendingError, InRecentUseError, LifecycleRules, NoRuleError
from strongroom.storage import ApprovalState

JOBS = "strongroom/jobs"


class WatchedMaker:
    """The maker of Direct keys, and which approvals it was given."""

    def __init__(self, maker):
        self.maker = maker
        self.made, self.destroyed = [], []

    async def make(self, *what, approval=""):
        self.made.append(approval)
        return await self.maker.make(*what, approval=approval)

    async def destroy(self, key_id, *, approval=""):
        self.destroyed.append(approval)
        return await self.maker.destroy(key_id, approval=approval)


@pytest.fixture
def maker(bench):
    direct = bench.keyring.direct
    watched = WatchedMaker(direct._access.maker)
    direct._access = direct._access._replace(maker=watched)
    bench.keyring.key_stores._access = direct._access
    return watched


@pytest.fixture
async def store_id(bench, maker):
    made = await bench.service.create_custom_key_store(bench.caller(), name="hsm", cluster_id=CLUSTER)
    await bench.service.connect_custom_key_store(bench.caller(), made)
    return made


@pytest.fixture
async def custody(bench, store_id):
    return await give_officers(bench)


async def pending(awaitable):
    with pytest.raises(ApprovalPendingError) as waits:
        await awaitable
    return waits.value.approval


def create(bench, store_id):
    kind = KeyKind(origin=KeyOrigin.AWS_CLOUDHSM, store_id=store_id)
    return bench.service.create_key(bench.caller(), description="", kind=kind)


async def made_key(bench, custody, store_id):
    await sign(custody, await pending(create(bench, store_id)), "dora", "emil")
    return (await create(bench, store_id)).key_id


async def allow_standing(bench, custody, verb, free):
    now = custody.desk.now()
    terms = {
        "verb": verb, "fixed": {}, "free": free, "uses": 10, "rate_uses": 10, "rate_s": 60,
        "begins": now, "ends": now + 390 * DAY_S,
    }  # fmt: skip
    made = await bench.service.request_approval(bench.caller(), verb="AllowStanding", parameters=terms)
    await sign(custody, made.id, "dora", "emil")


def waiting_for_jobs(bench):
    (record,) = [
        record
        for record in bench.store.list_approvals(state=ApprovalState.OPEN, limit=100)
        if record.requester == JOBS
    ]
    return record


async def test_a_key_inside_hsms_is_made_once_officers_approved_that(bench, custody, maker, store_id):
    approval = await pending(create(bench, store_id))
    assert await pending(create(bench, store_id)) == approval
    assert maker.made == []
    await sign(custody, approval, "dora", "emil")
    made = await create(bench, store_id)
    assert maker.made == [approval]
    encrypted = await bench.service.encrypt(bench.caller(), KeyById(made.key_id), Secret(b"x"), context={})
    assert encrypted.key_id == made.key_id
    assert await pending(create(bench, store_id)) != approval
    (entry,) = [entry for entry in bench.entries() if entry.event == "approval.executed"]
    assert entry.detail["approval"] == approval
    calls = [entry for entry in bench.entries() if entry.event == "kms.CreateKey" and entry.kind == "outcome"]
    told = [(call.outcome, call.detail["approval"]) for call in calls if call.detail.get("store")]
    assert told[:3] == [("ApprovalPendingError", approval)] * 2 + [("ok", approval)]
    assert approval[:12] in calls[0].detail["error"]


async def test_a_key_that_is_outside_hsms_needs_nobody(bench, custody):
    await bench.service.create_key(bench.caller(), description="")
    assert bench.store.list_approvals(limit=1) == []


async def test_an_approval_is_given_back_when_the_key_could_not_be_begun(bench, custody, maker, store_id):
    approval = await pending(create(bench, store_id))
    await sign(custody, approval, "dora", "emil")
    await bench.service.disconnect_custom_key_store(bench.caller(), store_id)
    with pytest.raises(KeyStoreStateError):
        await create(bench, store_id)
    await bench.service.connect_custom_key_store(bench.caller(), store_id)
    await create(bench, store_id)
    assert maker.made == [approval]


async def test_rotation_on_demand_waits_and_rotation_by_schedule_goes_by_a_standing_approval(
    bench, custody, maker, store_id
):
    key_id = await made_key(bench, custody, store_id)
    approval = await pending(bench.service.rotate_key_on_demand(bench.caller(), key_id))
    await sign(custody, approval, "dora", "emil")
    await bench.service.rotate_key_on_demand(bench.caller(), key_id)
    assert maker.made[-1] == approval
    await bench.service.enable_key_rotation(bench.caller(), key_id, days=90)
    bench.clock.advance(91 * DAY_S)
    n_entries = len(bench.entries())
    assert await bench.service.rotate_due_keys() == 0
    asked = waiting_for_jobs(bench)
    assert asked.verb == "CreateHsmKey"
    assert [entry.outcome for entry in bench.entries()[n_entries:] if entry.kind == "outcome"] == [
        "ApprovalPendingError"
    ]
    n_entries = len(bench.entries())
    assert await bench.service.rotate_due_keys() == 0
    assert len(bench.entries()) == n_entries, "what waits for officers is not tried every minute"
    await allow_standing(bench, custody, "CreateHsmKey", ["spec", "usage", "may_leave"])
    assert await bench.service.rotate_due_keys() == 1
    assert bench.keyring.describe(KeyById(key_id)).state is KeyState.ACTIVE
    bench.clock.advance(91 * DAY_S)
    assert await bench.service.rotate_due_keys() == 1


async def test_keys_that_wait_for_officers_keep_no_other_from_its_rotation(bench, custody, store_id):
    waits = await made_key(bench, custody, store_id)
    other = (await bench.service.create_key(bench.caller(), description="")).key_id
    for key_id in (waits, other):
        await bench.service.enable_key_rotation(bench.caller(), key_id, days=90)
    bench.clock.advance(91 * DAY_S)
    assert await bench.service.rotate_due_keys() == 1
    assert len(bench.store.list_key_versions(other, after=0, limit=9)) == 2


async def test_a_key_whose_date_has_come_is_ended_once_officers_approved_just_its_keys(
    bench, custody, maker, store_id
):
    key_id = await made_key(bench, custody, store_id)
    await bench.service.schedule_key_deletion(bench.caller(), key_id, days=7)
    bench.clock.advance(8 * DAY_S)
    assert await bench.service.destroy_due_keys() == 0
    asked = waiting_for_jobs(bench)
    (version,) = bench.store.list_key_versions(key_id, after=0, limit=9)
    info = await bench.service.describe_approval(bench.caller(), asked.id)
    assert dict(info.parameters) == {"key_id": key_id, "hsm_keys": [version.hsm_key_id.hex()]}
    assert await bench.service.destroy_due_keys() == 0
    await sign(custody, asked.id, "dora", "emil")
    assert await bench.service.destroy_due_keys() == 1
    assert maker.destroyed == [asked.id]
    *_, outcome = [entry for entry in bench.entries() if entry.event == "keyring.DestroyKey"]
    assert (outcome.outcome, outcome.detail["approval"]) == ("ok", asked.id)
    assert bench.store.get_key(key_id).state is KeyState.DESTROYED


async def test_deletion_of_a_key_in_use_waits_where_the_configuration_says_so(bench, custody):
    key_id = (await bench.service.create_key(bench.caller(), description="")).key_id
    bench.service.rules = LifecycleRules(deletion_needs_approval=True)
    await bench.service.encrypt(bench.caller(), KeyById(key_id), Secret(b"x"), context={})
    await bench.keyring.last_uses.flush()
    approval = await pending(bench.service.schedule_key_deletion(bench.caller(), key_id, days=7))
    assert bench.store.get_key(key_id).state is KeyState.ACTIVE
    assert await pending(bench.service.schedule_key_deletion(bench.caller(), key_id, days=8)) != approval
    await sign(custody, approval, "dora", "emil")
    await bench.service.schedule_key_deletion(bench.caller(), key_id, days=7)
    assert bench.store.get_key(key_id).destroy_at is not None


async def test_a_version_in_recent_use_is_retired_once_an_officer_approved_it(bench, custody):
    key_id = (await bench.service.create_key(bench.caller(), description="")).key_id
    await bench.service.rotate_key_on_demand(bench.caller(), key_id)
    approval = await pending(bench.service.retire_key_version(bench.caller(), key_id, version=1))
    await sign(custody, approval, "dora")
    assert (await bench.service.retire_key_version(bench.caller(), key_id, version=1)).version == 1
    assert bench.store.get_approval(approval).state is ApprovalState.EXECUTED


async def test_a_direct_version_in_recent_use_takes_both_approvals_and_spends_neither_alone(
    bench, custody, store_id
):
    key_id = await made_key(bench, custody, store_id)
    await sign(
        custody, await pending(bench.service.rotate_key_on_demand(bench.caller(), key_id)), "dora", "emil"
    )
    await bench.service.rotate_key_on_demand(bench.caller(), key_id)
    first = await pending(bench.service.retire_key_version(bench.caller(), key_id, version=1))
    await sign(custody, first, "dora")
    second = await pending(bench.service.retire_key_version(bench.caller(), key_id, version=1))
    assert bench.store.get_approval(first).state is ApprovalState.OPEN
    assert bench.store.get_approval(second).verb == "DestroyHsmKey"
    await sign(custody, second, "dora", "emil")
    await bench.service.retire_key_version(bench.caller(), key_id, version=1)
    assert {bench.store.get_approval(each).state for each in (first, second)} == {ApprovalState.EXECUTED}
    *_, outcome = [entry for entry in bench.entries() if entry.event == "strongroom.RetireKeyVersion"]
    assert (outcome.outcome, outcome.detail["approval"]) == ("ok", f"{first} {second}")


async def test_without_a_rule_nothing_is_made(bench, maker, store_id):
    rules = {verb: rule for verb, rule in OFFICERS_RULES.items() if verb != "CreateHsmKey"}
    await give_officers(bench, rules=rules)
    with pytest.raises(NoRuleError):
        await create(bench, store_id)
    assert maker.made == []


async def test_a_home_without_officers_goes_on_as_before(bench, maker, store_id):
    made = await create(bench, store_id)
    await bench.service.rotate_key_on_demand(bench.caller(), made.key_id)
    assert maker.made == ["", ""]
    with pytest.raises(InRecentUseError, match="no approval covers"):
        await bench.service.retire_key_version(bench.caller(), made.key_id, version=1)
    await bench.service.schedule_key_deletion(bench.caller(), made.key_id, days=7)
    bench.clock.advance(8 * DAY_S)
    assert await bench.service.destroy_due_keys() == 1
    assert maker.destroyed == [""]
