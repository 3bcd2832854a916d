"""The end of versions and keys in recent use needs an approval, which nobody can give yet; evidence needs none."""

import pytest

from strongroom.core import ApprovalRequiredError, KeyState, Secret
from strongroom.keyring import KeyById
from strongroom.service import InRecentUseError, LifecycleRules
from unit.service.verbs_of_versions import inventory_of

DAY_S = 86_400.0


class OpenGate:
    """A gate that knows of an approval for everything, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def check(self, verb, parameters):
        self.asked.append((verb, dict(parameters)))


@pytest.fixture
async def rotated_id(bench, service, key_id):
    bench.clock.advance(20 * 365 * DAY_S)
    await service.rotate_key_on_demand(bench.caller(), key_id)
    return key_id


def last_entries(bench, caller):
    return [(entry.kind, entry.outcome) for entry in bench.entries() if entry.request_id == caller.request_id]


async def test_a_version_in_recent_use_stays_and_the_refusal_begins_nothing(bench, service, rotated_id):
    caller = bench.caller()
    with pytest.raises(InRecentUseError, match="in use within 30 days") as refused:
        await service.retire_key_version(caller, rotated_id, version=1)
    assert isinstance(refused.value, ApprovalRequiredError)
    assert last_entries(bench, caller) == [("outcome", "InRecentUseError")]
    assert bench.stores[0].get_key_version(rotated_id, 1).wrapped


async def test_an_approval_lets_it_go(bench, service, rotated_id):
    gate = OpenGate()
    service.rules = LifecycleRules(gate=gate)
    await service.retire_key_version(bench.caller(), rotated_id, version=1)
    assert set(map(str, gate.asked)) == {str(("RetireKeyVersion", {"key_id": rotated_id, "version": 1}))}
    assert not bench.stores[0].get_key_version(rotated_id, 1).wrapped


async def test_evidence_lets_it_go_and_is_named_in_the_entry(bench, service, rotated_id):
    bench.clock.advance(60)
    inventory = inventory_of(bench, rotated_id)
    await service.record_inventory(bench.caller(), rotated_id, inventory=inventory)
    bench.clock.advance(120)
    (first, _) = (await service.list_key_uses(bench.caller(), rotated_id)).versions
    assert (first.is_in_use, first.closed_by) == (False, inventory.digest)
    caller = bench.caller()
    await service.retire_key_version(caller, rotated_id, version=1)
    *_, outcome = [entry for entry in bench.entries() if entry.request_id == caller.request_id]
    assert outcome.detail == {
        "version": "1",
        "inventory": inventory.digest,
        "allowed_by": "role:crypto-officer",
    }
    (first, _) = (await service.list_key_uses(bench.caller(), rotated_id)).versions
    assert (first.retired_at, first.is_in_use) == (bench.clock.now(), False)


async def test_what_was_used_a_moment_ago_in_this_process_is_known(bench, service, rotated_id):
    bench.clock.advance(31 * DAY_S)
    material_id = bench.stores[0].get_key_version(rotated_id, 1).material_id
    bench.keyring.last_uses.note(rotated_id, material_id, "Decrypt", "r", is_processing=True)
    with pytest.raises(InRecentUseError):
        await service.retire_key_version(bench.caller(), rotated_id, version=1)


async def test_without_a_window_nothing_is_in_recent_use(bench, service, rotated_id):
    service.rules = LifecycleRules(recent_use_days=0)
    assert (await service.retire_key_version(bench.caller(), rotated_id, version=1)).version == 1


async def test_keys_are_scheduled_for_deletion_as_aws_does_unless_the_configuration_says_otherwise(
    bench, service, rotated_id
):
    await bench.service.encrypt(bench.caller(), KeyById(rotated_id), Secret(b"data"), context={})
    await service.flush_key_uses()
    service.rules = LifecycleRules(deletion_needs_approval=True)
    caller = bench.caller()
    with pytest.raises(InRecentUseError):
        await service.schedule_key_deletion(caller, rotated_id, days=7)
    assert last_entries(bench, caller) == [("outcome", "InRecentUseError")]
    assert (await service.describe_key(bench.caller(), KeyById(rotated_id))).state is KeyState.ACTIVE
    unused = await service.create_key(bench.caller(), description="never used")
    await service.schedule_key_deletion(bench.caller(), unused.key_id, days=7)
    bench.clock.advance(31 * DAY_S)
    await service.schedule_key_deletion(bench.caller(), rotated_id, days=7)
    service.rules = LifecycleRules()
    made = await service.create_key(bench.caller(), description="used")
    await bench.service.encrypt(bench.caller(), KeyById(made.key_id), Secret(b"data"), context={})
    await service.flush_key_uses()
    await service.schedule_key_deletion(bench.caller(), made.key_id, days=7)
