"""EnableKeyRotation and its kin through unmodified boto3: what is answered, and which classes of errors come."""

import datetime as dt

import pytest
from botocore.exceptions import ClientError

from strongroom.keyring import PendingImportError, RotationLimitError, RotationUnsupportedError

ABSENT = "12345678-1234-1234-1234-123456789012"
PREFIX = "1 validation error detected: Value"
MUST = "failed to satisfy constraint: Member must"


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]


def test_rotation_is_switched_on_asked_for_and_switched_off(kms, key):
    arn, key_id = key["Arn"], key["KeyId"]
    off = kms.get_key_rotation_status(KeyId=key_id)
    off.pop("ResponseMetadata")
    assert off == {"KeyRotationEnabled": False, "KeyId": arn}
    kms.enable_key_rotation(KeyId=arn)
    on = kms.get_key_rotation_status(KeyId=arn)
    assert (on["KeyRotationEnabled"], on["RotationPeriodInDays"]) == (True, 365)
    assert 364 <= (on["NextRotationDate"] - dt.datetime.now(dt.UTC)).days <= 365
    kms.enable_key_rotation(KeyId=arn, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=arn)["RotationPeriodInDays"] == 90
    kms.disable_key_rotation(KeyId=arn)
    assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] is False


def test_rotations_on_demand_are_listed_in_pages_and_the_first_material_on_request(kms, key):
    for _ in range(3):
        assert kms.rotate_key_on_demand(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    pages = list(
        kms.get_paginator("list_key_rotations").paginate(KeyId=key["Arn"], PaginationConfig={"PageSize": 2})
    )
    rotations = [entry for page in pages for entry in page["Rotations"]]
    assert [page["Truncated"] for page in pages] == [True, False]
    assert [entry["RotationType"] for entry in rotations] == ["ON_DEMAND"] * 3
    assert [entry["KeyMaterialState"] for entry in rotations] == ["NON_CURRENT", "NON_CURRENT", "CURRENT"]
    current = kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]["CurrentKeyMaterialId"]
    assert rotations[-1]["KeyMaterialId"] == current
    everything = kms.list_key_rotations(KeyId=key["Arn"], IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert (len(everything), everything[0]["KeyMaterialId"]) == (4, key["CurrentKeyMaterialId"])
    assert everything[0].keys() == {"KeyId", "KeyMaterialId", "KeyMaterialState"}


def test_a_disabled_key_tells_its_status_and_refuses_the_rest(kms, key):
    kms.disable_key(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False
    for act in (kms.enable_key_rotation, kms.disable_key_rotation, kms.rotate_key_on_demand):
        with pytest.raises(kms.exceptions.DisabledException, match="is disabled"):
            act(KeyId=key["KeyId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    for act in (kms.enable_key_rotation, kms.rotate_key_on_demand, kms.get_key_rotation_status):
        with pytest.raises(kms.exceptions.KMSInvalidStateException, match="is pending deletion"):
            act(KeyId=key["KeyId"])
    assert kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"] == []


@pytest.mark.parametrize(("error", "code", "text"), [
    (RotationLimitError(ABSENT, 25), "LimitExceededException", "25 times"),
    (RotationUnsupportedError(ABSENT), "UnsupportedOperationException", "not rotated"),
    (PendingImportError(ABSENT), "KMSInvalidStateException", "is pending import."),
])  # fmt: skip
def test_errors_have_the_classes_that_boto3_models(served, kms, key, error, code, text):
    served.service.fail_with = error
    with pytest.raises(ClientError, match=text) as caught:
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
    assert caught.value.response["Error"]["Code"] == code


KEY = {"KeyId": ABSENT}
REFUSED = {
    "89 days": ("EnableKeyRotation", {**KEY, "RotationPeriodInDays": 89}, "ValidationException", f"{PREFIX} '89' at 'rotationPeriodInDays' {MUST} have value greater than or equal to 90"),
    "2561 days": ("EnableKeyRotation", {**KEY, "RotationPeriodInDays": 2561}, "ValidationException", f"{PREFIX} '2561' at 'rotationPeriodInDays' {MUST} have value less than or equal to 2560"),
    "no days": ("EnableKeyRotation", {**KEY, "RotationPeriodInDays": 0}, "ValidationException", f"{PREFIX} '0' at 'rotationPeriodInDays' {MUST} have value greater than or equal to 90"),
    "what to include": ("ListKeyRotations", {**KEY, "IncludeKeyMaterial": "SOME"}, "ValidationException", f"{PREFIX} 'SOME' at 'includeKeyMaterial' {MUST} satisfy enum value set: [ALL_KEY_MATERIAL, ROTATIONS_ONLY]"),
    "limit": ("ListKeyRotations", {**KEY, "Limit": 1001}, "ValidationException", f"{PREFIX} '1001' at 'limit' {MUST} have value less than or equal to 1000"),
    "marker": ("ListKeyRotations", {**KEY, "Marker": "junk"}, "InvalidMarkerException", "The marker was not given out by this operation."),
    "marker of another list": ("ListKeyRotations", {**KEY, "Marker": "AVRhYg=="}, "InvalidMarkerException", "The marker was not given out by this operation."),
    "alias": ("RotateKeyOnDemand", {"KeyId": "alias/x"}, "NotFoundException", "Invalid keyId 'alias/x'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_wrong_with_a_request_is_named(api, name):
    operation, members, code, message = REFUSED[name]
    answer = await api.call(operation, members)
    assert (answer.status, answer.code, answer.message) == (400, code, message)
    assert api.service.outcomes == []
