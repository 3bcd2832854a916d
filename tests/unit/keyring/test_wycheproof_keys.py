"""Envelope keys of every kind do as Wycheproof's vectors say: what is imported from a vector, and what verifies."""

import json
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from strongroom.core import (
    HsmIntegrityError,
    HsmRequestError,
    ManagedKeySpec,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    VerificationFailedError,
)
from strongroom.hsm.public_keys import MAX_MESSAGE_BYTES, point_of_peer
from strongroom.keyring import MessageType, UnfitRequestError, material_of_import
from strongroom.keyring._signing import to_sign, verify
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._software_work import software_work

VECTORS = Path(__file__).parents[2] / "vectors" / "wycheproof"
VERIFYING = {
    "ecdsa_secp256k1_sha256": (ManagedKeySpec.ECC_SECG_P256K1, SigningAlgorithm.ECDSA_SHA_256),
    "ecdsa_secp256r1_sha256": (ManagedKeySpec.ECC_NIST_P256, SigningAlgorithm.ECDSA_SHA_256),
    "ecdsa_secp384r1_sha384": (ManagedKeySpec.ECC_NIST_P384, SigningAlgorithm.ECDSA_SHA_384),
    "ecdsa_secp521r1_sha512": (ManagedKeySpec.ECC_NIST_P521, SigningAlgorithm.ECDSA_SHA_512),
    "ed25519": (ManagedKeySpec.ECC_NIST_EDWARDS25519, SigningAlgorithm.ED25519_SHA_512),
    "mldsa_44_verify": (ManagedKeySpec.ML_DSA_44, SigningAlgorithm.ML_DSA_SHAKE_256),
    "mldsa_65_verify": (ManagedKeySpec.ML_DSA_65, SigningAlgorithm.ML_DSA_SHAKE_256),
    "mldsa_87_verify": (ManagedKeySpec.ML_DSA_87, SigningAlgorithm.ML_DSA_SHAKE_256),
    "rsa_pss_2048_sha256_mgf1_32": (ManagedKeySpec.RSA_2048, SigningAlgorithm.RSASSA_PSS_SHA_256),
    "rsa_pss_3072_sha256_mgf1_32": (ManagedKeySpec.RSA_3072, SigningAlgorithm.RSASSA_PSS_SHA_256),
    "rsa_pss_4096_sha384_mgf1_48": (ManagedKeySpec.RSA_4096, SigningAlgorithm.RSASSA_PSS_SHA_384),
    "rsa_pss_4096_sha512_mgf1_64": (ManagedKeySpec.RSA_4096, SigningAlgorithm.RSASSA_PSS_SHA_512),
    "rsa_signature_2048_sha256": (ManagedKeySpec.RSA_2048, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256),
    "rsa_signature_3072_sha384": (ManagedKeySpec.RSA_3072, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_384),
    "rsa_signature_4096_sha512": (ManagedKeySpec.RSA_4096, SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_512),
}
DECRYPTING = {
    "rsa_oaep_2048_sha1_mgf1sha1": (ManagedKeySpec.RSA_2048, OaepAlgorithm.RSAES_OAEP_SHA_1),
    "rsa_oaep_2048_sha256_mgf1sha256": (ManagedKeySpec.RSA_2048, OaepAlgorithm.RSAES_OAEP_SHA_256),
    "rsa_oaep_3072_sha256_mgf1sha256": (ManagedKeySpec.RSA_3072, OaepAlgorithm.RSAES_OAEP_SHA_256),
    "rsa_oaep_4096_sha256_mgf1sha256": (ManagedKeySpec.RSA_4096, OaepAlgorithm.RSAES_OAEP_SHA_256),
}
AGREEING = {
    "ecdh_secp256r1": (ManagedKeySpec.ECC_NIST_P256, ec.SECP256R1()),
    "ecdh_secp384r1": (ManagedKeySpec.ECC_NIST_P384, ec.SECP384R1()),
    "ecdh_secp521r1": (ManagedKeySpec.ECC_NIST_P521, ec.SECP521R1()),
}
MACS = {
    "hmac_sha224": ManagedKeySpec.HMAC_224,
    "hmac_sha256": ManagedKeySpec.HMAC_256,
    "hmac_sha384": ManagedKeySpec.HMAC_384,
    "hmac_sha512": ManagedKeySpec.HMAC_512,
}


def groups(name):
    return json.loads((VECTORS / f"{name}.json").read_text())["testGroups"]


@pytest.fixture
def slow():
    made = SlowWork("wycheproof", threads=1, max_under_way=10)
    yield made
    made.close()


