"""Unmodified boto3 over real HTTP: the operations, the paginators, and the error classes it models."""

import re

import pytest
from botocore.exceptions import ClientError

CONTEXT = {"tenant": "blue", "Ünï": "✓"}


@pytest.fixture
def key(kms):
    return kms.create_key(Description="payroll")["KeyMetadata"]


def test_a_key_goes_through_its_life(kms, key):
    assert (key["Enabled"], key["KeyState"], key["Description"]) == (True, "Enabled", "payroll")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] == key
    assert kms.describe_key(KeyId=key["Arn"])["KeyMetadata"] == key
    kms.disable_key(KeyId=key["KeyId"])
    with pytest.raises(kms.exceptions.DisabledException, match=re.escape(f"{key['Arn']} is disabled.")):
        kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key["Arn"])
    assert kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["KeyId"] == key["Arn"]


def test_what_was_encrypted_decrypts_with_and_without_the_key_id(kms, key):
    made = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"secret words", EncryptionContext=CONTEXT)
    assert made["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    for named in ({}, {"KeyId": key["Arn"]}):
        opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT, **named)
        assert (opened["Plaintext"], opened["KeyId"]) == (b"secret words", key["Arn"])
        assert opened["KeyMaterialId"] == key["CurrentKeyMaterialId"]


@pytest.mark.parametrize(("asked", "length"), [
    ({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024),
])  # fmt: skip
def test_a_data_key_comes_in_clear_and_encrypted(kms, key, asked, length):
    made = kms.generate_data_key(KeyId=key["KeyId"], EncryptionContext=CONTEXT, **asked)
    assert len(made["Plaintext"]) == length
    assert made["KeyId"] == key["Arn"]
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]


def test_an_alias_stands_for_its_key(kms, key):
    name = f"alias/team/{key['KeyId']}"
    arn = key["Arn"].replace(f"key/{key['KeyId']}", name)
    kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
    for form in (name, arn):
        assert kms.describe_key(KeyId=form)["KeyMetadata"]["KeyId"] == key["KeyId"]
        assert kms.encrypt(KeyId=form, Plaintext=b"x")["KeyId"] == key["Arn"]
    [entry] = kms.list_aliases(KeyId=key["KeyId"])["Aliases"]
    assert (entry["AliasName"], entry["AliasArn"], entry["TargetKeyId"]) == (name, arn, key["KeyId"])
    with pytest.raises(kms.exceptions.AlreadyExistsException):
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])


def test_paginators_see_every_key_and_alias_once(kms):
    made = sorted(kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5))
    for key_id in made:
        kms.create_alias(AliasName=f"alias/page-{key_id}", TargetKeyId=key_id)
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    listed = [entry["KeyId"] for page in pages for entry in page["Keys"]]
    assert listed == sorted(set(listed))
    assert set(made) <= set(listed)
    assert [page["Truncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 1})
    names = [entry["AliasName"] for page in pages for entry in page["Aliases"]]
    assert {f"alias/page-{key_id}" for key_id in made} <= set(names)


def test_errors_have_the_classes_that_boto3_models(kms, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    absent = "12345678-1234-1234-1234-123456789012"
    with pytest.raises(kms.exceptions.NotFoundException, match=f"key/{absent}' does not exist"):
        kms.describe_key(KeyId=absent)
    with pytest.raises(kms.exceptions.NotFoundException, match="alias/nobody is not found"):
        kms.encrypt(KeyId="alias/nobody", Plaintext=b"x")
    with pytest.raises(kms.exceptions.InvalidCiphertextException) as caught:
        kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
    assert caught.value.response["Error"]["Message"] == ""
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(kms.exceptions.IncorrectKeyException):
        kms.decrypt(CiphertextBlob=blob, KeyId=other)
    with pytest.raises(kms.exceptions.InvalidMarkerException):
        kms.list_keys(Marker="junk")
    with pytest.raises(kms.exceptions.UnsupportedOperationException, match="KeySpec SM2"):
        kms.create_key(KeySpec="SM2", KeyUsage="SIGN_VERIFY")
    with pytest.raises(ClientError, match="ValidationException"):
        kms.encrypt(KeyId=key["KeyId"], Plaintext=bytes(4097))


def test_an_operation_that_is_not_served_says_so(kms):
    with pytest.raises(kms.exceptions.UnsupportedOperationException, match="ReplicateKey is not served yet"):
        kms.replicate_key(KeyId="alias/x", ReplicaRegion="eu-west-1")


@pytest.mark.parametrize(("credentials", "code"), [
    ({"secret": "wrong"}, "InvalidSignatureException"),
    ({"access_key": "AKIDUNKNOWN"}, "UnrecognizedClientException"),
])  # fmt: skip
def test_wrong_credentials_are_refused(served, credentials, code):
    client = served.client(**credentials)
    with pytest.raises(ClientError) as caught:
        client.list_keys()
    client.close()
    assert caught.value.response["Error"]["Code"] == code


def test_arns_show_the_region_that_the_client_signs_for(served, key):
    client = served.client(region="us-east-1")
    assert client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Arn"].startswith("arn:aws:kms:us-east-1:")
    with pytest.raises(client.exceptions.NotFoundException, match="Invalid arn eu-central-1"):
        client.describe_key(KeyId=key["Arn"])
    client.close()


def test_answers_carry_one_date_and_a_request_id(kms):
    headers = kms.list_keys()["ResponseMetadata"]["HTTPHeaders"]
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
    assert len(headers["x-amzn-requestid"]) == 36
