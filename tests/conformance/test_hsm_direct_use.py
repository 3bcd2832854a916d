"""One suite for ``core.HsmDirectUse``: whatever implements it keeps the same promises, fakes and the real thing alike.

``softhsm`` is a spawned ``strongroom.runtime.member`` on a real SoftHSM token.
"""

import asyncio
import contextlib
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from direct_use_subjects import (
    KINDS,
    cluster_of_two,
    fake_member,
    in_s,
    new_key,
    remote_member,
    softhsm,
    subject,
)
from strongroom.core import (
    HsmIntegrityError,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    VerificationFailedError,
    random_bytes,
    verify_mac,
)
from strongroom.hsm.public_keys import curve_of, encrypt_oaep, verify_signature
from tries import Tries

__all__ = ["cluster_of_two", "fake_member", "remote_member", "softhsm", "subject"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

AAD = b"what it is for"


def of_usage(usage):
    return [spec for spec, its in KINDS if its is usage]


SIGNING = [
    (spec, algorithm) for spec in of_usage(KeyUsage.SIGN_VERIFY) for algorithm in spec.signing_algorithms
]
AGREEING = of_usage(KeyUsage.KEY_AGREEMENT)
MAC_KEYS = of_usage(KeyUsage.GENERATE_VERIFY_MAC)


def signed_by(algorithm):
    """What is signed: a digest, or a message."""
    return random_bytes(algorithm.digest_len_bytes or 100)


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
async def test_signatures_verify_in_software_and_of_nothing_else(subject, spec, algorithm):
    key, spki = subject.keys[spec, KeyUsage.SIGN_VERIFY]
    signed = signed_by(algorithm)
    signature = await subject.use.sign(key, algorithm, signed, deadline=in_s(10))
    verify_signature(spec, spki, algorithm, signed, signature)
    for other_signed, other_signature in (
        (signed_by(algorithm), signature),
        (signed, signature[:-1] + bytes([signature[-1] ^ 1])),
        (signed, signature[:-1]),
        (signed, b""),
    ):
        with pytest.raises(VerificationFailedError):
            verify_signature(spec, spki, algorithm, other_signed, other_signature)


async def test_ed25519_signs_messages_of_any_length_up_to_the_limit(subject):
    key, spki = subject.keys[KeySpec.ECC_NIST_EDWARDS25519, KeyUsage.SIGN_VERIFY]
    for length in (1, 64, 4096):
        message = random_bytes(length)
        signature = await subject.use.sign(key, SigningAlgorithm.ED25519_SHA_512, message, deadline=in_s(10))
        verify_signature(key.spec, spki, SigningAlgorithm.ED25519_SHA_512, message, signature)


@pytest.mark.parametrize("spec", MAC_KEYS)
async def test_macs_are_the_same_again_and_differ_by_message(subject, spec):
    key, message = subject.key(spec), random_bytes(4096)
    made = await subject.use.mac(key, message, deadline=in_s(10))
    assert len(made) == spec.bits // 8
    await verify_mac(subject.use, key, message, made, deadline=in_s(10))
    for other_message, other_mac in (
        (message[:-1], made),
        (message, made[:-1]),
        (message, b""),
        (b"m", made),
    ):
        with pytest.raises(VerificationFailedError):
            await verify_mac(subject.use, key, other_message, other_mac, deadline=in_s(10))


@pytest.mark.parametrize("length", [1, 15, 16, 17, 32, 1000, 4096])
async def test_what_was_encrypted_decrypts_whatever_its_length(subject, length):
    key, plaintext = subject.key(KeySpec.AES_256), Secret(random_bytes(length))
    for aad in (b"", AAD, random_bytes(8192)):
        sealed = await subject.use.encrypt(key, plaintext, aad, deadline=in_s(10))
        assert len(sealed.ciphertext) == length
        assert (await subject.use.decrypt(key, sealed, aad, deadline=in_s(10))).matches(plaintext)


async def test_every_encryption_has_an_iv_of_its_own(subject):
    key, plaintext = subject.key(KeySpec.AES_256), Secret(bytes(32))
    made = await asyncio.gather(
        *[subject.use.encrypt(key, plaintext, AAD, deadline=in_s(10)) for _ in range(50)]
    )
    assert len({sealed.iv for sealed in made}) == 50


@pytest.mark.parametrize("field", ["iv", "ciphertext", "tag", "aad"])
async def test_one_changed_bit_does_not_decrypt(subject, field):
    key = subject.key(KeySpec.AES_256)
    sealed = await subject.use.encrypt(key, Secret(b"k" * 32), AAD, deadline=in_s(10))
    aad = AAD + b"." if field == "aad" else AAD
    changed = sealed
    if field != "aad":
        value = getattr(sealed, field)
        changed = sealed._replace(**{field: value[:-1] + bytes([value[-1] ^ 1])})
    with pytest.raises(HsmIntegrityError):
        await subject.use.decrypt(key, changed, aad, deadline=in_s(10))
    assert len(await subject.use.decrypt(key, sealed, AAD, deadline=in_s(10))) == 32


@pytest.mark.parametrize("algorithm", OaepAlgorithm)
async def test_what_was_encrypted_under_the_public_half_decrypts(subject, algorithm):
    key, spki = subject.keys[KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT]
    for length in (1, 32, 190):
        plaintext = Secret(random_bytes(length))
        ciphertext = encrypt_oaep(key.spec, spki, algorithm, plaintext)
        opened = await subject.use.decrypt_oaep(key, algorithm, ciphertext, deadline=in_s(10))
        assert opened.matches(plaintext)
    for hostile in (bytes(256), b"\xff" * 256, ciphertext[:-1], ciphertext + b"\0", b"", ciphertext[::-1]):
        with pytest.raises(HsmIntegrityError) as caught:
            await subject.use.decrypt_oaep(key, algorithm, hostile, deadline=in_s(10))
        assert caught.value.message == "the ciphertext does not decrypt"


@pytest.mark.parametrize("spec", AGREEING)
async def test_both_sides_agree_on_one_secret(subject, spec):
    key, spki = subject.keys[spec, KeyUsage.KEY_AGREEMENT]
    peer = ec.generate_private_key(curve_of(spec).implementation)
    agreed = await subject.use.derive(key, spki_of(peer), deadline=in_s(10))
    assert len(agreed) == curve_of(spec).field_len_bytes
    assert agreed.matches(Secret(peer.exchange(ec.ECDH(), load_der_public_key(spki))))


def spki_of(private):
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def test_a_peer_that_is_no_point_of_the_curve_is_a_wrong_request(subject):
    key = subject.key(KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT)
    good = spki_of(ec.generate_private_key(ec.SECP256R1()))
    off_curve = good[:-1] + bytes([good[-1] ^ 1])
    infinity = bytes.fromhex("3019301306072a8648ce3d020106082a8648ce3d03010703020000")
    other_curve = spki_of(ec.generate_private_key(ec.SECP384R1()))
    for peer in (off_curve, infinity, other_curve, good[:-1], good + b"\0", b"", bytes(2000)):
        with pytest.raises(HsmRequestError):
            await subject.use.derive(key, peer, deadline=in_s(10))


@pytest.mark.parametrize(("spec", "usage"), KINDS)
async def test_a_pair_tells_its_public_half_and_a_secret_key_has_none(subject, spec, usage):
    key, spki = subject.keys[spec, usage]
    if spec.is_pair:
        assert await subject.use.public_key(key, deadline=in_s(10)) == spki
        return
    assert spki == b""
    with pytest.raises(HsmRequestError):
        await subject.use.public_key(key, deadline=in_s(10))


def every_verb(subject, key, *, limit_s=10):
    """The verbs, each with data that is right for some key."""
    use, deadline = subject.use, in_s(limit_s)
    peer = spki_of(ec.generate_private_key(ec.SECP256R1()))
    algorithm = key.spec.signing_algorithms[0] if key.spec.signing_algorithms else None
    algorithm = algorithm or SigningAlgorithm.ECDSA_SHA_256
    return {
        "sign": lambda: use.sign(key, algorithm, signed_by(algorithm), deadline=deadline),
        "mac": lambda: use.mac(key, b"m", deadline=deadline),
        "encrypt": lambda: use.encrypt(key, Secret(b"m"), b"", deadline=deadline),
        "decrypt_oaep": lambda: use.decrypt_oaep(
            key, OaepAlgorithm.RSAES_OAEP_SHA_256, bytes(256), deadline=deadline
        ),
        "derive": lambda: use.derive(key, peer, deadline=deadline),
    }


@pytest.mark.parametrize(
    ("spec", "usage", "may"),
    [
        (KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT, "encrypt"),
        (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC, "mac"),
        (KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY, "sign"),
        (KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT, "decrypt_oaep"),
        (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY, "sign"),
        (KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT, "derive"),
        (KeySpec.ECC_NIST_EDWARDS25519, KeyUsage.SIGN_VERIFY, "sign"),
    ],
)
async def test_a_key_has_the_verbs_of_its_usage_only(subject, spec, usage, may):
    for name, call in every_verb(subject, subject.key(spec, usage)).items():
        if name == may:
            with contextlib.suppress(HsmIntegrityError):  # of a ciphertext of zeros
                await call()
            continue
        with pytest.raises(HsmRequestError) as caught:
            await call()
        assert not isinstance(caught.value, HsmIntegrityError)


async def test_no_key_can_be_called_by_a_usage_that_its_spec_has_not(subject):
    key = subject.key(KeySpec.AES_256)._replace(usage=KeyUsage.SIGN_VERIFY)
    with pytest.raises(HsmRequestError):
        await subject.use.sign(key, SigningAlgorithm.ECDSA_SHA_256, bytes(32), deadline=in_s(10))


@pytest.mark.parametrize(
    ("spec", "algorithm", "length"),
    [
        (KeySpec.RSA_2048, SigningAlgorithm.RSASSA_PSS_SHA_256, 31),
        (KeySpec.RSA_2048, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_512, 32),
        (KeySpec.RSA_2048, SigningAlgorithm.ECDSA_SHA_256, 32),
        (KeySpec.ECC_NIST_P256, SigningAlgorithm.ECDSA_SHA_384, 48),
        (KeySpec.ECC_NIST_P384, SigningAlgorithm.ECDSA_SHA_384, 32),
        (KeySpec.ECC_SECG_P256K1, SigningAlgorithm.ECDSA_SHA_256, 0),
        (KeySpec.ECC_NIST_EDWARDS25519, SigningAlgorithm.ED25519_SHA_512, 0),
        (KeySpec.ECC_NIST_EDWARDS25519, SigningAlgorithm.ED25519_SHA_512, 4097),
    ],
)
async def test_what_does_not_fit_the_key_is_not_signed(subject, spec, algorithm, length):
    key = subject.key(spec, KeyUsage.SIGN_VERIFY)
    with pytest.raises(HsmRequestError):
        await subject.use.sign(key, algorithm, bytes(length), deadline=in_s(10))


async def test_lengths_out_of_range_are_a_wrong_request(subject):
    use, aes, mac = subject.use, subject.key(KeySpec.AES_256), subject.key(KeySpec.HMAC_256)
    sealed = await use.encrypt(aes, Secret(b"m"), b"", deadline=in_s(10))
    short = aes._replace(key_id=HsmKeyId(bytes(15)))
    for call in (
        use.mac(mac, b"", deadline=in_s(10)),
        use.mac(mac, bytes(4097), deadline=in_s(10)),
        use.encrypt(aes, Secret(b""), b"", deadline=in_s(10)),
        use.encrypt(aes, Secret(bytes(4097)), b"", deadline=in_s(10)),
        use.encrypt(aes, Secret(b"m"), bytes(8193), deadline=in_s(10)),
        use.decrypt(aes, sealed._replace(ciphertext=b""), b"", deadline=in_s(10)),
        use.decrypt(aes, sealed._replace(ciphertext=bytes(4097)), b"", deadline=in_s(10)),
        use.decrypt(aes, sealed._replace(tag=bytes(15)), b"", deadline=in_s(10)),
        use.decrypt(aes, sealed._replace(iv=b""), b"", deadline=in_s(10)),
        use.decrypt(aes, sealed, bytes(8193), deadline=in_s(10)),
        use.encrypt(short, Secret(b"m"), b"", deadline=in_s(10)),
    ):
        with pytest.raises(HsmRequestError) as caught:
            await call
        assert not isinstance(caught.value, HsmIntegrityError)


@pytest.mark.parametrize(
    ("spec", "verb"),
    [
        (KeySpec.AES_256, "encrypt"),
        (KeySpec.HMAC_256, "mac"),
        (KeySpec.RSA_2048, "decrypt_oaep"),
        (KeySpec.ECC_NIST_P256, "derive"),
        (KeySpec.ECC_NIST_EDWARDS25519, "sign"),
    ],
)
async def test_a_key_that_is_not_there_is_told_as_such(subject, spec, verb):
    call = every_verb(subject, new_key(spec, min(spec.usages)), limit_s=0.5)[verb]
    with pytest.raises(subject.no_key_error) as caught:
        await call()
    assert isinstance(caught.value, HsmKeyNotFoundError) or isinstance(
        caught.value.__cause__, HsmKeyNotFoundError
    )


async def test_a_deadline_that_has_passed_ends_the_call_at_once(subject):
    tries = Tries(1)
    for _ in tries:
        with tries.timed(), pytest.raises(subject.deadline_error):
            await subject.use.mac(subject.key(KeySpec.HMAC_256), b"m", deadline=in_s(-1))


async def test_an_hsm_that_does_not_answer_costs_no_more_than_the_deadline(subject):
    key = subject.key(KeySpec.HMAC_256)
    before = await subject.use.mac(key, b"m", deadline=in_s(10))
    subject.stop_answering()
    tries = Tries(1.5)
    try:
        for _ in tries:
            with tries.timed(), pytest.raises(subject.deadline_error):
                await subject.use.mac(key, b"m", deadline=in_s(0.2))
        assert min(tries.took_s) > 0.15
    finally:
        subject.answer_again()
    assert await subject.use.mac(key, b"m", deadline=in_s(10)) == before


async def test_many_calls_at_once_each_get_their_own_answer(subject):
    key, spki = subject.keys[KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY]
    digests = [hashlib.sha256(b"%d" % n).digest() for n in range(100)]
    algorithm = SigningAlgorithm.ECDSA_SHA_256
    made = await asyncio.gather(
        *[subject.use.sign(key, algorithm, digest, deadline=in_s(20)) for digest in digests]
    )
    for digest, signature in zip(digests, made, strict=True):
        verify_signature(key.spec, spki, algorithm, digest, signature)


async def test_one_bad_call_among_many_spoils_no_other_and_the_order_is_kept(subject):
    mac, aes = subject.key(KeySpec.HMAC_256), subject.key(KeySpec.AES_256)
    sealed = await subject.use.encrypt(aes, Secret(b"m"), b"", deadline=in_s(10))
    forged = sealed._replace(tag=bytes(16))
    calls = []
    for n in range(60):
        calls.append(subject.use.mac(mac, b"%d" % n, deadline=in_s(20)))
        calls.append(subject.use.decrypt(aes, forged, b"", deadline=in_s(20)))
        calls.append(subject.use.mac(mac, b"", deadline=in_s(20)))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers[1::3]} == {HsmIntegrityError}
    assert {type(answer) for answer in answers[2::3]} == {HsmRequestError}
    assert answers[0::3] == [await subject.use.mac(mac, b"%d" % n, deadline=in_s(10)) for n in range(60)]
