"""GetParametersForImport and its kin: constraints, refusals, and what a key says of its material, by boto3."""

import datetime as dt

import pytest
from botocore.exceptions import ClientError

ABSENT = "12345678-1234-1234-1234-123456789012"
PREFIX = "1 validation error detected: Value"
MUST = "failed to satisfy constraint: Member must"
WRAPPING = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}


@pytest.fixture
def key(kms):
    return kms.create_key(Origin="EXTERNAL")["KeyMetadata"]


def test_a_key_waits_for_its_material_and_says_when_it_expires(kms, key):
    assert (key["Origin"], key["KeyState"], key["Enabled"]) == ("EXTERNAL", "PendingImport", False)
    assert not {"CurrentKeyMaterialId", "ExpirationModel", "ValidTo"} & key.keys()
    parameters = kms.get_parameters_for_import(KeyId=key["KeyId"], **WRAPPING)
    assert parameters["KeyId"] == key["Arn"]
    date = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=3)
    brought = {"KeyId": key["Arn"], "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": b"x"}
    made = kms.import_key_material(**brought, ValidTo=date)
    info = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (info["ExpirationModel"], info["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", date)
    assert (made["KeyId"], made["KeyMaterialId"]) == (key["Arn"], info["CurrentKeyMaterialId"])
    kms.import_key_material(**brought, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    info = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (info["ExpirationModel"], "ValidTo" in info) == ("KEY_MATERIAL_DOES_NOT_EXPIRE", False)
    assert kms.delete_imported_key_material(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingImport"


def test_errors_have_the_classes_that_boto3_models(kms, key):
    with pytest.raises(kms.exceptions.InvalidImportTokenException):
        kms.import_key_material(
            KeyId=key["KeyId"], ImportToken=b"x", EncryptedKeyMaterial=b"x",
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )  # fmt: skip
    ours = kms.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(kms.exceptions.UnsupportedOperationException, match="not a key whose material"):
        kms.get_parameters_for_import(KeyId=ours, **WRAPPING)
    with pytest.raises(ClientError, match="EXTERNAL_KEY_STORE is not served"):
        kms.create_key(Origin="EXTERNAL_KEY_STORE")


KEY = {"KeyId": ABSENT}
TOKEN = {**KEY, "ImportToken": "eA==", "EncryptedKeyMaterial": "eA=="}
FOREVER = {**TOKEN, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
NO_DATE = "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES, and only then."
REFUSED = {
    "no algorithm": ("GetParametersForImport", {**KEY, "WrappingKeySpec": "RSA_2048"}, "ValidationException", f"{PREFIX} null at 'wrappingAlgorithm' {MUST} not be null"),
    "no spec": ("GetParametersForImport", {**KEY, "WrappingAlgorithm": "RSAES_OAEP_SHA_1"}, "ValidationException", f"{PREFIX} null at 'wrappingKeySpec' {MUST} not be null"),
    "unknown spec": ("GetParametersForImport", {**KEY, **WRAPPING, "WrappingKeySpec": "RSA_1"}, "ValidationException", f"{PREFIX} 'RSA_1' at 'wrappingKeySpec' {MUST} satisfy enum value set: [RSA_2048, RSA_3072, RSA_4096, SM2]"),
    "PKCS1": ("GetParametersForImport", {**KEY, **WRAPPING, "WrappingAlgorithm": "RSAES_PKCS1_V1_5"}, "UnsupportedOperationException", "WrappingAlgorithm RSAES_PKCS1_V1_5 is not served."),
    "SM2": ("GetParametersForImport", {**KEY, **WRAPPING, "WrappingKeySpec": "SM2"}, "UnsupportedOperationException", "WrappingKeySpec SM2 is not served."),
    "no token": ("ImportKeyMaterial", {**KEY, "EncryptedKeyMaterial": "eA=="}, "ValidationException", f"{PREFIX} null at 'importToken' {MUST} not be null"),
    "no date": ("ImportKeyMaterial", TOKEN, "ValidationException", NO_DATE),
    "a date too many": ("ImportKeyMaterial", {**FOREVER, "ValidTo": 1.5}, "ValidationException", NO_DATE),
    "description": ("ImportKeyMaterial", {**FOREVER, "KeyMaterialDescription": "a;b"}, "ValidationException", "KeyMaterialDescription holds characters other than a-z A-Z 0-9 : / _ . - and space."),
    "material id": ("ImportKeyMaterial", {**FOREVER, "KeyMaterialId": "A" * 64}, "ValidationException", "KeyMaterialId must have 64 characters of a-f 0-9."),
    "new with an id": ("ImportKeyMaterial", {**FOREVER, "KeyMaterialId": "a" * 64, "ImportType": "NEW_KEY_MATERIAL"}, "ValidationException", "KeyMaterialId cannot be given with ImportType NEW_KEY_MATERIAL."),
    "import type": ("ImportKeyMaterial", {**FOREVER, "ImportType": "OLD"}, "ValidationException", f"{PREFIX} 'OLD' at 'importType' {MUST} satisfy enum value set: [NEW_KEY_MATERIAL, EXISTING_KEY_MATERIAL]"),
    "material to delete": ("DeleteImportedKeyMaterial", {**KEY, "KeyMaterialId": "x"}, "ValidationException", "KeyMaterialId must have 64 characters of a-f 0-9."),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_wrong_with_a_request_is_named(api, name):
    operation, members, code, message = REFUSED[name]
    answer = await api.call(operation, members)
    assert (answer.status, answer.code, answer.message) == (400, code, message)
    assert api.service.outcomes == []
