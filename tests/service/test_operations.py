"""Everyday operations as their users do them: unmodified boto3 over TLS, against a cluster of two SoftHSM members."""

import asyncio
import json
from pathlib import Path

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from running_service import RunningService, copy_home
from strongroom.audit import read_entries, verify_log
from strongroom.core import SystemClock
from strongroom.keyring import KeyLifecycle
from strongroom.storage import Store

DAY_S = 86_400.0
OLD, NEW = {"tenant": "7"}, {"tenant": "8", "Ünï": "✓"}


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    home = copy_home(initialised_home, tmp_path_factory.mktemp("operations") / "home")
    with RunningService(home) as running:
        running.start()
        yield running


@pytest.fixture
def kms(service):
    client = service.client()
    yield client
    client.close()


@pytest.fixture
def key(kms):
    return kms.create_key(Description="operations")["KeyMetadata"]


def entry_of(service, answer):
    request_id = answer["ResponseMetadata"]["RequestId"]
    entries = [entry for entry in read_entries(service.home.audit) if entry.request_id == request_id]
    return entries[-1]


def test_a_data_key_without_plaintext_opens_later(kms, key):
    for asked, length in (({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024)):
        made = kms.generate_data_key_without_plaintext(KeyId=key["Arn"], EncryptionContext=OLD, **asked)
        assert "Plaintext" not in made
        assert (made["KeyId"], made["KeyMaterialId"]) == (key["Arn"], key["CurrentKeyMaterialId"])
        opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=OLD)
        assert len(opened["Plaintext"]) == length


def test_data_moves_to_another_key_and_context_without_being_seen(service, kms, key):
    other = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"payload-canary-91", EncryptionContext=OLD)[
        "CiphertextBlob"
    ]
    moved = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext=OLD,
        DestinationKeyId=other["Arn"],
        DestinationEncryptionContext=NEW,
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key["Arn"], other["Arn"])
    assert moved["SourceKeyMaterialId"] == key["CurrentKeyMaterialId"]
    assert moved["DestinationKeyMaterialId"] == other["CurrentKeyMaterialId"]
    opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext=NEW)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"payload-canary-91", other["Arn"])
    entry = entry_of(service, moved)
    assert (entry.event, entry.key_id, entry.detail["source_key"]) == (
        "kms.ReEncrypt",
        other["KeyId"],
        key["KeyId"],
    )
    assert not any(b"payload-canary-91" in path.read_bytes() for path in service.home.audit.rglob("*.wal"))


def test_moving_data_is_refused_as_decrypting_and_encrypting_it_would_be(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext=OLD)["CiphertextBlob"]
    move = {"CiphertextBlob": blob, "SourceEncryptionContext": OLD, "DestinationKeyId": other}
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.re_encrypt(**{**move, "SourceEncryptionContext": NEW})
    with pytest.raises(kms.exceptions.IncorrectKeyException):
        kms.re_encrypt(**move, SourceKeyId=other)
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.re_encrypt(**{**move, "DestinationKeyId": "alias/nobody"})
    for disabled in (other, key["KeyId"]):
        kms.disable_key(KeyId=disabled)
        with pytest.raises(kms.exceptions.DisabledException, match=disabled):
            kms.re_encrypt(**move)
        kms.enable_key(KeyId=disabled)
    assert kms.re_encrypt(**move)["KeyId"].endswith(other)


def test_random_bytes_come_in_the_length_asked_for(kms):
    drawn = [kms.generate_random(NumberOfBytes=32)["Plaintext"] for _ in range(3)]
    assert [len(one) for one in drawn] == [32] * 3
    assert len(set(drawn)) == 3
    assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
    with pytest.raises(ClientError, match="ValidationException"):
        kms.generate_random(NumberOfBytes=1025)


def test_an_alias_moves_from_key_to_key_and_goes(kms, key):
    other = kms.create_key()["KeyMetadata"]
    name = f"alias/{key['KeyId']}"
    kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
    assert kms.encrypt(KeyId=name, Plaintext=b"x")["KeyId"] == key["Arn"]
    kms.update_alias(AliasName=name, TargetKeyId=other["Arn"])
    assert kms.encrypt(KeyId=name, Plaintext=b"x")["KeyId"] == other["Arn"]
    [entry] = kms.list_aliases(KeyId=other["KeyId"])["Aliases"]
    assert entry["LastUpdatedDate"] > entry["CreationDate"]
    kms.delete_alias(AliasName=name)
    for call in (
        lambda: kms.describe_key(KeyId=name),
        lambda: kms.delete_alias(AliasName=name),
        lambda: kms.update_alias(AliasName=name, TargetKeyId=key["KeyId"]),
    ):
        with pytest.raises(kms.exceptions.NotFoundException, match="is not found"):
            call()


