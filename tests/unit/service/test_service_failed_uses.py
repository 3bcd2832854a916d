"""A call that fails, or whose caller goes away, leaves an outcome that says which key it was about."""

import asyncio
import json
import threading

import pytest

from strongroom.audit import read_entries
from strongroom.core import NoMemberError, Secret
from strongroom.keyring import (
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyByAlias,
    KeyById,
    KeyStateError,
)
from strongroom.service import AccessDeniedError
from unit.service.verbs import CHANGES, CONTEXT, VERBS, sealed_by

ALIAS = KeyByAlias("alias/old")


async def entries_of(bench, caller):
    """All entries of a request, those too that nobody waited for."""
    await bench.audit.record("event", "test.all-before-this-is-durable")
    return [entry for entry in bench.entries() if entry.request_id == caller.request_id]


async def outcome_of(bench, caller, call, error):
    with pytest.raises(error):
        await call
    return (await entries_of(bench, caller))[-1]


@pytest.fixture
async def sealed(bench, service, key_id):
    return await sealed_by(service, bench.caller(), key_id)


@pytest.fixture
def material_id(bench, key_id):
    return bench.keyring.describe(KeyById(key_id)).material_id


async def test_a_probed_or_tampered_ciphertext_is_recorded_with_its_key(
    bench, service, key_id, sealed, material_id
):
    tampered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for probe, context in ((tampered, CONTEXT), (sealed, {"tenant": "other"})):
        caller = bench.caller()
        call = service.decrypt(caller, probe, key=None, context=context)
        entry = await outcome_of(bench, caller, call, InvalidCiphertextError)
        assert (entry.key_id, entry.key_version) == (key_id, material_id)


async def test_a_ciphertext_that_is_not_ours_is_recorded_without_a_key(bench, service, key_id, sealed):
    caller = bench.caller()
    call = service.decrypt(caller, sealed[:-1], key=None, context=CONTEXT)
    entry = await outcome_of(bench, caller, call, InvalidCiphertextError)
    assert (entry.key_id, entry.key_version) == ("", "")


async def test_a_suspended_key_is_recorded_by_its_id_when_it_was_named_by_alias(
    bench, service, key_id, sealed, material_id
):
    await service.disable_key(bench.caller(), key_id)
    for call in (
        lambda caller: service.encrypt(caller, ALIAS, Secret(b"x"), context={}),
        lambda caller: service.generate_data_key(caller, ALIAS, n_bytes=32, context={}),
        lambda caller: service.decrypt(caller, sealed, key=ALIAS, context={}),
    ):
        caller = bench.caller()
        entry = await outcome_of(bench, caller, call(caller), KeyStateError)
        assert (entry.key_id, entry.key_version) == (key_id, material_id)
        why = f"the key {key_id} is suspended"
        assert entry.detail == {"alias": "alias/old", "allowed_by": "role:crypto-user", "error": why}


async def test_a_ciphertext_of_another_key_is_recorded_with_both_keys(bench, service, key_id, sealed):
    other = await service.create_key(bench.caller(), description="other")
    caller = bench.caller()
    call = service.decrypt(caller, sealed, key=KeyById(other.key_id), context={})
    entry = await outcome_of(bench, caller, call, IncorrectKeyError)
    assert (entry.key_id, entry.detail["ciphertext_key"]) == (other.key_id, key_id)
    assert entry.detail["error"] == "the ciphertext was made under another key than the one named"


async def test_an_outage_is_recorded_with_the_key_that_could_not_be_used(bench, service, key_id, sealed):
    bench.clock.advance(10_000)
    bench.cluster.is_down = True
    for call in (
        lambda caller: service.decrypt(caller, sealed, key=None, context=CONTEXT),
        lambda caller: service.encrypt(caller, ALIAS, Secret(b"x"), context={}),
    ):
        caller = bench.caller()
        assert (await outcome_of(bench, caller, call(caller), NoMemberError)).key_id == key_id


async def test_a_denied_use_is_recorded_with_the_key_that_was_wanted(bench, service, key_id, sealed):
    for call in (
        lambda caller: service.decrypt(caller, sealed, key=None, context=CONTEXT),
        lambda caller: service.encrypt(caller, ALIAS, Secret(b"x"), context={}),
        lambda caller: service.describe_key(caller, ALIAS),
        lambda caller: service.disable_key(caller, key_id),
    ):
        caller = bench.caller("user/stranger")
        assert (await outcome_of(bench, caller, call(caller), AccessDeniedError)).key_id == key_id


