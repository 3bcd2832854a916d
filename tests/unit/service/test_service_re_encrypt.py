"""One entry of a ReEncrypt names both keys, whether it works or not; moved aliases tell where they came from."""

import pytest

from strongroom.core import NoMemberError
from strongroom.keyring import InvalidCiphertextError, KeyByAlias, KeyById, KeyStateError
from strongroom.service import AccessDeniedError
from unit.service.verbs import CONTEXT, sealed_by


@pytest.fixture
async def sealed(bench, service, key_id):
    return await sealed_by(service, bench.caller(), key_id)


@pytest.fixture
async def other(bench, service):
    return await service.create_key(bench.caller(), description="other")


async def move(service, caller, sealed, key, *, source_key=None, source_context=CONTEXT):
    return await service.re_encrypt(
        caller, sealed, source_key=source_key, source_context=source_context, key=key, context={"new": "v"}
    )


def entry_of(bench, caller):
    (entry,) = [entry for entry in bench.entries() if entry.request_id == caller.request_id]
    return entry


async def test_the_entry_names_both_keys_and_versions(bench, service, key_id, sealed, other):
    caller = bench.caller()
    made = await move(service, caller, sealed, KeyById(other.key_id), source_key=KeyByAlias("alias/old"))
    entry = entry_of(bench, caller)
    assert (entry.key_id, entry.key_version) == (other.key_id, other.material_id)
    assert entry.detail == {
        "context": '["new"]',
        "source_alias": "alias/old",
        "source_context": '["purpose","tenant"]',
        "source_key": key_id,
        "source_key_version": made.source_material_id,
    }


async def test_a_refused_one_names_both_keys_too(bench, service, key_id, sealed, other):
    target = KeyById(other.key_id)
    caller = bench.caller("user/stranger")
    with pytest.raises(AccessDeniedError):
        await move(service, caller, sealed, target)
    denied = entry_of(bench, caller)
    assert (denied.key_id, denied.detail["source_key"]) == (other.key_id, key_id)
    caller = bench.caller()
    with pytest.raises(InvalidCiphertextError):
        await move(service, caller, sealed, target, source_context={})
    tampered = entry_of(bench, caller)
    assert (tampered.key_id, tampered.detail["source_key"], tampered.detail["named_key"]) == (
        key_id, key_id, other.key_id,
    )  # fmt: skip
    await service.disable_key(bench.caller(), other.key_id)
    caller = bench.caller()
    with pytest.raises(KeyStateError):
        await move(service, caller, sealed, target)
    suspended = entry_of(bench, caller)
    assert (suspended.key_id, suspended.detail["source_key"]) == (other.key_id, key_id)


async def test_an_outage_names_both_keys(bench, service, key_id, sealed, other):
    bench.clock.advance(10_000)
    bench.cluster.is_down = True
    caller = bench.caller()
    with pytest.raises(NoMemberError):
        await move(service, caller, sealed, KeyById(other.key_id))
    entry = entry_of(bench, caller)
    assert (entry.key_id, entry.detail["source_key"]) == (other.key_id, key_id)


async def test_an_alias_that_moves_or_goes_leaves_its_former_key_in_the_log(bench, service, key_id, other):
    caller = bench.caller()
    await service.update_alias(caller, alias_name="alias/old", target_key_id=other.key_id)
    entry = [entry for entry in bench.entries() if entry.request_id == caller.request_id][-1]
    assert (entry.key_id, entry.detail) == (other.key_id, {"alias": "alias/old", "former_key": key_id})
    caller = bench.caller()
    await service.delete_alias(caller, alias_name="alias/old")
    entries = [entry for entry in bench.entries() if entry.request_id == caller.request_id]
    assert [(entry.key_id, entry.detail) for entry in entries] == [(other.key_id, {"alias": "alias/old"})] * 2
