"""Pairs and HMAC keys in a whole service over SoftHSM: they outlive it, and its memory is all that a restart loses."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from running_service import RunningService, copy_home

_MAKERS = 2
MESSAGE = b"a message that is signed before and after"


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    with RunningService(copy_home(initialised_home, tmp_path_factory.mktemp("pairs") / "home")) as running:
        running.start()
        yield running


def test_keys_of_every_usage_work_after_a_restart_as_before(service: RunningService) -> None:
    kms = service.client()
    ids = {
        (spec, usage): kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        for spec, usage in (
            ("ECC_NIST_P256", "SIGN_VERIFY"),
            ("ML_DSA_44", "SIGN_VERIFY"),
            ("RSA_2048", "ENCRYPT_DECRYPT"),
            ("HMAC_256", "GENERATE_VERIFY_MAC"),
            ("ECC_NIST_P384", "KEY_AGREEMENT"),
        )
    }
    signing, ml_dsa, encrypting, macs, agreeing = ids.values()
    by_ecdsa = {"KeyId": signing, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
    by_ml_dsa = {"KeyId": ml_dsa, "Message": MESSAGE, "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    by_hmac = {"KeyId": macs, "Message": MESSAGE, "MacAlgorithm": "HMAC_SHA_256"}
    by_oaep = {"KeyId": encrypting, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    pair = kms.generate_data_key_pair(
        KeyId=kms.create_key()["KeyMetadata"]["KeyId"], KeyPairSpec="ECC_NIST_P384"
    )
    by_ecdh = {"KeyId": agreeing, "KeyAgreementAlgorithm": "ECDH", "PublicKey": pair["PublicKey"]}
    made = [
        kms.sign(**by_ecdsa)["Signature"],
        kms.sign(**by_ml_dsa)["Signature"],
        kms.generate_mac(**by_hmac)["Mac"],
    ]
    blob = kms.encrypt(**by_oaep, Plaintext=MESSAGE)["CiphertextBlob"]
    agreed = kms.derive_shared_secret(**by_ecdh)["SharedSecret"]

    service.stop()
    service.start()
    kms = service.client()
    assert kms.verify(**by_ecdsa, Signature=made[0])["SignatureValid"]
    assert kms.verify(**by_ml_dsa, Signature=made[1])["SignatureValid"]
    assert kms.verify_mac(**by_hmac, Mac=made[2])["MacValid"]
    assert kms.decrypt(**by_oaep, CiphertextBlob=blob)["Plaintext"] == MESSAGE
    assert kms.derive_shared_secret(**by_ecdh)["SharedSecret"] == agreed
    assert (
        kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"]
        == pair["PrivateKeyPlaintext"]
    )
    half = load_der_public_key(kms.get_public_key(KeyId=signing)["PublicKey"])
    half.verify(kms.sign(**by_ecdsa)["Signature"], MESSAGE, ec.ECDSA(hashes.SHA256()))
    other = load_der_private_key(pair["PrivateKeyPlaintext"], None)
    half = load_der_public_key(kms.get_public_key(KeyId=agreeing)["PublicKey"])
    assert other.exchange(ec.ECDH(), half) == agreed


def test_an_rsa_key_in_the_making_holds_up_nobody(service: RunningService) -> None:
    kms = service.client()
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    with ThreadPoolExecutor(_MAKERS) as pool:
        making = [
            pool.submit(service.client().create_key, KeySpec="RSA_4096", KeyUsage="SIGN_VERIFY")
            for _ in range(_MAKERS)
        ]
        n_signed = 0
        while not all(one.done() for one in making):
            kms.sign(KeyId=signing, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
            n_signed += 1
        for one in making:
            assert one.result()["KeyMetadata"]["KeySpec"] == "RSA_4096"
    # Seconds of making: were they spent on the event loop, one signature at most would come through for each key.
    assert n_signed > 2 * _MAKERS
