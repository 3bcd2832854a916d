"""What a policy may ask of the uses of pairs and HMAC keys: algorithm, message type, spec of a pair, on every way in."""

import pytest

from policy_support import policy_text, statement
from strongroom.core import MacAlgorithm, SigningAlgorithm
from strongroom.keyring import KeyById, MessageType
from strongroom.service import AccessDeniedError
from unit.service.pair_verbs import MACS, PAIR_VERBS, SIGNING

DELEGATE = statement(principal="arn:aws:iam::123456789012:root")
VALUE = {
    "Sign": ("kms:SigningAlgorithm", "ECDSA_SHA_256"),
    "Verify": ("kms:MessageType", "RAW"),
    "GenerateMac": ("kms:MacAlgorithm", "HMAC_SHA_256"),
    "VerifyMac": ("kms:MacAlgorithm", "HMAC_SHA_256"),
    "DeriveSharedSecret": ("kms:KeyAgreementAlgorithm", "ECDH"),
    "GenerateDataKeyPair": ("kms:DataKeyPairSpec", "ECC_NIST_P256"),
    "GenerateDataKeyPairWithoutPlaintext": ("kms:DataKeyPairSpec", "ECC_NIST_P256"),
}


async def new_key(bench, kind, *statements):
    made = await bench.service.create_key(bench.caller(), description="", kind=kind)
    document = policy_text(DELEGATE, *statements)
    await bench.service.put_key_policy(
        bench.caller(), made.key_id, document=document, skip_lockout_check=True
    )
    return made.key_id


@pytest.mark.parametrize("verb", VALUE)
@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals"])
async def test_a_denial_by_what_is_asked_for_applies_to_just_that(bench, verb, operator):
    kind, call = PAIR_VERBS[verb]
    name, value = VALUE[verb]
    deny = statement("Deny", principal="*", action=f"kms:{verb}", condition={operator: {name: value}})
    key_id = await new_key(bench, kind, deny)
    if operator == "StringNotEquals":
        await call(bench.service, bench.caller(), key_id, False)
        return
    with pytest.raises(AccessDeniedError):
        await call(bench.service, bench.caller(), key_id, False)


async def test_signing_at_once_and_in_batches_is_decided_the_same(bench):
    deny = statement(
        "Deny", principal="*", action="kms:Sign", condition={"StringEquals": {"kms:MessageType": "RAW"}}
    )
    key_id = await new_key(bench, SIGNING, deny)
    key, how = KeyById(key_id), {"algorithm": SigningAlgorithm.ECDSA_SHA_256}
    await bench.service.sign(bench.caller(), key, bytes(32), kind=MessageType.DIGEST, dry_run=False, **how)
    assert bench.service.sign_now(bench.caller(), key, bytes(32), kind=MessageType.DIGEST, **how) is not None
    assert bench.service.sign_now(bench.caller(), key, bytes(32), kind=MessageType.RAW, **how) is None
    await bench.service.sign_batch(bench.caller(), key, [bytes(32)], kind=MessageType.DIGEST, **how)
    with pytest.raises(AccessDeniedError):
        await bench.service.sign_batch(bench.caller(), key, [bytes(32)], kind=MessageType.RAW, **how)
    by_hmac = {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}}
    macs = KeyById(await new_key(bench, MACS, statement("Deny", principal="*", condition=by_hmac)))
    with pytest.raises(AccessDeniedError):
        await bench.service.mac_batch(bench.caller(), macs, [b"x"], algorithm=MacAlgorithm.HMAC_SHA_256)