def test_a_key_has_50_aliases_at_most(kms, key):
    for number in range(50):
        kms.create_alias(AliasName=f"alias/{key['KeyId']}/{number}", TargetKeyId=key["KeyId"])
    with pytest.raises(kms.exceptions.LimitExceededException):
        kms.create_alias(AliasName=f"alias/{key['KeyId']}/more", TargetKeyId=key["KeyId"])
    pages = kms.get_paginator("list_aliases").paginate(KeyId=key["KeyId"], PaginationConfig={"PageSize": 7})
    assert sum(len(page["Aliases"]) for page in pages) == 50


def test_a_description_changes(kms, key):
    kms.update_key_description(KeyId=key["Arn"], Description="Löhne")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == "Löhne"
    kms.update_key_description(KeyId=key["Arn"], Description="")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == ""


def tags_of(kms, key_id, page_size=50):
    pages = kms.get_paginator("list_resource_tags").paginate(
        KeyId=key_id, PaginationConfig={"PageSize": page_size}
    )
    return [(tag["TagKey"], tag["TagValue"]) for page in pages for tag in page["Tags"]]


def test_tags_are_given_with_the_key_changed_paged_and_taken_off(kms):
    tags = [{"TagKey": f"k{number:02}", "TagValue": f"v{number}"} for number in range(30)]
    key_id = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
    wanted = {tag["TagKey"]: tag["TagValue"] for tag in tags}
    assert tags_of(kms, key_id, page_size=7) == sorted(wanted.items())
    kms.tag_resource(
        KeyId=key_id, Tags=[{"TagKey": "k00", "TagValue": ""}, {"TagKey": "Größe 🔑", "TagValue": "42"}]
    )
    kms.untag_resource(KeyId=key_id, TagKeys=["k01", "never was"])
    wanted = {**wanted, "k00": "", "Größe 🔑": "42"}
    del wanted["k01"]
    assert dict(tags_of(kms, key_id)) == wanted


@pytest.mark.parametrize("tags", [
    [("aws:cloud", "x")], [("a", "1"), ("a", "2")], [(str(number), "") for number in range(51)], [("a\0", "")],
], ids=["reserved", "twice", "51", "control character"])  # fmt: skip
def test_tags_that_are_not_allowed_are_refused(kms, key, tags):
    tags = [{"TagKey": name, "TagValue": value} for name, value in tags]
    with pytest.raises(kms.exceptions.TagException):
        kms.create_key(Tags=tags)
    with pytest.raises(kms.exceptions.TagException):
        kms.tag_resource(KeyId=key["KeyId"], Tags=tags)
    assert tags_of(kms, key["KeyId"]) == []


def test_a_key_has_50_tags_at_most(kms, key):
    kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": str(n), "TagValue": ""} for n in range(50)])
    with pytest.raises(kms.exceptions.TagException):
        kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": "more", "TagValue": ""}])
    assert len(tags_of(kms, key["KeyId"])) == 50


def test_a_key_pending_deletion_does_nothing_until_it_is_cancelled_and_enabled(kms, key):
    key_id, other = key["KeyId"], kms.create_key()["KeyMetadata"]["KeyId"]
    name = f"alias/{key_id}"
    kms.create_alias(AliasName=name, TargetKeyId=key_id)
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"kept")["CiphertextBlob"]
    scheduled = kms.schedule_key_deletion(KeyId=key["Arn"], PendingWindowInDays=7)
    assert (scheduled["KeyId"], scheduled["KeyState"]) == (key["Arn"], "PendingDeletion")
    assert scheduled["PendingWindowInDays"] == 7
    shown = kms.describe_key(KeyId=name)["KeyMetadata"]
    assert (shown["KeyState"], shown["Enabled"]) == ("PendingDeletion", False)
    assert shown["DeletionDate"] == scheduled["DeletionDate"]
    assert abs(shown["DeletionDate"].timestamp() - SystemClock().now() - 7 * DAY_S) < 60
    for call in (
        lambda: kms.encrypt(KeyId=name, Plaintext=b"x"),
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.generate_data_key(KeyId=key_id, KeySpec="AES_256"),
        lambda: kms.generate_data_key_without_plaintext(KeyId=key_id, KeySpec="AES_256"),
        lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other),
        lambda: kms.enable_key(KeyId=key_id),
        lambda: kms.disable_key(KeyId=key_id),
        lambda: kms.schedule_key_deletion(KeyId=key_id),
        lambda: kms.update_key_description(KeyId=key_id, Description="x"),
        lambda: kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "a", "TagValue": "b"}]),
        lambda: kms.untag_resource(KeyId=key_id, TagKeys=["a"]),
        lambda: kms.create_alias(AliasName=f"{name}/2", TargetKeyId=key_id),
        lambda: kms.update_alias(AliasName=name, TargetKeyId=key_id),
    ):
        with pytest.raises(kms.exceptions.KMSInvalidStateException, match=f"{key_id} is pending deletion"):
            call()
    assert tags_of(kms, key_id) == []
    kms.update_alias(AliasName=name, TargetKeyId=other)
    kms.delete_alias(AliasName=name)
    assert kms.cancel_key_deletion(KeyId=key_id)["KeyId"] == key["Arn"]
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="is not pending deletion"):
        kms.cancel_key_deletion(KeyId=key_id)
    with pytest.raises(kms.exceptions.DisabledException):
        kms.decrypt(CiphertextBlob=blob)
    kms.enable_key(KeyId=key_id)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"


