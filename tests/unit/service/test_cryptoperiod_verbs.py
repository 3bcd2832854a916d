"""Limits of keys are set by who may, and what follows from them by itself is in the audit log: before it is done, and after."""

import asyncio

import pytest

from strongroom.core import (
    AuditUnavailableError,
    KeyState,
    KeyUsage,
    ManagedKeySpec,
    NoMemberError,
    Secret,
)
from strongroom.keyring import KeyById, KeyKind
from strongroom.service import ROLES_FOR, AccessDeniedError, Role
from strongroom.service._audited import event_of
from unit.service.verbs_of_versions import VERSION_CHANGES, VERSION_VERBS

DAY_S = 86_400.0


def entries_of(bench, **wanted):
    return [
        entry
        for entry in bench.entries()
        if all(getattr(entry, name) == value for name, value in wanted.items())
    ]


async def encrypt(bench, key_id):
    return await bench.service.encrypt(bench.caller(), KeyById(key_id), Secret(b"data"), context={})


@pytest.mark.parametrize("verb", VERSION_VERBS)
async def test_a_call_leaves_one_outcome_and_a_change_one_intent_before_it(bench, key_id, verb):
    caller = bench.caller()
    await VERSION_VERBS[verb](bench, caller, key_id)
    entries = entries_of(bench, request_id=caller.request_id)
    is_change = verb in VERSION_CHANGES
    assert [entry.kind for entry in entries] == (["intent"] if is_change else []) + ["outcome"]
    assert {(entry.event, entry.key_id) for entry in entries} == {(event_of(verb), key_id)}
    assert entries[-1].outcome == "ok"


@pytest.mark.parametrize("verb", VERSION_VERBS)
async def test_only_callers_with_the_role_may(bench, key_id, verb):
    for role in Role:
        caller = bench.caller(f"user/{role}")
        if role in ROLES_FOR[verb]:
            await VERSION_VERBS[verb](bench, caller, key_id)
            continue
        with pytest.raises(AccessDeniedError):
            await VERSION_VERBS[verb](bench, caller, key_id)
        assert [entry.outcome for entry in entries_of(bench, request_id=caller.request_id)] == [
            "AccessDeniedError"
        ]


async def test_a_rotation_that_a_caller_waits_for_is_recorded_once_and_before_it(bench, service, key_id):
    await service.set_cryptoperiod(bench.caller(), key_id, days=0, max_uses=5)
    made = await asyncio.gather(*(encrypt(bench, key_id) for _ in range(8)))
    assert len({one.material_id for one in made}) == 2
    intent, outcome = entries_of(bench, event="keyring.RotateKey")
    assert (intent.kind, intent.principal) == ("intent", "strongroom")
    assert (outcome.outcome, outcome.detail) == ("ok", {"version": "2", "because": "uses"})
    assert outcome.key_version in {one.material_id for one in made}


async def test_without_an_entry_no_version_is_made_and_nothing_encrypted(bench, service, key_id):
    await service.set_cryptoperiod(bench.caller(), key_id, days=1, max_uses=0)
    bench.clock.advance(DAY_S)
    bench.disk.decide = lambda asked: "lost" if asked == "sync" else None
    with pytest.raises(AuditUnavailableError):
        await encrypt(bench, key_id)
    assert bench.stores[0].get_key(key_id).current_version == 1


async def test_who_waits_for_a_version_that_cannot_be_made_is_told_why(bench, service, key_id):
    await service.set_cryptoperiod(bench.caller(), key_id, days=1, max_uses=0)
    bench.clock.advance(DAY_S)
    bench.cluster.is_down = True
    with pytest.raises(NoMemberError):
        await encrypt(bench, key_id)
    bench.cluster.is_down = False
    await encrypt(bench, key_id)
    outcomes = [entry.outcome for entry in entries_of(bench, event="keyring.RotateKey", kind="outcome")]
    assert outcomes == ["NoMemberError", "ok"]


async def test_keys_over_their_period_are_rotated_by_the_service_itself(bench, service, key_id):
    await service.set_cryptoperiod(bench.caller(), key_id, days=1, max_uses=0)
    bench.clock.advance(DAY_S)
    assert await service.rotate_due_keys() == 1
    assert await service.rotate_due_keys() == 0
    (outcome,) = entries_of(bench, event="keyring.RotateKey", kind="outcome")
    assert outcome.detail == {"version": "2", "because": "period"}


async def test_a_warning_stands_in_the_log_once(bench, service):
    kind = KeyKind(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    made = await service.create_key(bench.caller(), description="mac", kind=kind)
    await service.set_cryptoperiod(bench.caller(), made.key_id, days=10, max_uses=50)
    assert await service.warn_of_cryptoperiods() == 0
    bench.clock.advance(9 * DAY_S)
    assert await service.warn_of_cryptoperiods() == 1
    assert await service.warn_of_cryptoperiods() == 0
    intent, outcome = entries_of(bench, event="keyring.WarnOfCryptoperiod")
    assert (intent.kind, outcome.outcome, outcome.key_id) == ("intent", "ok", made.key_id)
    assert outcome.detail["uses"] == "0 of 50"
    assert outcome.detail["ends_at"].endswith("Z")


async def test_what_was_used_a_moment_ago_gets_no_date_of_activation(bench, service, key_id):
    await encrypt(bench, key_id)
    with pytest.raises(Exception, match="used already"):
        await service.set_activation_date(bench.caller(), key_id, at=bench.clock.now() + 1)
    info = await service.describe_key(bench.caller(), KeyById(key_id))
    assert info.state is KeyState.ACTIVE
