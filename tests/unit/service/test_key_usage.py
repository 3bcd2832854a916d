"""Every verb that uses a key is noted as its last use, whichever way it takes; looking and managing are not."""

import pytest

from strongroom.core import Secret
from strongroom.keyring import KeyById
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
