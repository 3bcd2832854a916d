"""The main job, as its users do it: unmodified boto3 over TLS against a two-member SoftHSM cluster."""

from pathlib import Path

import botocore.exceptions
import pytest

from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries, verify_log


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    home = copy_home(initialised_home, tmp_path_factory.mktemp("e2e") / "home")
    with RunningService(home) as running:
        running.start()
        yield running


def test_boto3_creates_a_key_encrypts_and_decrypts(service: RunningService) -> None:
    kms = service.client()
    key = kms.create_key(Description="payroll")["KeyMetadata"]
    made = kms.encrypt(KeyId=key["Arn"], Plaintext=b"salary", EncryptionContext={"tenant": "7"})
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"tenant": "7"})
    assert opened["Plaintext"] == b"salary"
    assert opened["KeyId"] == made["KeyId"] == key["Arn"]


def test_an_alias_serves_in_place_of_the_key(service: RunningService) -> None:
    kms = service.client()
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/end-to-end", TargetKeyId=key["KeyId"])
    data_key = kms.generate_data_key(KeyId="alias/end-to-end", KeySpec="AES_256")
    assert len(data_key["Plaintext"]) == 32
    assert data_key["KeyId"] == key["Arn"]
    assert kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    names = {
        alias["AliasName"]
        for page in kms.get_paginator("list_aliases").paginate()
        for alias in page["Aliases"]
    }
    assert "alias/end-to-end" in names


def test_a_disabled_key_is_refused_until_it_is_enabled_again(service: RunningService) -> None:
    kms = service.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key_id)
    for call in (lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x"), lambda: kms.decrypt(CiphertextBlob=blob)):
        with pytest.raises(kms.exceptions.DisabledException):
            call()
    kms.enable_key(KeyId=key_id)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize("spoil", ["context", "flip", "truncate", "foreign"])
def test_a_ciphertext_that_is_not_as_it_was_made_is_refused(service: RunningService, spoil: str) -> None:
    kms = service.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    context = {"ab": "c"}
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
    match spoil:
        case "context":
            context = {"a": "bc"}
        case "flip":
            blob = blob[:-1] + bytes([blob[-1] ^ 1])
        case "truncate":
            blob = blob[:-1]
        case "foreign":
            blob = b"\x01\x02\x03" * 40
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)


def test_a_wrong_secret_is_refused_and_recorded(service: RunningService) -> None:
    kms = service.client(secret="not-the-secret")
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        kms.list_keys()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    refused = [entry for entry in read_entries(service.home.audit) if entry.kind == "refusal"]
    assert refused[-1].outcome == "InvalidSignatureException"


def test_every_answer_has_its_entry_and_the_log_verifies(service: RunningService) -> None:
    kms = service.client()
    answer = kms.create_key()
    request_id = answer["ResponseMetadata"]["RequestId"]
    entries = [entry for entry in read_entries(service.home.audit) if entry.request_id == request_id]
    assert [entry.kind for entry in entries] == ["intent", "outcome"]
    assert entries[-1].key_id == answer["KeyMetadata"]["KeyId"]
    verify_log(service.home.audit)


def test_nothing_that_runs_shows_a_secret(service: RunningService) -> None:
    kms = service.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.encrypt(KeyId=key_id, Plaintext=b"plaintext-canary-7", EncryptionContext={"who": "context-canary-7"})
    secrets = [path.read_bytes() for path in service.home.pins.iterdir() if path.suffix != ".json"]
    secrets += [b"plaintext-canary-7", b"context-canary-7"]
    secrets.append(service.home.development_access_key.read_bytes().split(b'"')[-2])
    places = [service.log_path, *service.home.audit.rglob("*.wal")]
    shown = [path.read_bytes() for path in places]
    for pid in [service.pid, *service.children().values()]:
        shown += [Path(f"/proc/{pid}/cmdline").read_bytes(), Path(f"/proc/{pid}/environ").read_bytes()]
    assert len(secrets) == 7
    for secret in secrets:
        assert not any(secret in content for content in shown)


def test_it_stops_in_order_and_starts_again(initialised_home: Path, tmp_path: Path) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="cache", ttl_s=0.0)
    with RunningService(home) as running:
        running.start()
        kms = running.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        blob = kms.encrypt(KeyId=key_id, Plaintext=b"kept")["CiphertextBlob"]
        assert running.stop() == 0
        running.start()
        assert running.client().decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
        assert running.stop() == 0
    verify_log(home.audit)
