"""Rotation and imported material as their users have them: unmodified boto3 over TLS, SoftHSM members, kills in between."""

import datetime as dt
import itertools
import threading
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from running_service import RunningService, copy_home
from strongroom.audit import read_entries, verify_log

OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
MATERIAL = bytes(range(32))


@pytest.fixture
def service(initialised_home: Path, tmp_path: Path):
    home = copy_home(initialised_home, tmp_path / "home")
    with RunningService(home) as running:
        running.start()
        yield running


@pytest.fixture
def kms(service):
    client = service.client()
    yield client
    client.close()


def bring(kms, key_id, **said):
    parameters = kms.get_parameters_for_import(
        KeyId=key_id, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    wrapped = load_der_public_key(parameters["PublicKey"]).encrypt(MATERIAL, OAEP)
    brought = {"KeyId": key_id, "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": wrapped}
    return kms.import_key_material(**brought, **said)


def test_material_is_brought_used_deleted_and_brought_again(service, kms):
    key_id = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="is pending import"):
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
    made = bring(kms, key_id, ValidTo=dt.datetime.now(dt.UTC) + dt.timedelta(days=2))
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"payload")["CiphertextBlob"]
    assert kms.delete_imported_key_material(KeyId=key_id)["KeyMaterialId"] == made["KeyMaterialId"]
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="is pending import"):
        kms.decrypt(CiphertextBlob=blob)
    service.stop()
    service.start()
    kms = service.client()
    again = bring(kms, key_id, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    assert again["KeyMaterialId"] == made["KeyMaterialId"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"payload"
    kms.close()


def test_nothing_acknowledged_is_lost_when_the_service_is_killed_in_the_middle_of_rotations(service, kms):
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    made, rotated, enough = [], [], threading.Event()

    def work():
        """Rotate and encrypt until the service is gone; what was answered is acknowledged."""
        client = service.client()
        try:
            for number in itertools.count():
                if number < 25:
                    client.rotate_key_on_demand(KeyId=key_id)
                    rotated.append(number)
                plaintext = f"number {number}".encode()
                made.append((plaintext, client.encrypt(KeyId=key_id, Plaintext=plaintext)["CiphertextBlob"]))
                if number == 3:
                    enough.set()
        except (BotoCoreError, ClientError):
            enough.set()
        finally:
            client.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert enough.wait(60)
        service.kill_everything()
    finally:
        worker.join(120)
    assert not worker.is_alive()
    service.start()
    client = service.client()
    assert len(made) >= 4
    for plaintext, blob in made:
        assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == plaintext
    entries = client.list_key_rotations(KeyId=key_id)["Rotations"]
    assert len(rotated) <= len(entries) <= len(rotated) + 1
    assert [entry["KeyMaterialState"] for entry in entries][-1] == "CURRENT"
    assert (
        client.describe_key(KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"]
        == entries[-1]["KeyMaterialId"]
    )
    client.close()
    service.stop()
    verify_log(service.home.audit)
    told = [entry for entry in read_entries(service.home.audit) if entry.event == "kms.RotateKeyOnDemand"]
    assert sum(entry.outcome == "ok" for entry in told) >= len(rotated)
