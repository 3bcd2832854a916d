"""Aliases, tags, descriptions, dates of destruction, re-encryption and random bytes: what is accepted and answered."""

import base64

import pytest

from api_support import ACCOUNT, NOW, REGION

ABSENT = "12345678-1234-1234-1234-123456789012"
KEY = {"KeyId": ABSENT}
PREFIX = "1 validation error detected: Value"
MUST = "failed to satisfy constraint: Member must"
DAY_S = 86_400


def tag(key="k", value="v"):
    return {"TagKey": key, "TagValue": value}


def tagged(*tags):
    return {**KEY, "Tags": list(tags)}


VALIDATION = {
    "no description": ("UpdateKeyDescription", KEY, f"{PREFIX} null at 'description' {MUST} not be null"),
    "long description": ("UpdateKeyDescription", {**KEY, "Description": "d" * 8193}, f"{PREFIX} '{'d' * 256}' at 'description' {MUST} have length less than or equal to 8192"),
    "no key": ("ScheduleKeyDeletion", {}, f"{PREFIX} null at 'keyId' {MUST} not be null"),
    "6 days": ("ScheduleKeyDeletion", {**KEY, "PendingWindowInDays": 6}, f"{PREFIX} '6' at 'pendingWindowInDays' {MUST} have value greater than or equal to 7"),
    "31 days": ("ScheduleKeyDeletion", {**KEY, "PendingWindowInDays": 31}, f"{PREFIX} '31' at 'pendingWindowInDays' {MUST} have value less than or equal to 30"),
    "no days at all": ("ScheduleKeyDeletion", {**KEY, "PendingWindowInDays": 0}, f"{PREFIX} '0' at 'pendingWindowInDays' {MUST} have value greater than or equal to 7"),
    "no alias": ("DeleteAlias", {}, f"{PREFIX} null at 'aliasName' {MUST} not be null"),
    "alias without prefix": ("DeleteAlias", {"AliasName": "x"}, "Invalid identifier"),
    "alias to be moved without prefix": ("UpdateAlias", {"AliasName": "x", "TargetKeyId": ABSENT}, "Invalid identifier"),
    "alias moved to an alias": ("UpdateAlias", {"AliasName": "alias/x", "TargetKeyId": "alias/y"}, "Aliases must refer to keys. Not aliases"),
    "no tags": ("TagResource", KEY, f"{PREFIX} null at 'tags' {MUST} not be null"),
    "tag without key": ("TagResource", tagged(tag(), {"TagValue": "v"}), f"{PREFIX} null at 'tags.2.member.tagKey' {MUST} not be null"),
    "tag without value": ("TagResource", tagged({"TagKey": "k"}), f"{PREFIX} null at 'tags.1.member.tagValue' {MUST} not be null"),
    "tag of an empty key": ("TagResource", tagged(tag("")), f"{PREFIX} '' at 'tags.1.member.tagKey' {MUST} have length greater than or equal to 1"),
    "tag of a long key": ("CreateKey", {"Tags": [tag("k" * 129)]}, f"{PREFIX} '{'k' * 129}' at 'tags.1.member.tagKey' {MUST} have length less than or equal to 128"),
    "tag of a long value": ("CreateKey", {"Tags": [tag("k", "v" * 257)]}, f"{PREFIX} '{'v' * 256}' at 'tags.1.member.tagValue' {MUST} have length less than or equal to 256"),
    "no tag keys": ("UntagResource", KEY, f"{PREFIX} null at 'tagKeys' {MUST} not be null"),
    "empty tag key": ("UntagResource", {**KEY, "TagKeys": ["a", ""]}, f"{PREFIX} '' at 'tagKeys.2.member' {MUST} have length greater than or equal to 1"),
    "51 tags a page": ("ListResourceTags", {**KEY, "Limit": 51}, f"{PREFIX} '51' at 'limit' {MUST} have value less than or equal to 50"),
    "no random bytes": ("GenerateRandom", {"NumberOfBytes": 0}, f"{PREFIX} '0' at 'numberOfBytes' {MUST} have value greater than or equal to 1"),
    "many random bytes": ("GenerateRandom", {"NumberOfBytes": 1025}, f"{PREFIX} '1025' at 'numberOfBytes' {MUST} have value less than or equal to 1024"),
    "random bytes of no number": ("GenerateRandom", {}, "NumberOfBytes is required."),
    "a wrapped data key of no length": ("GenerateDataKeyWithoutPlaintext", KEY, "Please specify either number of bytes or key spec."),
    "a wrapped data key of two": ("GenerateDataKeyWithoutPlaintext", {**KEY, "KeySpec": "AES_128", "NumberOfBytes": 16}, "Please specify either number of bytes or key spec."),
    "a wrapped data key of 1025 bytes": ("GenerateDataKeyWithoutPlaintext", {**KEY, "NumberOfBytes": 1025}, f"{PREFIX} '1025' at 'numberOfBytes' {MUST} have value less than or equal to 1024"),
    "nothing to re-encrypt": ("ReEncrypt", {"DestinationKeyId": ABSENT}, f"{PREFIX} null at 'ciphertextBlob' {MUST} not be null"),
    "no destination": ("ReEncrypt", {"CiphertextBlob": "eA=="}, f"{PREFIX} null at 'destinationKeyId' {MUST} not be null"),
    "long to re-encrypt": ("ReEncrypt", {"CiphertextBlob": base64.b64encode(bytes(6145)).decode(), "DestinationKeyId": ABSENT}, f"{PREFIX} at 'ciphertextBlob' {MUST} have length less than or equal to 6144"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALIDATION)
async def test_a_broken_constraint_is_named_in_the_words_of_aws(api, name):
    operation, members, message = VALIDATION[name]
    answer = await api.call(operation, members)
    assert (answer.status, answer.code, answer.message) == (400, "ValidationException", message)
    assert api.service.outcomes == []


WRAPPED = {**KEY, "KeySpec": "AES_256"}
MOVED = {"CiphertextBlob": "eA==", "DestinationKeyId": ABSENT}


@pytest.mark.parametrize(("operation", "members", "code"), [
    ("GenerateDataKeyWithoutPlaintext", {**WRAPPED, "GrantTokens": [""]}, "ValidationException"),
    ("ReEncrypt", {**MOVED, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}, "UnsupportedOperationException"),
    ("ReEncrypt", {**MOVED, "GrantTokens": ["x"] * 11}, "ValidationException"),
    ("ReEncrypt", {**MOVED, "SourceEncryptionAlgorithm": "SM2PKE"}, "InvalidKeyUsageException"),
    ("ReEncrypt", {**MOVED, "DestinationEncryptionAlgorithm": "SM2PKE"}, "InvalidKeyUsageException"),
    ("ReEncrypt", {**MOVED, "SourceEncryptionAlgorithm": "ROT13"}, "ValidationException"),
    ("GenerateRandom", {"NumberOfBytes": 8, "CustomKeyStoreId": ""}, "ValidationException"),
    ("GenerateRandom", {"NumberOfBytes": 8, "Recipient": {}}, "UnsupportedOperationException"),
    ("DeleteAlias", {"AliasName": "alias/aws/s3"}, "NotAuthorizedException"),
    ("UpdateAlias", {"AliasName": "alias/aws/s3", "TargetKeyId": ABSENT}, "NotAuthorizedException"),
    ("ListResourceTags", {**KEY, "Marker": "junk"}, "InvalidMarkerException"),
    ("ListResourceTags", {**KEY, "Marker": base64.urlsafe_b64encode(b"\x01T\xff").decode()}, "InvalidMarkerException"),
    ("TagResource", tagged(tag("aws:x")), "TagException"),
    ("TagResource", tagged(tag("AwS:")), "TagException"),
    ("CreateKey", {"Tags": [tag("a"), tag("b"), tag("a", "other")]}, "TagException"),
    ("CreateKey", {"Tags": [tag(str(number)) for number in range(51)]}, "TagException"),
    ("TagResource", tagged(tag("a\0b")), "TagException"),
    ("TagResource", tagged(tag("a", "\x1b[2J")), "TagException"),
    ("TagResource", {**KEY, "Tags": ["a"]}, "SerializationException"),
    ("TagResource", {**KEY, "Tags": {"a": "b"}}, "SerializationException"),
    ("UntagResource", {**KEY, "TagKeys": "a"}, "SerializationException"),
    ("ScheduleKeyDeletion", {**KEY, "PendingWindowInDays": 7.5}, "SerializationException"),
])  # fmt: skip
async def test_what_is_not_served_or_not_allowed_is_refused(api, operation, members, code):
    answer = await api.call(operation, members)
    assert (answer.status, answer.code) == (400, code)
    assert api.service.outcomes == []
    assert len(api.service.refusals) == 1


@pytest.mark.parametrize("operation", [
    "UpdateKeyDescription", "ScheduleKeyDeletion", "CancelKeyDeletion", "TagResource", "UntagResource", "ListResourceTags",
])  # fmt: skip
async def test_management_operations_take_no_alias(api, operation):
    members = {"Description": "", "Tags": [], "TagKeys": []}
    for form in ("alias/x", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/x"):
        answer = await api.call(operation, {**members, "KeyId": form})
        assert (answer.code, answer.message) == ("NotFoundException", f"Invalid keyId '{form}'")


async def test_a_key_on_its_way_to_deletion_is_shown_as_aws_shows_it(api):
    key = {"KeyId": await api.new_key()}
    arn = api.arn(key["KeyId"])
    scheduled = await api.call("ScheduleKeyDeletion", {**key, "PendingWindowInDays": 7})
    assert scheduled.json == {
        "KeyId": arn,
        "DeletionDate": NOW + 7 * DAY_S,
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": 7,
    }
    shown = (await api.call("DescribeKey", key)).json["KeyMetadata"]
    assert (shown["KeyState"], shown["Enabled"]) == ("PendingDeletion", False)
    assert shown["DeletionDate"] == NOW + 7 * DAY_S
    for operation, members in (
        ("EnableKey", key),
        ("DisableKey", key),
        ("ScheduleKeyDeletion", key),
        ("UpdateKeyDescription", {**key, "Description": ""}),
        ("TagResource", {**key, "Tags": [tag()]}),
        ("UntagResource", {**key, "TagKeys": ["a"]}),
        ("CreateAlias", {"AliasName": "alias/a", "TargetKeyId": arn}),
        ("Encrypt", {**key, "Plaintext": "eA=="}),
        ("GenerateDataKey", {**key, "KeySpec": "AES_256"}),
        ("GenerateDataKeyWithoutPlaintext", {**key, "KeySpec": "AES_256"}),
    ):
        answer = await api.call(operation, members)
        assert (answer.code, answer.message) == ("KMSInvalidStateException", f"{arn} is pending deletion.")
    assert (await api.call("CancelKeyDeletion", key)).json == {"KeyId": arn}
    shown = (await api.call("DescribeKey", key)).json["KeyMetadata"]
    assert (shown["KeyState"], shown["Enabled"], "DeletionDate" in shown) == ("Disabled", False, False)
    again = await api.call("CancelKeyDeletion", key)
    assert (again.code, again.message) == ("KMSInvalidStateException", f"{arn} is not pending deletion.")


async def test_deletion_takes_30_days_unless_asked_otherwise(api):
    answer = await api.call("ScheduleKeyDeletion", {"KeyId": await api.new_key()})
    assert (answer.json["PendingWindowInDays"], answer.json["DeletionDate"]) == (30, NOW + 30 * DAY_S)


async def test_tags_come_in_pages_in_the_order_of_their_keys(api):
    made = await api.call(
        "CreateKey", {"Tags": [tag(key, f"of {key}") for key in ("ü b", "a/c", "Z", "\U0001f511" * 128)]}
    )
    key = {"KeyId": made.json["KeyMetadata"]["KeyId"]}
    seen, marker = [], {}
    while marker is not None:
        page = (await api.call("ListResourceTags", {**key, "Limit": 1, **marker})).json
        seen += page["Tags"]
        marker = {"Marker": page["NextMarker"]} if page["Truncated"] else None
        assert ("NextMarker" in page) == page["Truncated"]
    assert seen == [tag(name, f"of {name}") for name in sorted(("ü b", "a/c", "Z", "\U0001f511" * 128))]


async def test_re_encrypting_reads_both_contexts_and_names_both_keys(api):
    first, second = await api.new_key(), await api.new_key()
    old, new = {"a": "1"}, {"b": "2"}
    made = await api.call("Encrypt", {"KeyId": first, "Plaintext": "eA==", "EncryptionContext": old})
    moved = await api.call("ReEncrypt", {
        "CiphertextBlob": made.json["CiphertextBlob"], "SourceKeyId": first, "SourceEncryptionContext": old,
        "DestinationKeyId": second, "DestinationEncryptionContext": new,
    })  # fmt: skip
    assert (moved.json["SourceKeyId"], moved.json["KeyId"]) == (api.arn(first), api.arn(second))
    assert "Plaintext" not in moved.json
    blob = moved.json["CiphertextBlob"]
    opened = await api.call("Decrypt", {"CiphertextBlob": blob, "EncryptionContext": new})
    assert (opened.json["Plaintext"], opened.json["KeyId"]) == ("eA==", api.arn(second))
    assert (await api.call("Decrypt", {"CiphertextBlob": blob})).code == "InvalidCiphertextException"


async def test_a_wrapped_data_key_is_shown_to_nobody(api):
    answer = await api.call(
        "GenerateDataKeyWithoutPlaintext", {"KeyId": await api.new_key(), "KeySpec": "AES_128"}
    )
    assert set(answer.json) == {"CiphertextBlob", "KeyId", "KeyMaterialId"}
    opened = await api.call("Decrypt", {"CiphertextBlob": answer.json["CiphertextBlob"]})
    assert len(base64.b64decode(opened.json["Plaintext"])) == 16


async def test_random_bytes_are_overwritten_once_they_are_sent(api, monkeypatch):
    kept = []
    real = api.service.generate_random

    async def keeping(*args, **options):
        kept.append(await real(*args, **options))
        return kept[-1]

    monkeypatch.setattr(api.service, "generate_random", keeping)
    answer = await api.call("GenerateRandom", {"NumberOfBytes": 24})
    assert len(base64.b64decode(answer.json["Plaintext"])) == 24
    assert kept[0].reveal() == bytes(24)