@pytest.mark.parametrize("verb", ["CreateKey", "DescribeKey", "GenerateDataKey", "Encrypt", "Decrypt"])
async def test_a_use_that_works_is_recorded_with_the_version_that_did_it(
    bench, service, key_id, sealed, verb
):
    caller = bench.caller()
    await VERBS[verb](service, caller, key_id, sealed)
    entry = (await entries_of(bench, caller))[-1]
    assert entry.key_version == bench.keyring.describe(KeyById(entry.key_id)).material_id


# The names of an encryption context.


@pytest.mark.parametrize(
    "names",
    [
        ["x,y"],
        ["x", "y"],
        ['x","y'],
        ["", " "],
        ["\x1b[2J\r\n\0", "\x7f\x9b"],
        ["Käufer", "\u202egnp", "漢"],
        ["back\\slash"],
    ],
)
async def test_names_of_a_context_are_told_apart_and_drive_no_terminal(bench, service, key_id, names):
    caller = bench.caller()
    await service.encrypt(caller, KeyById(key_id), Secret(b"x"), context=dict.fromkeys(names, "v"))
    (entry,) = await entries_of(bench, caller)
    assert json.loads(entry.detail["context"]) == sorted(names)
    assert entry.detail["context"].isascii()
    assert entry.detail["context"].isprintable()


async def test_a_name_that_is_no_unicode_is_recorded_too(bench, service, key_id):
    caller = bench.caller()
    call = service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={"\ud800": "v"})
    entry = await outcome_of(bench, caller, call, UnicodeEncodeError)
    assert entry.detail == {"context": '["\\ud800"]', "allowed_by": "role:crypto-user"}


# Callers that go away.


async def cancelled(call):
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_use_whose_caller_goes_away_has_an_outcome(bench, service, key_id, sealed):
    bench.clock.advance(10_000)
    bench.cluster.hold_unwraps()
    caller = bench.caller()
    call = asyncio.ensure_future(service.decrypt(caller, sealed, key=None, context=CONTEXT))
    await bench.cluster.arrived.wait()
    await cancelled(call)
    (entry,) = await entries_of(bench, caller)
    assert (entry.kind, entry.outcome, entry.key_id) == ("outcome", "Cancelled", key_id)


async def test_a_change_whose_caller_goes_away_has_an_outcome_behind_its_intent(bench, service, key_id):
    bench.clock.advance(10_000)
    bench.cluster.hold_unwraps()
    caller = bench.caller()
    call = asyncio.ensure_future(service.create_key(caller, description="x"))
    await bench.cluster.arrived.wait()
    await cancelled(call)
    assert [(entry.kind, entry.outcome) for entry in await entries_of(bench, caller)] == [
        ("intent", ""), ("outcome", "Cancelled"),
    ]  # fmt: skip


@pytest.mark.parametrize("verb", sorted(VERBS))
async def test_whenever_a_caller_goes_away_what_was_begun_has_one_outcome(
    bench, service, key_id, sealed, verb
):
    """Cancelled after so many turns of the event loop, until the call is quicker than that."""
    for steps in (0, 1, 2, 3, 4, 6, 9, 14, 21, 32):
        caller = bench.caller()
        call = asyncio.ensure_future(VERBS[verb](service, caller, key_id, sealed))
        for _ in range(steps):
            await asyncio.sleep(0)
        was_quicker = call.done()
        call.cancel()
        await asyncio.wait({call})
        kinds = [entry.kind for entry in await entries_of(bench, caller)]
        assert kinds in ([], ["intent", "outcome"] if verb in CHANGES else ["outcome"])
        assert kinds or steps == 0
        if was_quicker:
            break


async def test_a_caller_that_goes_away_while_the_outcome_is_synced_has_had_that_outcome(
    bench, service, key_id
):
    syncing, go_on = threading.Event(), threading.Event()

    def hold(asked):
        if asked == "sync":
            syncing.set()
            go_on.wait(60)

    bench.disk.decide = hold
    caller = bench.caller()
    call = asyncio.ensure_future(service.describe_key(caller, KeyById(key_id)))
    await asyncio.to_thread(syncing.wait, 30)
    await cancelled(call)
    go_on.set()
    assert [entry.outcome for entry in await entries_of(bench, caller)] == ["ok"]


async def test_a_caller_that_goes_away_is_not_held_up_by_a_log_that_cannot_be_written(
    bench, service, key_id, sealed
):
    bench.clock.advance(10_000)
    bench.cluster.hold_unwraps()
    caller = bench.caller()
    call = asyncio.ensure_future(service.decrypt(caller, sealed, key=None, context=CONTEXT))
    await bench.cluster.arrived.wait()
    bench.audit.close()
    await cancelled(call)
    assert all(entry.request_id != caller.request_id for entry in read_entries(bench.directory))
