"""When the audit log cannot be written, nothing is changed and nothing is answered."""

import pytest

from strongroom.audit import read_entries
from strongroom.core import AuditUnavailableError, KeyState
from strongroom.keyring import KeyById
from strongroom.service import AccessDeniedError, Refusal
from unit.service.verbs import CHANGES, VERBS, everything_in, make_ready_for, sealed_by


@pytest.mark.parametrize("verb", VERBS)
async def test_on_a_closed_log_no_verb_answers_and_none_has_an_effect(bench, service, key_id, verb):
    sealed = await sealed_by(service, bench.caller(), key_id)
    await make_ready_for(verb, service, bench.caller(), key_id)
    before = everything_in(bench)
    bench.audit.close()
    bench.store.seen.clear()
    with pytest.raises(AuditUnavailableError):
        await VERBS[verb](service, bench.caller(), key_id, sealed)
    assert everything_in(bench) == before
    assert bench.store.seen == []


@pytest.mark.parametrize("fault", ["lost", "half", "persisted"])
@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("verb", sorted(CHANGES))
async def test_a_change_whose_intent_cannot_be_made_durable_does_not_happen(
    bench, service, key_id, verb, call, fault
):
    await make_ready_for(verb, service, bench.caller(), key_id)
    before, logged = everything_in(bench), len(bench.entries())
    bench.disk.decide = lambda asked: fault if asked == call else None
    bench.store.seen.clear()
    with pytest.raises(AuditUnavailableError):
        await VERBS[verb](service, bench.caller(), key_id, b"")
    assert everything_in(bench) == before
    assert bench.store.seen == []
    bench.disk.decide = lambda _asked: None
    bench.audit.close()
    kept = [entry for entry in read_entries(bench.directory) if not entry.event.startswith("log.")]
    assert len(kept) == logged


async def test_a_change_whose_outcome_cannot_be_recorded_is_not_confirmed_and_its_intent_tells_of_it(
    bench, service, key_id
):
    syncs = []

    def fail_the_second(asked):
        syncs.append(asked)
        return "lost" if syncs.count("sync") >= 2 else None

    bench.disk.decide = fail_the_second
    with pytest.raises(AuditUnavailableError):
        await service.disable_key(bench.caller(), key_id)
    bench.disk.decide = lambda _asked: None
    assert bench.keyring.describe(KeyById(key_id)).state is KeyState.SUSPENDED
    bench.audit.close()
    last = [entry for entry in read_entries(bench.directory) if not entry.event.startswith("log.")][-1]
    assert (last.kind, last.event, last.key_id) == ("intent", "kms.DisableKey", key_id)


async def test_a_refusal_that_cannot_be_recorded_is_no_answer_either(bench, service, key_id):
    bench.audit.close()
    with pytest.raises(AuditUnavailableError):
        await service.record_refusal(Refusal("Decrypt", "x", "-", "-", "-"))
    with pytest.raises(AuditUnavailableError) as refused:
        await service.create_key(bench.caller("user/stranger"), description="x")
    assert isinstance(refused.value.__context__, AccessDeniedError)