@pytest.mark.parametrize("days", [6, 31])
def test_deletion_takes_7_to_30_days(kms, key, days):
    with pytest.raises(ClientError, match="ValidationException"):
        kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=days)
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"


class FarAhead(SystemClock):
    """The clock of a process in which the date has come."""

    def now(self):
        return super().now() + 31 * DAY_S


def test_a_key_that_was_destroyed_is_not_found_by_anybody(service, kms, key):
    key_id = key["KeyId"]
    kms.create_alias(AliasName=f"alias/{key_id}", TargetKeyId=key_id)
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"lost")["CiphertextBlob"]
    kms.schedule_key_deletion(KeyId=key_id)
    with Store.open(service.home.database) as store:  # as the process that destroys would have it
        assert asyncio.run(KeyLifecycle(store, clock=FarAhead()).destroy_due(key_id)) is not None
    for call in (
        lambda: kms.describe_key(KeyId=key_id),
        lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x"),
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.cancel_key_deletion(KeyId=key_id),
        lambda: kms.enable_key(KeyId=key_id),
        lambda: kms.list_resource_tags(KeyId=key_id),
        lambda: kms.list_aliases(KeyId=key_id),
    ):
        with pytest.raises(kms.exceptions.NotFoundException, match=f"{key_id}' does not exist"):
            call()
    with pytest.raises(kms.exceptions.NotFoundException, match="is not found"):
        kms.describe_key(KeyId=f"alias/{key_id}")
    listed = [entry["KeyId"] for page in kms.get_paginator("list_keys").paginate() for entry in page["Keys"]]
    assert key_id not in listed


def test_a_caller_learns_who_it_is_by_sts_on_the_same_endpoint(service, kms):
    secret = json.loads(service.home.development_access_key.read_bytes())
    sts = boto3.client(
        "sts",
        endpoint_url=f"https://localhost:{service.port}",
        region_name="us-east-1",
        aws_access_key_id=secret["access_key_id"],
        aws_secret_access_key=secret["secret_access_key"],
        verify=str(service.home.tls / "ca.pem"),
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )
    told = sts.get_caller_identity()
    account = kms.create_key()["KeyMetadata"]["AWSAccountId"]
    assert told["Account"] == account
    assert told["Arn"].startswith(f"arn:aws:iam::{account}:user/")
    assert told["UserId"] == sts.get_caller_identity()["UserId"]
    with pytest.raises(ClientError) as caught:
        sts.get_session_token()
    assert caught.value.response["Error"]["Code"] == "InvalidAction"
    sts.close()
    entry = entry_of(service, told)
    assert (entry.event, entry.outcome, entry.access_key_id) == (
        "sts.GetCallerIdentity", "ok", secret["access_key_id"],
    )  # fmt: skip


def test_every_change_left_an_intent_and_the_log_verifies(service, kms, key):
    answer = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    request_id = answer["ResponseMetadata"]["RequestId"]
    entries = [entry for entry in read_entries(service.home.audit) if entry.request_id == request_id]
    detail = {"days": "7", "allowed_by": "role:crypto-officer"}
    assert [(entry.kind, entry.key_id, entry.detail) for entry in entries] == [
        ("intent", key["KeyId"], detail),
        ("outcome", key["KeyId"], detail),
    ]
    verify_log(service.home.audit)
