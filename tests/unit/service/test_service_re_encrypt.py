"""One entry of a ReEncrypt names both keys, whether it works or not; moved aliases tell where they came from."""

import pytest

from policy_support import policy_text, statement
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
        "allowed_by": "role:crypto-user",
        "context": '["new"]',
        "source_alias": "alias/old",
        "source_context": '["purpose","tenant"]',
        "source_key": key_id,
        "source_key_version": made.source_material_id,
    }


@pytest.mark.parametrize("missing", ["ReEncryptFrom", "ReEncryptTo", ""])
async def test_it_takes_leave_to_open_and_to_encrypt_each_for_its_own_context(
    bench, service, key_id, sealed, other, missing
):
    """Neither half stands for the other, nor is one context taken for the other."""
    root, stranger = (f"arn:aws:iam::123456789012:{name}" for name in ("root", "user/stranger"))
    for key, action, name in (
        (key_id, "ReEncryptFrom", next(iter(CONTEXT))),
        (other.key_id, "ReEncryptTo", "new"),
    ):
        value = {**CONTEXT, "new": "v"}[name]
        condition = {"StringEquals": {f"kms:EncryptionContext:{name}": value}}
        allowed = [statement(principal=stranger, action=f"kms:{action}", condition=condition)]
        document = policy_text(statement(principal=root), *(allowed if action != missing else []))
        await service.put_key_policy(bench.caller(), key, document=document, skip_lockout_check=False)
    moving = move(service, bench.caller("user/stranger"), sealed, KeyById(other.key_id))
    if not missing:
        assert (await moving).key_id == other.key_id
        return
    with pytest.raises(AccessDeniedError):
        await moving


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
    allowed = {"alias": "alias/old", "allowed_by": "role:crypto-officer"}
    assert (entry.key_id, entry.detail) == (other.key_id, {**allowed, "former_key": key_id})
    caller = bench.caller()
    await service.delete_alias(caller, alias_name="alias/old")
    entries = [entry for entry in bench.entries() if entry.request_id == caller.request_id]
    assert [(entry.key_id, entry.detail) for entry in entries] == [(other.key_id, allowed)] * 2
