"""Direct keys have names that fit together: specs, usages, algorithms."""

import pytest

from strongroom.core import (
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    ManagedKeySpec,
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
    by_direct_keys = {algorithm for spec in KeySpec for algorithm in spec.signing_algorithms}
    assert by_direct_keys == set(SigningAlgorithm) - {SigningAlgorithm.ML_DSA_SHAKE_256}
    by_managed_keys = {algorithm for spec in ManagedKeySpec for algorithm in spec.signing_algorithms}
    assert by_managed_keys == set(SigningAlgorithm)
    assert {spec.mac_algorithm for spec in KeySpec} - {None} == set(MacAlgorithm)


def test_digests_are_as_long_as_the_hash():
    assert {
        algorithm.value[-3:]: algorithm.digest_len_bytes
        for algorithm in SigningAlgorithm
        if algorithm not in {SigningAlgorithm.ED25519_SHA_512, SigningAlgorithm.ML_DSA_SHAKE_256}
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


def test_a_managed_key_is_used_as_its_direct_counterpart_is():
    for spec in ManagedKeySpec:
        if spec.direct is None:
            assert (spec.usages, spec.mac_algorithm) == ((KeyUsage.SIGN_VERIFY,), None)
            continue
        assert spec.direct.value == ("AES_256" if spec.is_symmetric else spec.value)
        assert spec.usages == spec.direct.usages
        assert spec.signing_algorithms == spec.direct.signing_algorithms
        assert spec.mac_algorithm == spec.direct.mac_algorithm
    assert {spec.direct for spec in ManagedKeySpec} - {None} == set(KeySpec)


def test_only_rsa_pairs_encrypt_by_their_public_half():
    for spec in ManagedKeySpec:
        assert bool(spec.oaep_algorithms) == spec.is_rsa == spec.startswith("RSA_")
        assert spec.is_pair == spec.startswith(("RSA_", "ECC_", "ML_DSA_"))
