"""No effect without an intent in the log, no answer without an outcome, and no secret in either."""

import asyncio
import base64
import contextlib

import pytest

from strongroom.core import NoMemberError, Secret
from strongroom.keyring import (
    InvalidCiphertextError,
    KeyByAlias,
    KeyById,
    KeyNotFoundError,
    KeyringError,
    KeyStateError,
)
from strongroom.service import FOR_EVERYBODY, GrantNotFoundError, Refusal
from strongroom.service._audited import event_of
from unit.service.verbs import (
    CHANGES,
    CONTEXT,
    DESCRIPTION,
    PLAINTEXT,
    TAGS,
    VERBS,
    make_ready_for,
    sealed_by,
)

NO_KEY = "00000000-0000-4000-8000-000000000000"


def of_request(bench, caller):
    return [entry for entry in bench.entries() if entry.request_id == caller.request_id]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_call_that_works_leaves_exactly_one_outcome_and_a_change_one_intent_before_it(
    bench, service, key_id, verb
):
    sealed = await sealed_by(service, bench.caller(), key_id)
    await make_ready_for(verb, service, bench.caller(), key_id)
    caller = bench.caller()
    await VERBS[verb](service, caller, key_id, sealed)
    entries = of_request(bench, caller)
    assert [entry.kind for entry in entries] == (["intent"] if verb in CHANGES else []) + ["outcome"]
    for entry in entries:
        assert entry.event == event_of(verb)
        assert (entry.principal, entry.access_key_id) == (caller.principal, "AKIATEST")
        assert entry.source_address == "192.0.2.7"
        assert entry.writer == "api-0"
        assert entry.outcome == ("ok" if entry.kind == "outcome" else "")
    names_no_key = {"CreateKey", "ListKeys", "ReadStatus", "GenerateRandom", *FOR_EVERYBODY}
    names_no_key |= {
        "ListKeyStates",
        "ListPrincipals",
        "CreateDomain",
        "ListDomains",
        "DescribeDomain",
        "RotateDomain",
    }
    names_key = verb not in names_no_key | {"ListRetirableGrants"} and "CustomKeyStore" not in verb
    assert entries[-1].key_id == key_id if names_key else entries[-1].key_id != key_id


@pytest.mark.parametrize("verb", sorted(CHANGES))
async def test_the_intent_is_in_the_file_before_the_effect_begins(bench, service, key_id, verb):
    if verb == "EnableKey":
        await service.disable_key(bench.caller(), key_id)
    await make_ready_for(verb, service, bench.caller(), key_id)
    bench.store.seen.clear()
    await VERBS[verb](service, bench.caller(), key_id, b"")
    assert bench.store.seen
    for logged in bench.store.seen:
        assert logged[-1] == ("intent", event_of(verb))


async def test_the_intent_is_in_the_file_before_the_hsm_is_asked(bench, service, key_id):
    bench.clock.advance(10_000)
    bench.cluster.hold_unwraps()
    creating = asyncio.ensure_future(service.create_key(bench.caller(), description="x"))
    await bench.cluster.arrived.wait()
    assert (bench.entries()[-1].kind, bench.entries()[-1].event) == ("intent", "kms.CreateKey")
    bench.cluster.let_go()
    await creating


async def test_an_error_is_recorded_by_its_class_and_raised_unchanged(bench, service, key_id):
    sealed = await sealed_by(service, bench.caller(), key_id)
    await service.disable_key(bench.caller(), key_id)
    calls = {
        InvalidCiphertextError: lambda c: service.decrypt(
            c, b"secret-looking ciphertext", key=None, context={}
        ),
        KeyStateError: lambda c: service.decrypt(c, sealed, key=None, context=CONTEXT),
        KeyNotFoundError: lambda c: service.disable_key(c, NO_KEY),
    }
    for error, call in calls.items():
        caller = bench.caller()
        with pytest.raises(error):
            await call(caller)
        entries = of_request(bench, caller)
        assert entries[-1].outcome == error.__name__
        assert [entry.kind for entry in entries].count("outcome") == 1
    assert b"secret-looking" not in bench.logged_bytes()


