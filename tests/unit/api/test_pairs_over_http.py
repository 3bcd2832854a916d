"""boto3, through our HTTP server, against the real service, keyring, database and audit log: pairs and HMAC keys."""

import asyncio
import hashlib

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from api_support import ACCOUNT, REGION, Health
from fakes_keyring import HsmAndDatabase
from fakes_service import ACCESS_KEYS, EVERYTHING, ServiceBench
from http_support import serve
from strongroom.api import Handler
from strongroom.core import ManagedKeySpec, Secret, SystemClock
from strongroom.service import Credential

SECRET = "a-secret-of-the-tests"
MESSAGE = b"a message to be signed"
USAGE_OF = {"RSA": "SIGN_VERIFY", "ECC": "SIGN_VERIFY", "HMA": "GENERATE_VERIFY_MAC", "ML_": "SIGN_VERIFY"}


class _LateHandler:
    """Stands for a handler that is made in the thread of the server's loop, where its database belongs."""

    made = None

    def __getattr__(self, name):
        return getattr(self.made, name)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The bench, and the port that it is served on."""
    folder, late = tmp_path_factory.mktemp("pairs"), _LateHandler()
    hsm_and_database = HsmAndDatabase(folder)

    async def start():
        made = ServiceBench(hsm_and_database, folder)
        credential = Credential(ACCESS_KEYS[EVERYTHING], EVERYTHING, Secret(SECRET.encode()))
        made.service.take_credentials({credential.access_key_id: credential})
        late.made = Handler(made.service, Health(), clock=SystemClock(), account_id=ACCOUNT)
        return made

    async def stop():
        bench.close()

    with serve(late) as running:
        bench = asyncio.run_coroutine_threadsafe(start(), running.loop).result(60)
        try:
            yield bench, running.port
        finally:
            asyncio.run_coroutine_threadsafe(stop(), running.loop).result(60)


@pytest.fixture(scope="module")
def bench(served):
    return served[0]


@pytest.fixture(scope="module")
def kms(served):
    return boto3.session.Session().client(
        "kms",
        endpoint_url=f"http://127.0.0.1:{served[1]}",
        region_name=REGION,
        aws_access_key_id=ACCESS_KEYS[EVERYTHING],
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
    )


def new_key(kms, spec, usage):
    return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]


def code_of(call, **members):
    with pytest.raises(ClientError) as refused:
        call(**members)
    error = refused.value.response["Error"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


@pytest.mark.parametrize("spec", [spec for spec in ManagedKeySpec if spec not in {"RSA_3072", "RSA_4096"}])
def test_metadata_tells_what_each_kind_of_key_is_for(kms, spec):
    for usage in spec.usages:
        made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
        told = kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
        assert told == made
        assert (told["KeySpec"], told["CustomerMasterKeySpec"]) == (spec, spec)
        assert (told["KeyUsage"], told["Origin"], told["KeyState"]) == (usage, "AWS_KMS", "Enabled")
        lists = {name: told[name] for name in told if name.endswith("Algorithms")}
        expected = {
            "SIGN_VERIFY": {"SigningAlgorithms": list(spec.signing_algorithms)},
            "KEY_AGREEMENT": {"KeyAgreementAlgorithms": ["ECDH"]},
            "GENERATE_VERIFY_MAC": {"MacAlgorithms": [f"HMAC_SHA_{spec.value[-3:]}"]},
            "ENCRYPT_DECRYPT": {
                "EncryptionAlgorithms": ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
                if spec.is_rsa
                else ["SYMMETRIC_DEFAULT"]
            },
        }
        assert lists == expected[usage]
        assert ("CurrentKeyMaterialId" in told) is spec.is_symmetric


def test_the_deprecated_name_of_the_spec_makes_the_same_key(kms):
    made = kms.create_key(CustomerMasterKeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    assert made["KeySpec"] == "ECC_NIST_P384"


@pytest.mark.parametrize(("spec", "algorithm"), [
    ("RSA_2048", "RSASSA_PSS_SHA_384"), ("ECC_NIST_P256", "ECDSA_SHA_256"), ("ECC_NIST_P521", "ECDSA_SHA_512"),
    ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"), ("ML_DSA_65", "ML_DSA_SHAKE_256"),
])  # fmt: skip
def test_a_signature_goes_out_and_verifies(kms, spec, algorithm):
    key_id = new_key(kms, spec, "SIGN_VERIFY")
    asked = {"KeyId": key_id, "Message": MESSAGE, "SigningAlgorithm": algorithm}
    made = kms.sign(**asked)
    assert made["KeyId"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"
    found = kms.verify(**asked, Signature=made["Signature"])
    assert (found["SignatureValid"], found["SigningAlgorithm"]) == (True, algorithm)
    half = kms.get_public_key(KeyId=key_id)
    assert (half["KeySpec"], half["KeyUsage"]) == (spec, "SIGN_VERIFY")
    assert algorithm in half["SigningAlgorithms"]
    load_der_public_key(half["PublicKey"])
    assert code_of(kms.verify, **asked, Signature=made["Signature"][:-1]) == (
        "KMSInvalidSignatureException",
        "",
    )
    with pytest.raises(kms.exceptions.KMSInvalidSignatureException):
        kms.verify(**{**asked, "Message": b"another"}, Signature=made["Signature"])
    with pytest.raises(kms.exceptions.DryRunOperationException, match="would have succeeded"):
        kms.sign(**asked, DryRun=True)


def test_digests_are_signed_when_they_have_the_length_of_the_algorithm(kms):
    key_id = new_key(kms, "ECC_NIST_P384", "SIGN_VERIFY")
    asked = {"KeyId": key_id, "SigningAlgorithm": "ECDSA_SHA_384"}
    made = kms.sign(**asked, Message=hashlib.sha384(MESSAGE).digest(), MessageType="DIGEST")
    assert kms.verify(**asked, Message=MESSAGE, Signature=made["Signature"])["SignatureValid"]
    assert code_of(kms.sign, **asked, Message=hashlib.sha256(MESSAGE).digest(), MessageType="DIGEST") == (
        "ValidationException",
        "Digest is invalid length for algorithm ECDSA_SHA_384.",
    )


def test_macs_are_made_and_verified(kms):
    key_id = new_key(kms, "HMAC_512", "GENERATE_VERIFY_MAC")
    asked = {"KeyId": key_id, "Message": MESSAGE, "MacAlgorithm": "HMAC_SHA_512"}
    made = kms.generate_mac(**asked)
    assert kms.verify_mac(**asked, Mac=made["Mac"])["MacValid"] is True
    assert code_of(kms.verify_mac, **asked, Mac=made["Mac"][:-1]) == ("KMSInvalidMacException", "")


def test_rsa_encrypts_and_tells_nothing_but_that_a_ciphertext_is_wrong(kms):
    key_id = new_key(kms, "RSA_2048", "ENCRYPT_DECRYPT")
    asked = {"KeyId": key_id, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    made = kms.encrypt(**asked, Plaintext=MESSAGE)
    assert (len(made["CiphertextBlob"]), made["EncryptionAlgorithm"]) == (256, "RSAES_OAEP_SHA_256")
    opened = kms.decrypt(**asked, CiphertextBlob=made["CiphertextBlob"])
    assert (opened["Plaintext"], "KeyMaterialId" in opened) == (MESSAGE, False)
    answers = {
        code_of(kms.decrypt, **{**asked, "EncryptionAlgorithm": algorithm}, CiphertextBlob=blob)
        for algorithm, blob in (
            ("RSAES_OAEP_SHA_1", made["CiphertextBlob"]),
            ("RSAES_OAEP_SHA_256", made["CiphertextBlob"][:-1]),
            ("RSAES_OAEP_SHA_256", b"\x00" * 256),
            ("RSAES_OAEP_SHA_256", b"\xff" * 256),
        )
    }
    assert answers == {("InvalidCiphertextException", "")}
    assert code_of(kms.encrypt, **asked, Plaintext=bytes(191))[0] == "ValidationException"
    assert code_of(kms.encrypt, KeyId=key_id, Plaintext=MESSAGE)[0] == "InvalidKeyUsageException"
    del asked["KeyId"]
    assert code_of(kms.decrypt, **asked, CiphertextBlob=made["CiphertextBlob"])[0] == "ValidationException"


def test_a_ciphertext_moves_between_rsa_and_symmetric_keys(kms):
    pair, symmetric = new_key(kms, "RSA_2048", "ENCRYPT_DECRYPT"), kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=symmetric, Plaintext=MESSAGE)["CiphertextBlob"]
    moved = kms.re_encrypt(
        CiphertextBlob=sealed, DestinationKeyId=pair, DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_1"
    )
    assert (moved["SourceEncryptionAlgorithm"], moved["DestinationEncryptionAlgorithm"]) == (
        "SYMMETRIC_DEFAULT",
        "RSAES_OAEP_SHA_1",
    )
    opened = kms.decrypt(
        CiphertextBlob=moved["CiphertextBlob"], KeyId=pair, EncryptionAlgorithm="RSAES_OAEP_SHA_1"
    )
    assert opened["Plaintext"] == MESSAGE


def test_two_parties_agree(kms):
    key_id, other = new_key(kms, "ECC_NIST_P256", "KEY_AGREEMENT"), ec.generate_private_key(ec.SECP256R1())
    spki = other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = {"KeyId": key_id, "KeyAgreementAlgorithm": "ECDH"}
    made = kms.derive_shared_secret(**asked, PublicKey=spki)
    ours = load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"])
    assert made["SharedSecret"] == other.exchange(ec.ECDH(), ours)
    assert made["KeyOrigin"] == "AWS_KMS"
    assert code_of(kms.derive_shared_secret, **asked, PublicKey=spki[:-1])[0] == "ValidationException"


def test_pairs_of_data_keys_come_in_clear_and_encrypted_or_encrypted_only(kms):
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key_id, "KeyPairSpec": "ECC_NIST_P384", "EncryptionContext": {"tenant": "7"}}
    made = kms.generate_data_key_pair(**asked)
    opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext={"tenant": "7"})
    assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
    spki = load_der_private_key(opened["Plaintext"], None).public_key()
    assert spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == made["PublicKey"]
    hidden = kms.generate_data_key_pair_without_plaintext(**asked)
    assert "PrivateKeyPlaintext" not in hidden
    assert kms.decrypt(CiphertextBlob=hidden["PrivateKeyCiphertextBlob"], EncryptionContext={"tenant": "7"})
    assert (
        code_of(kms.generate_data_key_pair, KeyId=key_id, KeyPairSpec="SM2")[0]
        == "UnsupportedOperationException"
    )


def test_what_does_not_fit_is_refused_in_the_words_of_aws(kms):
    signing, symmetric = (
        new_key(kms, "ECC_NIST_P256", "SIGN_VERIFY"),
        kms.create_key()["KeyMetadata"]["KeyId"],
    )
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{signing}"
    asked = {"KeyId": signing, "Message": MESSAGE}
    unfit = [
        (kms.encrypt, {"KeyId": signing, "Plaintext": b"x"}, "InvalidKeyUsageException",
         f"{arn} key usage is SIGN_VERIFY which is not valid for Encrypt."),
        (kms.sign, {**asked, "SigningAlgorithm": "ECDSA_SHA_512"}, "InvalidKeyUsageException",
         "Algorithm ECDSA_SHA_512 and key spec ECC_NIST_P256 are not compatible."),
        (kms.sign, {**asked, "SigningAlgorithm": "SM2DSA"}, "InvalidKeyUsageException", None),
        (kms.sign, {**asked, "SigningAlgorithm": "ED25519_PH_SHA_512"}, "UnsupportedOperationException", None),
        (kms.sign, {**asked, "SigningAlgorithm": "ECDSA_SHA_256", "MessageType": "EXTERNAL_MU"}, "ValidationException", None),
        (kms.generate_mac, {**asked, "MacAlgorithm": "HMAC_SHA_256"}, "InvalidKeyUsageException", None),
        (kms.get_public_key, {"KeyId": symmetric}, "UnsupportedOperationException", None),
        (kms.create_key, {"KeySpec": "RSA_2048"}, "ValidationException",
         "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."),
        (kms.create_key, {"KeySpec": "HMAC_256", "KeyUsage": "SIGN_VERIFY"}, "ValidationException",
         "KeyUsage SIGN_VERIFY is not compatible with KeySpec HMAC_256"),
        (kms.create_key, {"KeySpec": "ECC_SECG_P256K1", "KeyUsage": "KEY_AGREEMENT"}, "ValidationException",
         "KeyUsage KEY_AGREEMENT is not compatible with KeySpec ECC_SECG_P256K1"),
        (kms.create_key, {"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"}, "UnsupportedOperationException", None),
    ]  # fmt: skip
    for call, members, code, message in unfit:
        found = code_of(call, **members)
        assert found == (code, message or found[1]), members


def test_rehearsals_succeed_by_their_own_error_everywhere(kms):
    symmetric = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=symmetric, Plaintext=MESSAGE)["CiphertextBlob"]
    for call, members in (
        (kms.encrypt, {"KeyId": symmetric, "Plaintext": MESSAGE}),
        (kms.decrypt, {"CiphertextBlob": sealed}),
        (kms.re_encrypt, {"CiphertextBlob": sealed, "DestinationKeyId": symmetric}),
        (kms.generate_data_key, {"KeyId": symmetric, "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": symmetric, "KeySpec": "AES_256"}),
        (kms.generate_data_key_pair, {"KeyId": symmetric, "KeyPairSpec": "RSA_4096"}),
        (kms.generate_data_key_pair_without_plaintext, {"KeyId": symmetric, "KeyPairSpec": "RSA_4096"}),
    ):
        assert code_of(call, **members, DryRun=True)[0] == "DryRunOperationException"
    kms.disable_key(KeyId=symmetric)
    for call, members in (
        (kms.encrypt, {"KeyId": symmetric, "Plaintext": MESSAGE}),
        (kms.decrypt, {"CiphertextBlob": sealed}),
    ):
        assert code_of(call, **members, DryRun=True)[0] == "DisabledException"


def test_the_log_has_every_signature_with_its_algorithm_and_no_message(kms, bench):
    key_id = new_key(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    kms.sign(KeyId=key_id, Message=b"nobody-may-log-this", SigningAlgorithm="ECDSA_SHA_256")
    [entry] = [one for one in bench.entries() if one.key_id == key_id and one.event == "kms.Sign"]
    assert (entry.outcome, entry.detail) == (
        "ok",
        {"algorithm": "ECDSA_SHA_256", "allowed_by": "role:crypto-user"},
    )
    assert b"nobody-may-log-this" not in bench.logged_bytes()
