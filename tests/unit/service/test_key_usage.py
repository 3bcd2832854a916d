"""Every verb that uses a key is noted as its last use, whichever way it takes; looking and managing are not."""

import pytest

from strongroom.core import Secret
from strongroom.keyring import KeyById, PlainItem, SealedItem
from unit.service.pair_verbs import PAIR_VERBS
from unit.service.verbs import CONTEXT, PLAINTEXT, VERBS, sealed_by

USES = {"Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}
NO_USES = {
    "DescribeKey",
    "ListKeys",
    "TagResource",
    "GetKeyRotationStatus",
    "GetKeyLastUsage",
    "GenerateRandom",
}


async def last_of(bench, service, key_id):
    return await service.get_key_last_usage(bench.caller(), key_id)


@pytest.mark.parametrize("verb", sorted(USES))
async def test_a_use_is_the_last_one_with_its_request(bench, service, key_id, verb):
    sealed = await sealed_by(service, bench.caller(), key_id)
    caller = bench.caller()
    await VERBS[verb](service, caller, key_id, sealed)
    known = await last_of(bench, service, key_id)
    assert (known.operation, known.request_id, known.used_at) == (verb, caller.request_id, bench.clock.now())
    await service.flush_key_uses()
    assert await last_of(bench, service, key_id) == known


@pytest.mark.parametrize("verb", sorted(PAIR_VERBS.keys() - {"GetPublicKey"}))
async def test_a_use_of_a_pair_is_noted_too(bench, service, verb):
    kind, call = PAIR_VERBS[verb]
    made = await service.create_key(bench.caller(), description="", kind=kind)
    await call(service, bench.caller(), made.key_id, False)
    assert (await last_of(bench, service, made.key_id)).operation == verb


@pytest.mark.parametrize("verb", sorted(NO_USES))
async def test_who_looks_uses_nothing(bench, service, key_id, verb):
    await VERBS[verb](service, bench.caller(), key_id, b"")
    assert (await last_of(bench, service, key_id)).used_at is None


async def test_both_keys_of_a_re_encryption_are_used(bench, service, key_id):
    sealed = await sealed_by(service, bench.caller(), key_id)
    other = await service.create_key(bench.caller(), description="other")
    to = KeyById(other.key_id)
    caller = bench.caller()
    await service.re_encrypt(caller, sealed, source_key=None, source_context=CONTEXT, key=to, context=CONTEXT)
    for used in (key_id, other.key_id):
        assert (await last_of(bench, service, used)).request_id == caller.request_id


async def test_what_failed_is_no_use(bench, service, key_id):
    await service.disable_key(bench.caller(), key_id)
    with pytest.raises(Exception, match="suspended"):
        await service.encrypt(bench.caller(), KeyById(key_id), Secret(PLAINTEXT), context={})
    assert (await last_of(bench, service, key_id)).used_at is None


async def test_uses_of_the_express_lane_are_noted_with_their_entries(bench, service, key_id):
    await sealed_by(service, bench.caller(), key_id)  # which brings the key into memory
    caller = bench.caller()
    now = service.encrypt_now(caller, KeyById(key_id), PLAINTEXT, context=CONTEXT)
    assert now is not None
    service.record_uses([now.entry], lambda *_: None)
    assert (await last_of(bench, service, key_id)).request_id == caller.request_id


async def test_each_item_of_a_batch_is_a_use_of_the_version_that_it_is_under(bench, service, key_id):
    key, caller = KeyById(key_id), bench.caller()
    old = (await service.encrypt_batch(caller, key, [PlainItem(b"data", {})] * 5)).results
    await service.rotate_key_on_demand(caller, key_id)
    await service.make_data_keys(caller, key, count=3, n_bytes=32, context={})
    wrong = SealedItem(old[0], {"another": "context"})
    await service.decrypt_batch(caller, key, [SealedItem(old[0], {}), SealedItem(old[1], {}), wrong])
    bench.clock.advance(5)
    await service.rewrap_batch(caller, key, [SealedItem(one, {}) for one in old[:4]])
    await service.decrypt_batch(caller, key, [wrong])
    await service.flush_key_uses()
    first, second = (await service.list_key_uses(caller, key_id)).versions
    now = bench.clock.now()
    assert (first.n_uses, first.n_protected, first.protected_at, first.processed_at) == (11, 5, now - 5, now)
    assert (second.n_uses, second.n_protected, second.protected_at, second.processed_at) == (7, 7, now, None)
    assert first.outstanding[:2] == (5, 1)