async def test_an_outage_is_recorded_as_such(bench, service, key_id):
    bench.cluster.is_down = True
    bench.clock.advance(10_000)
    caller = bench.caller()
    with pytest.raises(NoMemberError):
        await service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={})
    assert [(entry.kind, entry.outcome) for entry in of_request(bench, caller)] == [
        ("outcome", "NoMemberError")
    ]


async def test_what_nobody_expected_is_recorded_without_its_words(bench, service, key_id):
    caller = bench.caller()
    with pytest.raises(UnicodeEncodeError):
        await service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={"\ud800": "hidden-value"})
    (entry,) = of_request(bench, caller)
    assert entry.outcome == "UnexpectedError"
    assert b"hidden-value" not in bench.logged_bytes()


async def test_no_entry_holds_plaintext_keys_or_values_of_a_context(bench, service, key_id):
    caller = bench.caller()
    sealed = await sealed_by(service, caller, key_id)
    data_key = await service.generate_data_key(caller, KeyById(key_id), n_bytes=32, context=CONTEXT)
    for verb in VERBS:
        for ciphertext in (sealed, sealed[:-1], data_key.ciphertext):
            # What the verbs before it left the key in may not do for it: that is recorded too.
            with contextlib.suppress(KeyringError, GrantNotFoundError):
                await VERBS[verb](service, bench.caller(), key_id, ciphertext)
    logged = bench.logged_bytes()
    secrets = [
        *(value.encode() for value in (*CONTEXT.values(), *TAGS.values())),
        PLAINTEXT,
        data_key.plaintext.reveal(),
        sealed,
        *(b"value-in-a-grant-3381", b"grantee-of-a-grant", b"Policy-text-that-nobody-may-log"),
    ]
    secrets += [data_key.ciphertext, DESCRIPTION.encode(), sealed[-16:]]
    for secret in secrets:
        for form in (secret, base64.b64encode(secret), secret.hex().encode(), secret[:12]):
            assert form not in logged
    assert b'["purpose","tenant"]' in logged
    assert b'["team"]' in logged


async def test_an_entry_names_the_parts_of_a_context_sorted(bench, service, key_id):
    caller = bench.caller()
    await service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={"b": "1", "a": "2"})
    assert of_request(bench, caller)[0].detail == {"context": '["a","b"]', "allowed_by": "role:crypto-user"}


async def test_a_call_by_alias_records_alias_and_key(bench, service, key_id):
    caller = bench.caller()
    await service.encrypt(caller, KeyByAlias("alias/old"), Secret(b"x"), context={})
    (entry,) = of_request(bench, caller)
    assert (entry.key_id, entry.detail) == (key_id, {"alias": "alias/old", "allowed_by": "role:crypto-user"})


async def test_a_created_key_is_named_by_the_outcome(bench, service):
    caller = bench.caller()
    made = await service.create_key(caller, description="x")
    intent, outcome = of_request(bench, caller)
    assert (intent.key_id, outcome.key_id) == ("", made.key_id)


async def test_100_concurrent_calls_leave_one_outcome_each(bench, service, key_id):
    callers = [bench.caller() for _ in range(100)]
    await asyncio.gather(
        *(service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={}) for caller in callers)
    )
    for caller in callers:
        assert [entry.outcome for entry in of_request(bench, caller)] == ["ok"]


async def test_a_refusal_at_the_door_is_recorded_as_it_is(bench, service):
    await service.record_refusal(
        Refusal("Decrypt", "InvalidSignatureException", "AKIACLAIMED", "192.0.2.9", "request-x")
    )
    (entry,) = bench.entries()
    assert (entry.kind, entry.event, entry.outcome) == ("refusal", "kms.Decrypt", "InvalidSignatureException")
    assert (entry.access_key_id, entry.source_address, entry.request_id) == (
        "AKIACLAIMED", "192.0.2.9", "request-x",
    )  # fmt: skip
    assert entry.principal == ""
