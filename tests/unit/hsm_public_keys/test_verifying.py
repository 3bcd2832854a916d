"""Verifying and padding in software, against Wycheproof's vectors."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.core import (
    HsmIntegrityError,
    HsmRequestError,
    KeySpec,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    VerificationFailedError,
)
from strongroom.hsm.public_keys import (
    check_signed,
    curve_of,
    digest_info,
    encrypt_oaep,
    load_public_key,
    oaep_limit_bytes,
    oaep_unpadded,
    point_of_peer,
    raw_from_der,
    verify_signature,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "wycheproof"
SIGNING = [
    ("ed25519", KeySpec.ECC_NIST_EDWARDS25519, SigningAlgorithm.ED25519_SHA_512),
    ("ecdsa_secp256r1_sha256", KeySpec.ECC_NIST_P256, SigningAlgorithm.ECDSA_SHA_256),
    ("ecdsa_secp384r1_sha384", KeySpec.ECC_NIST_P384, SigningAlgorithm.ECDSA_SHA_384),
    ("ecdsa_secp521r1_sha512", KeySpec.ECC_NIST_P521, SigningAlgorithm.ECDSA_SHA_512),
    ("ecdsa_secp256k1_sha256", KeySpec.ECC_SECG_P256K1, SigningAlgorithm.ECDSA_SHA_256),
    ("rsa_signature_2048_sha256", KeySpec.RSA_2048, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256),
    ("rsa_pss_2048_sha256_mgf1_32", KeySpec.RSA_2048, SigningAlgorithm.RSASSA_PSS_SHA_256),
]
EMPTY_MESSAGE = {KeySpec.ECC_NIST_EDWARDS25519}  # HSMs are not asked to sign nothing


def groups(name):
    return json.loads((VECTORS / f"{name}.json").read_text())["testGroups"]


def canonical(der):
    return load_der_public_key(der).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_taken(spec, spki):
    """Keys with an exponent other than 65,537 are not."""
    try:
        load_public_key(spec, spki)
    except HsmRequestError:
        return False
    return True


def outcome(spec, spki, algorithm, message, signature):
    length = algorithm.digest_len_bytes
    signed = message if length is None else hashlib.new(f"sha{8 * length}", message).digest()
    try:
        verify_signature(spec, spki, algorithm, signed, signature)
    except VerificationFailedError:
        return "invalid"
    except HsmRequestError:
        return "not asked"
    return "valid"


@pytest.mark.parametrize(("name", "spec", "algorithm"), SIGNING, ids=[name for name, *_ in SIGNING])
def test_signatures_verify_as_wycheproof_says(name, spec, algorithm):
    seen = Counter()
    for group in groups(name):
        spki = canonical(bytes.fromhex(group["publicKeyDer"]))
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            found = outcome(spec, spki, algorithm, message, signature)
            if (not message and spec in EMPTY_MESSAGE) or not is_taken(spec, spki):
                assert found == "not asked"
            elif test["result"] == "acceptable":  # a DigestInfo without NULL, which nobody makes here
                assert found == "invalid"
            else:
                assert (test["tcId"], found) == (test["tcId"], test["result"])
            seen[found] += 1
    assert seen["valid"] > 5
    assert seen["invalid"] > 5
    assert seen["not asked"] < 5


@pytest.mark.parametrize(("name", "spec", "algorithm"), SIGNING[1:5], ids=[name for name, *_ in SIGNING[1:5]])
def test_every_valid_ecdsa_signature_has_a_raw_form(name, spec, algorithm):
    half = curve_of(spec).field_len_bytes
    for group in groups(name):
        for test in group["tests"]:
            if test["result"] == "valid":
                assert len(raw_from_der(spec, bytes.fromhex(test["sig"]))) == 2 * half


@pytest.mark.parametrize(
    ("name", "spec"), [("ecdh_secp256r1", KeySpec.ECC_NIST_P256), ("ecdh_secp521r1", KeySpec.ECC_NIST_P521)]
)
def test_no_invalid_point_is_taken_as_a_peer_and_every_valid_one_is(name, spec):
    seen = Counter()
    curve = curve_of(spec).implementation
    for group in groups(name):
        for test in group["tests"]:
            try:
                point = point_of_peer(spec, bytes.fromhex(test["public"]))
            except HsmRequestError:
                found = "refused"
            else:
                found = "taken"
                ours = ec.derive_private_key(int(test["private"], 16), curve)
                agreed = ours.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, point))
                assert agreed.hex() == test["shared"]
            seen[test["result"], found] += 1
    assert not seen["invalid", "taken"], seen
    assert not seen["valid", "refused"], seen
    assert not seen["acceptable", "taken"], "only the canonical encoding is taken"
    assert seen["valid", "taken"] > 100
    assert seen["invalid", "refused"] > 20


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("rsa_oaep_2048_sha1_mgf1sha1", OaepAlgorithm.RSAES_OAEP_SHA_1),
        ("rsa_oaep_2048_sha256_mgf1sha256", OaepAlgorithm.RSAES_OAEP_SHA_256),
    ],
)
def test_padding_is_undone_as_wycheproof_says(name, algorithm):
    seen = Counter()
    for group in groups(name):
        numbers = load_der_private_key(bytes.fromhex(group["privateKeyPkcs8"]), None).private_numbers()
        n = numbers.public_numbers.n
        for test in group["tests"]:
            c = int(test["ct"] or "0", 16)
            if test["label"] or len(test["ct"]) != 512 or c >= n:
                continue  # no label here, and the length is checked before
            try:
                opened = oaep_unpadded(algorithm, pow(c, numbers.d, n).to_bytes(256, "big"))
            except HsmIntegrityError:
                found = "invalid"
            else:
                found = "valid"
                assert opened.reveal().hex() == test["msg"]
            assert (test["tcId"], found) == (test["tcId"], test["result"])
            seen[found] += 1
    assert seen["valid"] > 5
    assert seen["invalid"] > 5


KEY = rsa.generate_private_key(65537, 2048)
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@settings(max_examples=20)
@given(st.sampled_from(OaepAlgorithm), st.binary(min_size=1, max_size=190))
def test_what_was_encrypted_comes_back_from_its_padding(algorithm, plaintext):
    ciphertext = encrypt_oaep(KeySpec.RSA_2048, SPKI, algorithm, Secret(plaintext))
    numbers = KEY.private_numbers()
    encoded = pow(int.from_bytes(ciphertext, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
    assert oaep_unpadded(algorithm, encoded).matches(Secret(plaintext))
    for damaged in (b"\x01" + encoded[1:], encoded[:-1] + bytes([encoded[-1] ^ 1])):
        with pytest.raises(HsmIntegrityError) as caught:
            oaep_unpadded(algorithm, damaged)
        assert caught.value.message == "the ciphertext does not decrypt"


@given(st.sampled_from(OaepAlgorithm), st.binary(min_size=256, max_size=256))
def test_random_numbers_have_no_padding(algorithm, encoded):
    with pytest.raises(HsmIntegrityError):
        oaep_unpadded(algorithm, encoded)


def test_the_limits_of_oaep_are_those_of_aws():
    limits = {
        spec: [oaep_limit_bytes(spec, algorithm) for algorithm in OaepAlgorithm]
        for spec in (KeySpec.RSA_2048, KeySpec.RSA_3072, KeySpec.RSA_4096)
    }
    assert list(limits.values()) == [[214, 190], [342, 318], [470, 446]]
    for length in (0, 191):
        with pytest.raises(HsmRequestError):
            encrypt_oaep(KeySpec.RSA_2048, SPKI, OaepAlgorithm.RSAES_OAEP_SHA_256, Secret(bytes(length)))
    with pytest.raises(HsmRequestError):
        oaep_limit_bytes(KeySpec.ECC_NIST_P256, OaepAlgorithm.RSAES_OAEP_SHA_1)


@pytest.mark.parametrize("spec", KeySpec)
@pytest.mark.parametrize("algorithm", SigningAlgorithm)
def test_a_key_signs_by_its_own_algorithms_and_digests_of_their_length_only(spec, algorithm):
    length = algorithm.digest_len_bytes or 100
    if algorithm not in spec.signing_algorithms:
        with pytest.raises(HsmRequestError):
            check_signed(spec, algorithm, bytes(length))
        return
    check_signed(spec, algorithm, bytes(length))
    for wrong in (0, 4097) if algorithm.digest_len_bytes is None else (0, length - 1, length + 1):
        with pytest.raises(HsmRequestError):
            check_signed(spec, algorithm, bytes(wrong))


def test_digest_info_is_what_another_implementation_signs():
    digest = hashlib.sha256(b"x").digest()
    numbers, info = KEY.private_numbers(), digest_info(digest)
    padded = b"\x00\x01" + b"\xff" * (256 - 3 - len(info)) + b"\x00" + info
    signature = pow(int.from_bytes(padded, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
    verify_signature(KeySpec.RSA_2048, SPKI, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256, digest, signature)
    for length in (0, 20, 28, 31):
        with pytest.raises(HsmRequestError):
            digest_info(bytes(length))
