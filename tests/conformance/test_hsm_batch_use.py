"""One suite for ``core.HsmBatchUse``: whatever implements it keeps the same promises, fakes and the real thing alike.

``softhsm`` is a spawned ``strongroom.runtime.member`` on a real SoftHSM token.
"""

import time

import pytest

from direct_use_subjects import (
    cluster_of_two,
    fake_member,
    in_s,
    new_key,
    remote_member,
    softhsm,
    subject,
)
from strongroom.core import (
    MAX_BATCH_ITEMS,
    BatchDecrypt,
    BatchEncrypt,
    BatchMac,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    HsmError,
    HsmIntegrityError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    RootId,
    Secret,
    SigningAlgorithm,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.public_keys import verify_signature

__all__ = ["cluster_of_two", "fake_member", "remote_member", "softhsm", "subject"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

AAD = b"what it is for"
ECDSA = SigningAlgorithm.ECDSA_SHA_256
P256, HMAC, AES = KeySpec.ECC_NIST_P256, KeySpec.HMAC_256, KeySpec.AES_256
SOFTHSM_KINDS = (P256, KeyUsage.SIGN_VERIFY), (HMAC, min(HMAC.usages)), (AES, min(AES.usages))


async def wrapped_secrets(subject, n):
    """As many different secrets, and each wrapped, by batches."""
    secrets = [Secret(random_bytes(32)) for _ in range(n)]
    wrapped = await subject.use.batch(
        [BatchWrap(subject.root_id, secret, AAD) for secret in secrets], deadline=in_s(20)
    )
    return secrets, [BatchUnwrap(subject.root_id, made, AAD) for made in wrapped]


@pytest.mark.parametrize("n", [0, 1, 16, MAX_BATCH_ITEMS])
async def test_every_item_has_its_own_answer_in_the_order_of_the_items(subject, n):
    secrets, unwraps = await wrapped_secrets(subject, n)
    answers = await subject.use.batch(unwraps, deadline=in_s(20))
    assert len(answers) == n
    assert all(answer.matches(secret) for answer, secret in zip(answers, secrets, strict=True))


async def test_every_verb_of_a_batch_answers_as_it_does_by_itself(subject):
    use, deadline = subject.use, in_s(20)
    digest, secret = random_bytes(32), Secret(b"a secret")
    sealed = await use.encrypt(subject.key(AES), secret, AAD, deadline=deadline)
    wrapped = await use.wrap(subject.root_id, secret, AAD, deadline=deadline)
    signing = subject.key(P256, KeyUsage.SIGN_VERIFY)
    made = await use.batch(
        [
            BatchWrap(subject.root_id, secret, AAD),
            BatchUnwrap(subject.root_id, wrapped, AAD),
            BatchSign(signing, ECDSA, digest),
            BatchMac(subject.key(HMAC), b"message"),
            BatchEncrypt(subject.key(AES), secret, AAD),
            BatchDecrypt(subject.key(AES), sealed, AAD),
        ],
        deadline=deadline,
    )
    assert isinstance(made[0], WrappedBytes)
    assert (await use.unwrap(subject.root_id, made[0], AAD, deadline=deadline)).matches(secret)
    assert made[1].matches(secret)
    verify_signature(P256, subject.spki(P256, KeyUsage.SIGN_VERIFY), ECDSA, digest, made[2])
    assert made[3] == await use.mac(subject.key(HMAC), b"message", deadline=deadline)
    assert (await use.decrypt(subject.key(AES), made[4], AAD, deadline=deadline)).matches(secret)
    assert made[5].matches(secret)


async def test_bad_items_spoil_nothing_but_themselves(subject):
    secrets, (first, second, third) = await wrapped_secrets(subject, 3)
    signing = subject.key(P256, KeyUsage.SIGN_VERIFY)
    answers = await subject.use.batch(
        [
            first,
            first._replace(aad=AAD + b"!"),
            BatchMac(new_key(HMAC, KeyUsage.GENERATE_VERIFY_MAC), b"nobody has this key"),
            second._replace(root_id=RootId(b"too short")),
            BatchSign(signing, SigningAlgorithm.RSASSA_PSS_SHA_256, bytes(32)),
            second,
            BatchWrap(subject.root_id, Secret(b""), AAD),
            BatchDecrypt(subject.key(AES), first.wrapped, AAD),
            third,
        ],
        deadline=in_s(2),
    )
    for index, secret in zip((0, 5, 8), secrets, strict=True):
        assert answers[index].matches(secret)
    assert isinstance(answers[1], HsmIntegrityError)
    assert isinstance(answers[2], subject.no_key_error)
    assert isinstance(answers[7], HsmIntegrityError)
    for index in (3, 4, 6):
        assert type(answers[index]) is HsmRequestError


async def test_a_batch_that_is_too_long_is_refused_as_a_whole(subject):
    item = BatchMac(subject.key(HMAC), b"m")
    with pytest.raises(HsmRequestError, match="at most 256 items"):
        await subject.use.batch([item] * (MAX_BATCH_ITEMS + 1), deadline=in_s(5))


async def test_an_hsm_that_does_not_answer_costs_no_more_than_the_deadline(subject):
    _, unwraps = await wrapped_secrets(subject, 4)
    subject.stop_answering()
    try:
        began = time.monotonic()
        try:
            answers = await subject.use.batch(unwraps, deadline=in_s(0.3))
        except HsmError as error:
            answers = [error]
        assert all(isinstance(answer, subject.deadline_error) for answer in answers)
        assert time.monotonic() - began < 5
    finally:
        subject.answer_again()
    answers = await subject.use.batch(unwraps, deadline=in_s(20))
    assert all(isinstance(answer, Secret) for answer in answers)
