"""The Direct keys of a fake HSM obey its fault switches, and leave it only if they may."""

import pytest

from strongroom.core import (
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    Secret,
    SigningAlgorithm,
    VerificationFailedError,
    random_bytes,
)
from strongroom.hsm.public_keys import verify_signature
from strongroom.testing import FakeHsm


def made(hsm, spec, usage=None, *, may_leave=True):
    key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage or min(spec.usages))
    return key, hsm.direct.generate(key, "label", may_leave=may_leave)


def test_a_copy_is_the_same_key():
    alpha, beta = FakeHsm("alpha"), FakeHsm("beta")
    key, _ = made(alpha, KeySpec.HMAC_256)
    alpha.direct.copy_to(beta.direct, key)
    assert alpha.direct.mac(key, b"m") == beta.direct.mac(key, b"m")


def test_what_may_not_leave_does_not():
    alpha, beta = FakeHsm("alpha"), FakeHsm("beta")
    key, _ = made(alpha, KeySpec.AES_256, may_leave=False)
    with pytest.raises(HsmRequestError):
        alpha.direct.copy_to(beta.direct, key)
    assert not beta.direct.holds(key)


def test_a_drifted_fake_works_with_another_key_and_says_nothing():
    hsm = FakeHsm("alpha")
    aes, _ = made(hsm, KeySpec.AES_256)
    pair, spki = made(hsm, KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    sealed = hsm.direct.encrypt(aes, Secret(b"m"), b"")
    hsm.faults.wrong_key = True
    with pytest.raises(HsmIntegrityError):
        hsm.direct.decrypt(aes, sealed, b"")
    algorithm, digest = SigningAlgorithm.ECDSA_SHA_256, bytes(32)
    with pytest.raises(VerificationFailedError):
        verify_signature(pair.spec, spki, algorithm, digest, hsm.direct.sign(pair, algorithm, digest))
    hsm.faults.clear()
    assert hsm.direct.decrypt(aes, sealed, b"").matches(Secret(b"m"))


def test_names_are_taken_once_over_all_objects():
    hsm = FakeHsm("alpha")
    root_id = hsm.make_root()
    with pytest.raises(HsmRequestError):
        hsm.direct.generate(
            HsmKey(HsmKeyId(bytes(root_id)), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT), "x", may_leave=True
        )


def test_objects_come_and_go_with_the_key():
    hsm = FakeHsm("alpha")
    key, _ = made(hsm, KeySpec.ECC_NIST_P256)
    assert {(held.object_class, held.label) for held in hsm.objects()} == {
        ("public_key", "direct-label"),
        ("private_key", "direct-label"),
    }
    hsm.direct.destroy(key)
    assert hsm.objects() == []
    with pytest.raises(HsmKeyNotFoundError):
        hsm.direct.destroy(key)
