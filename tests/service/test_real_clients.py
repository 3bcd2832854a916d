"""Clients of other makers work unchanged over TLS, with no more than what ``strongroom env`` prints in their environment.

``./dev test --slow`` installs them into an environment of their own, in the versions of requirements/clients.txt.
"""

import base64
import json

import pytest

from fixtures_real_clients import Clients, is_installed
from running_service import RunningService
from strongroom.audit import read_entries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed, reason="the clients are missing: './dev test --slow' installs them"),
]


def test_aws_cli_makes_a_key_and_uses_it(clients: Clients) -> None:
    made = clients.kms(
        "create-key", "--description", "payroll", "--tags", "TagKey=team,TagValue=pay"
    )["KeyMetadata"]  # fmt: skip
    clients.kms("create-alias", "--alias-name", "alias/payroll", "--target-key-id", made["KeyId"])
    (clients.folder / "plain").write_bytes(b"\x00 attack at dawn")
    context = ("--encryption-context", "purpose=test")
    sealed = clients.kms(
        "encrypt", "--key-id", "alias/payroll", "--plaintext", "fileb://plain", *context
    )  # fmt: skip
    assert sealed["KeyId"] == made["Arn"]
    (clients.folder / "sealed").write_bytes(base64.b64decode(sealed["CiphertextBlob"]))
    opened = clients.kms("decrypt", "--ciphertext-blob", "fileb://sealed", *context)
    assert base64.b64decode(opened["Plaintext"]) == b"\x00 attack at dawn"
    refused = clients.run("aws", "kms", "decrypt", "--ciphertext-blob", "fileb://sealed")
    assert refused.returncode != 0
    assert "InvalidCiphertextException" in refused.stderr
    tags = clients.kms("list-resource-tags", "--key-id", made["KeyId"])["Tags"]
    assert tags == [{"TagKey": "team", "TagValue": "pay"}]


def test_aws_cli_generates_data_keys_that_open(clients: Clients) -> None:
    arn = clients.new_key()
    made = clients.kms("generate-data-key", "--key-id", arn, "--key-spec", "AES_256")
    assert len(base64.b64decode(made["Plaintext"])) == 32
    (clients.folder / "sealed").write_bytes(base64.b64decode(made["CiphertextBlob"]))
    opened = clients.kms("decrypt", "--key-id", arn, "--ciphertext-blob", "fileb://sealed")
    assert opened["Plaintext"] == made["Plaintext"]
    assert len(base64.b64decode(clients.kms("generate-random", "--number-of-bytes", "48")["Plaintext"])) == 48


def test_aws_cli_schedules_a_deletion_and_cancels_it(clients: Clients) -> None:
    arn = clients.new_key()
    scheduled = clients.kms("schedule-key-deletion", "--key-id", arn, "--pending-window-in-days", "7")
    assert scheduled["KeyState"] == "PendingDeletion"
    assert "DeletionDate" in scheduled
    refused = clients.run("aws", "kms", "encrypt", "--key-id", arn, "--plaintext", "AAAA")
    assert "KMSInvalidStateException" in refused.stderr
    clients.kms("cancel-key-deletion", "--key-id", arn)
    assert clients.kms("describe-key", "--key-id", arn)["KeyMetadata"]["KeyState"] == "Disabled"
    clients.kms("enable-key", "--key-id", arn)
    assert "CiphertextBlob" in clients.kms("encrypt", "--key-id", arn, "--plaintext", "AAAA")


def test_aws_cli_pages_through_keys_on_its_own(clients: Clients) -> None:
    made = {clients.new_key() for _ in range(3)}
    listed = clients.kms("list-keys", "--page-size", "2")["Keys"]
    assert made <= {key["KeyArn"] for key in listed}


def test_aws_cli_asks_sts_who_it_is(clients: Clients) -> None:
    found = json.loads(clients.output("aws", "sts", "get-caller-identity", "--output", "json"))
    assert set(found) == {"Account", "Arn", "UserId"}
    assert found["Arn"].startswith(f"arn:aws:iam::{found['Account']}:user/")


_DOCUMENT = "database:\n    user: app\n    password: hunter2\n    ports:\n        - 5432\n"


def test_sops_encrypts_a_yaml_file_and_opens_it(clients: Clients, client_service: RunningService) -> None:
    arn = clients.new_key()
    plain, sealed = clients.folder / "plain.yaml", clients.folder / "sealed.yaml"
    plain.write_text(_DOCUMENT)
    sealed.write_text(
        clients.output("sops", "encrypt", "--kms", arn, "--encryption-context", "app:shop", "plain.yaml")
    )
    assert "hunter2" not in sealed.read_text()
    assert arn in sealed.read_text()
    assert clients.output("sops", "decrypt", "sealed.yaml") == _DOCUMENT
    clients.output("sops", "set", "sealed.yaml", '["database"]["password"]', '"changed"')
    assert (
        clients.output("sops", "decrypt", "--extract", '["database"]["password"]', "sealed.yaml") == "changed"
    )
    clients.output("sops", "rotate", "--in-place", "sealed.yaml")
    assert clients.output("sops", "decrypt", "sealed.yaml") == _DOCUMENT.replace("hunter2", "changed")
    done = {
        entry.event
        for entry in read_entries(client_service.home.audit)
        if entry.key_id == arn.rpartition("/")[2]
    }
    assert {"kms.Encrypt", "kms.Decrypt"} <= done


def test_sops_cannot_open_a_file_whose_key_is_disabled(clients: Clients) -> None:
    arn = clients.new_key()
    (clients.folder / "plain.yaml").write_text(_DOCUMENT)
    sealed = clients.output("sops", "encrypt", "--kms", arn, "plain.yaml")
    (clients.folder / "sealed.yaml").write_text(sealed)
    clients.kms("disable-key", "--key-id", arn)
    refused = clients.run("sops", "decrypt", "sealed.yaml")
    assert refused.returncode != 0
    assert "DisabledException" in refused.stderr
    assert "hunter2" not in refused.stdout


_ENCRYPTION_SDK = """
import sys
import boto3
import aws_encryption_sdk
from aws_encryption_sdk.exceptions import DecryptKeyError
from aws_encryption_sdk.identifiers import CommitmentPolicy

arn, other = sys.argv[1:]
client = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)

def provider(*key_ids):
    return aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=key_ids)

plain = bytes(range(256)) * 1000
sealed, header = client.encrypt(source=plain, key_provider=provider(arn, other), encryption_context={"app": "shop"})
assert plain[:64] not in sealed
assert {key.key_provider.key_info.decode() for key in header.encrypted_data_keys} == {arn, other}
for one in (arn, other):
    opened, header = client.decrypt(source=sealed, key_provider=provider(one))
    assert opened == plain
    assert header.encryption_context["app"] == "shop"
boto3.client("kms").disable_key(KeyId=other)
try:
    client.decrypt(source=sealed, key_provider=provider(other))
except DecryptKeyError:
    print("round trip")
"""


def test_aws_encryption_sdk_makes_a_message_for_two_keys_and_opens_it_with_either(clients: Clients) -> None:
    assert clients.python(_ENCRYPTION_SDK, clients.new_key(), clients.new_key()) == "round trip\n"