def public_half_of(group):
    """Encoded canonically, as those are that we keep; None where it is no key at all."""
    try:
        key = load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
    except (KeyError, ValueError, TypeError):
        return None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def found(spec, algorithm, spki, test):
    try:
        what = to_sign(algorithm, bytes.fromhex(test["msg"]), MessageType.RAW)
        verify(spec, spki, algorithm, what, bytes.fromhex(test["sig"]))
    except VerificationFailedError:
        return "invalid"
    except HsmRequestError:  # a key with another exponent than 65,537, of which there is none here
        return "no key of ours"
    return "valid"


def is_out_of_reach(test):
    """Messages of length 0 or over 4,096, and contexts of ML-DSA, are not asked about here."""
    return not 1 <= len(test["msg"]) // 2 <= MAX_MESSAGE_BYTES or bool(test.get("ctx"))


@pytest.mark.parametrize("name", VERIFYING)
def test_signatures_verify_as_the_vectors_say(name):
    spec, algorithm = VERIFYING[name]
    seen = Counter()
    for group in groups(name):
        spki = public_half_of(group)
        for test in group["tests"]:
            if spki is None:
                assert test["result"] == "invalid"
            elif is_out_of_reach(test):
                continue
            else:
                outcome = found(spec, algorithm, spki, test)
                expected = "invalid" if test["result"] == "acceptable" else test["result"]
                assert outcome in {expected, "no key of ours"}, test["tcId"]
                seen[outcome] += 1
    assert seen["valid"] >= 3
    assert seen["invalid"] >= 3
    assert seen["no key of ours"] < 10


@pytest.mark.parametrize("name", DECRYPTING)
async def test_what_was_encrypted_by_oaep_decrypts_as_the_vectors_say(name, slow):
    spec, algorithm = DECRYPTING[name]
    seen = Counter()
    for group in groups(name):
        material = material_of_import(spec, Secret(bytes.fromhex(group["privateKeyPkcs8"])))
        work = software_work(spec, material.secret.reveal(), slow)
        assert work.public_key == material.public_key
        for test in group["tests"]:
            ciphertext = bytes.fromhex(test["ct"])
            if test["result"] == "valid" and not test["label"]:
                opened = await work.decrypt_oaep(algorithm, ciphertext)
                assert opened.reveal() == bytes.fromhex(test["msg"])
                seen["valid"] += 1
            else:  # we have no labels
                with pytest.raises(HsmIntegrityError) as refused:
                    await work.decrypt_oaep(algorithm, ciphertext)
                seen[str(refused.value)] += 1
    assert seen["valid"] >= 8
    assert len(seen) == 2  # whatever is wrong, it is told in the same words


def private_key(curve, number):
    key = ec.derive_private_key(number, curve)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("name", AGREEING)
async def test_agreed_secrets_are_those_of_the_vectors_and_no_wrong_peer_is_taken(name, slow):
    spec, curve = AGREEING[name]
    seen, works = Counter(), {}
    for group in groups(name):
        for test in group["tests"]:
            peer, number = bytes.fromhex(test["public"]), int(test["private"], 16)
            try:
                point_of_peer(spec.direct, peer)
            except HsmRequestError:
                assert test["result"] != "valid" or "Compressed" in str(test["flags"]), test["tcId"]
                seen["refused"] += 1
                continue
            assert test["result"] == "valid", test["tcId"]
            if number not in works:
                material = material_of_import(spec, Secret(private_key(curve, number)))
                works[number] = software_work(spec, material.secret.reveal(), slow)
            shared = await works[number].derive(peer)
            assert shared.reveal().hex() == test["shared"], test["tcId"]
            seen["agreed"] += 1
    assert seen["agreed"] > 20
    assert seen["refused"] > 20


@pytest.mark.parametrize("name", MACS)
async def test_macs_are_those_of_the_vectors(name, slow):
    spec = MACS[name]
    seen = Counter()
    for group in groups(name):
        if group["tagSize"] != spec.mac_algorithm.bits:
            continue  # shortened ones are not made here
        for test in group["tests"]:
            made = await software_work(spec, bytes.fromhex(test["key"]), slow).mac(bytes.fromhex(test["msg"]))
            assert (made.hex() == test["tag"]) == (test["result"] == "valid"), test["tcId"]
            seen[test["result"]] += 1
    assert seen["valid"] > 20
    assert seen["invalid"] > 20


@pytest.mark.parametrize("algorithm", SigningAlgorithm)
def test_no_message_of_another_length_is_taken(algorithm):
    for message in (b"", bytes(MAX_MESSAGE_BYTES + 1)):
        for kind in MessageType:
            with pytest.raises(UnfitRequestError):
                to_sign(algorithm, message, kind)
