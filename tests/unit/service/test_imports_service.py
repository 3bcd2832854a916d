"""Imports are authorised and audited like all changes, and expired material is deleted with an intent and an outcome."""

import asyncio

import pytest

from strongroom.audit import read_entries
from strongroom.core import AuditUnavailableError, KeyState
from strongroom.keyring import ImportTokenError, KeyById
from strongroom.service import ROLES_FOR, AccessDeniedError, Role
from strongroom.service._audited import event_of
from unit.service.import_verbs import IMPORT_VERBS, brought_for, make_waiting_key

DAY_S = 86_400.0
CHANGES = {"MarkKeyCompromised", "ImportKeyMaterial", "DeleteImportedKeyMaterial"}


def entries_of(bench, **wanted):
    entries = read_entries(bench.directory)
    return [
        entry for entry in entries if all(getattr(entry, name) == value for name, value in wanted.items())
    ]


@pytest.mark.parametrize("verb", IMPORT_VERBS)
async def test_a_call_leaves_one_outcome_and_a_change_one_intent_before_it(bench, verb):
    key_id, caller = await make_waiting_key(bench), bench.caller()
    await IMPORT_VERBS[verb](bench, caller, key_id)
    entries = entries_of(bench, request_id=caller.request_id)
    assert [entry.kind for entry in entries] == (["intent"] if verb in CHANGES else []) + ["outcome"]
    assert {(entry.event, entry.key_id) for entry in entries} == {(event_of(verb), key_id)}
    assert entries[-1].outcome == "ok"


@pytest.mark.parametrize("verb", IMPORT_VERBS)
async def test_only_callers_with_the_role_may(bench, verb):
    key_id = await make_waiting_key(bench)
    for role in Role:
        if role in ROLES_FOR[verb]:
            await IMPORT_VERBS[verb](bench, bench.caller(f"user/{role}"), key_id)
            continue
        with pytest.raises(AccessDeniedError):
            await IMPORT_VERBS[verb](bench, bench.caller(f"user/{role}"), key_id)


async def test_the_entry_of_an_import_names_the_material_and_nothing_of_its_bytes(bench):
    key_id, caller = await make_waiting_key(bench), bench.caller()
    brought = await brought_for(bench, key_id)
    made = await bench.service.import_key_material(caller, key_id, brought=brought)
    outcome = entries_of(bench, request_id=caller.request_id)[-1]
    assert outcome.key_version == made.material_id
    assert outcome.detail == {"expires": "never", "allowed_by": "role:crypto-officer"}
    logged = bench.logged_bytes()
    assert bytes(range(32)) not in logged
    assert brought.token not in logged


async def test_a_refused_import_is_in_the_log_and_changes_nothing(bench):
    key_id, caller = await make_waiting_key(bench), bench.caller()
    brought = (await brought_for(bench, key_id))._replace(token=b"junk")
    with pytest.raises(ImportTokenError):
        await bench.service.import_key_material(caller, key_id, brought=brought)
    assert entries_of(bench, request_id=caller.request_id)[-1].outcome == "ImportTokenError"
    assert bench.keyring.describe(KeyById(key_id)).state is KeyState.PENDING_IMPORT


@pytest.fixture
async def expired_id(bench):
    key_id = await make_waiting_key(bench)
    brought = await brought_for(bench, key_id, expires_at=bench.clock.now() + DAY_S)
    await bench.service.import_key_material(bench.caller(), key_id, brought=brought)
    bench.clock.advance(DAY_S)
    return key_id


async def test_expired_material_is_deleted_once_with_intent_and_outcome(bench, service, expired_id):
    assert sorted(await asyncio.gather(*(service.expire_due_material() for _ in range(3)))) == [0, 0, 1]
    assert await service.expire_due_material() == 0
    entries = entries_of(bench, event="keyring.ExpireKeyMaterial")
    outcomes = [entry for entry in entries if entry.kind == "outcome"]
    assert sorted(entry.outcome for entry in outcomes) == ["NotDue", "NotDue", "ok"]
    assert {(entry.key_id, entry.principal) for entry in entries} == {(expired_id, "strongroom")}
    assert bench.stores[0].get_key_version(expired_id, 1).wrapped == b""


async def test_without_a_durable_intent_nothing_is_deleted(bench, service, expired_id):
    bench.disk.decide = lambda asked: "lost" if asked == "sync" else None
    with pytest.raises(AuditUnavailableError):
        await service.expire_due_material()
    assert bench.stores[0].get_key_version(expired_id, 1).wrapped != b""
