"""Direct keys have names that fit together: specs, usages, algorithms."""

import pytest

from strongroom.core import (
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    SigningAlgorithm,
    VerificationFailedError,
    verify_mac,
)

BITS = {
    "AES_256": 256, "RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096, "ECC_NIST_P256": 256, "ECC_NIST_P384": 384,
    "ECC_NIST_P521": 521, "ECC_SECG_P256K1": 256, "ECC_NIST_EDWARDS25519": 255, "HMAC_224": 224, "HMAC_256": 256,
    "HMAC_384": 384, "HMAC_512": 512,
}  # fmt: skip


def test_every_spec_has_its_size():
    assert {spec.value: spec.bits for spec in KeySpec} == BITS


@pytest.mark.parametrize("spec", KeySpec)
def test_what_a_key_does_follows_from_its_usages(spec):
    assert spec.usages
    assert bool(spec.signing_algorithms) == (KeyUsage.SIGN_VERIFY in spec.usages)
    assert (spec.mac_algorithm is not None) == (KeyUsage.GENERATE_VERIFY_MAC in spec.usages)
    assert spec.is_pair == (spec.is_rsa or spec.is_curve)
    if spec.mac_algorithm is not None:
        assert spec.mac_algorithm.bits == spec.bits


def test_every_algorithm_belongs_to_some_spec():
    assert {algorithm for spec in KeySpec for algorithm in spec.signing_algorithms} == set(SigningAlgorithm)
    assert {spec.mac_algorithm for spec in KeySpec} - {None} == set(MacAlgorithm)


def test_digests_are_as_long_as_the_hash():
    assert {
        algorithm.value[-3:]: algorithm.digest_len_bytes
        for algorithm in SigningAlgorithm
        if algorithm is not SigningAlgorithm.ED25519_SHA_512
    } == {"256": 32, "384": 48, "512": 64}
    assert SigningAlgorithm.ED25519_SHA_512.digest_len_bytes is None


async def test_another_mac_does_not_verify():
    class Hsm:
        async def mac(self, key, message, *, deadline):
            return b"mac of " + message

    await verify_mac(Hsm(), None, b"m", b"mac of m", deadline=None)
    for wrong in (b"mac of n", b"", b"mac of m."):
        with pytest.raises(VerificationFailedError):
            await verify_mac(Hsm(), None, b"m", wrong, deadline=None)
