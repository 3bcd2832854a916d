"""What each operation accepts, and the code and words with which it refuses the rest."""

import base64
import json

import botocore.loaders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_support import ACCOUNT, REGION
from strongroom.api import ApiError
from strongroom.api import _requests as requests
from strongroom.api import _requests_create_key as making
from strongroom.api._json import Blob, decode_members, require_no_doubles

ABSENT = "12345678-1234-1234-1234-123456789012"
MODEL = botocore.loaders.create_loader().load_service_model("kms", "service-2")
PREFIX = "1 validation error detected: Value"
MUST = "failed to satisfy constraint: Member must"


def _blob(size):
    return base64.b64encode(bytes(size)).decode()


KEY = {"KeyId": ABSENT}
VALIDATION = {
    "no key id": ("DescribeKey", {}, f"{PREFIX} null at 'keyId' {MUST} not be null"),
    "null key id": ("EnableKey", {"KeyId": None}, f"{PREFIX} null at 'keyId' {MUST} not be null"),
    "empty key id": ("DisableKey", {"KeyId": ""}, f"{PREFIX} '' at 'keyId' {MUST} have length greater than or equal to 1"),
    "long key id": ("DescribeKey", {"KeyId": "k" * 2049}, f"{PREFIX} '{'k' * 256}' at 'keyId' {MUST} have length less than or equal to 2048"),
    "no plaintext": ("Encrypt", KEY, f"{PREFIX} null at 'plaintext' {MUST} not be null"),
    "empty plaintext": ("Encrypt", {**KEY, "Plaintext": ""}, f"{PREFIX} at 'plaintext' {MUST} have length greater than or equal to 1"),
    "long plaintext": ("Encrypt", {**KEY, "Plaintext": _blob(4097)}, f"{PREFIX} at 'plaintext' {MUST} have length less than or equal to 4096"),
    "no ciphertext": ("Decrypt", {}, f"{PREFIX} null at 'ciphertextBlob' {MUST} not be null"),
    "empty ciphertext": ("Decrypt", {"CiphertextBlob": ""}, f"{PREFIX} at 'ciphertextBlob' {MUST} have length greater than or equal to 1"),
    "long ciphertext": ("Decrypt", {"CiphertextBlob": _blob(6145)}, f"{PREFIX} at 'ciphertextBlob' {MUST} have length less than or equal to 6144"),
    "nothing at all": ("Encrypt", {}, f"2 validation errors detected: Value null at 'keyId' {MUST} not be null; Value null at 'plaintext' {MUST} not be null"),
    "zero bytes": ("GenerateDataKey", {**KEY, "NumberOfBytes": 0}, f"{PREFIX} '0' at 'numberOfBytes' {MUST} have value greater than or equal to 1"),
    "many bytes": ("GenerateDataKey", {**KEY, "NumberOfBytes": 1025}, f"{PREFIX} '1025' at 'numberOfBytes' {MUST} have value less than or equal to 1024"),
    "data key spec": ("GenerateDataKey", {**KEY, "KeySpec": "AES_1"}, f"{PREFIX} 'AES_1' at 'keySpec' {MUST} satisfy enum value set: [AES_256, AES_128]"),
    "no length": ("GenerateDataKey", KEY, "Please specify either number of bytes or key spec."),
    "two lengths": ("GenerateDataKey", {**KEY, "KeySpec": "AES_256", "NumberOfBytes": 32}, "Please specify either number of bytes or key spec."),
    "limit 0": ("ListKeys", {"Limit": 0}, f"{PREFIX} '0' at 'limit' {MUST} have value greater than or equal to 1"),
    "limit 1001": ("ListAliases", {"Limit": 1001}, f"{PREFIX} '1001' at 'limit' {MUST} have value less than or equal to 1000"),
    "long description": ("CreateKey", {"Description": "d" * 8193}, f"{PREFIX} '{'d' * 256}' at 'description' {MUST} have length less than or equal to 8192"),
    "unknown key spec": ("CreateKey", {"KeySpec": "AES"}, f"{PREFIX} 'AES' at 'keySpec' {MUST} satisfy enum value set: [{', '.join(making.KEY_SPECS)}]"),
    "store of another origin": ("CreateKey", {"CustomKeyStoreId": "cks-1"}, "CustomKeyStoreId is required with Origin AWS_CLOUDHSM, and with no other."),
    "origin without a store": ("CreateKey", {"Origin": "AWS_CLOUDHSM"}, "CustomKeyStoreId is required with Origin AWS_CLOUDHSM, and with no other."),
    "both key specs": ("CreateKey", {"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}, "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."),
    "usage does not fit": ("CreateKey", {"KeyUsage": "SIGN_VERIFY"}, "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT"),
    "alias without prefix": ("CreateAlias", {"AliasName": "x", "TargetKeyId": ABSENT}, "Invalid identifier"),
    "alias that is only prefix": ("CreateAlias", {"AliasName": "alias/", "TargetKeyId": ABSENT}, "Invalid identifier"),
    "alias with a colon": ("CreateAlias", {"AliasName": "alias/a:b", "TargetKeyId": ABSENT}, "alias/a:b contains invalid characters for an alias"),
    "alias with a blank": ("CreateAlias", {"AliasName": "alias/a b", "TargetKeyId": ABSENT}, f"{PREFIX} 'alias/a b' at 'aliasName' {MUST} satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"),
    "alias with a newline": ("CreateAlias", {"AliasName": "alias/a\n", "TargetKeyId": ABSENT}, f"{PREFIX} 'alias/a\n' at 'aliasName' {MUST} satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"),
    "alias of an alias": ("CreateAlias", {"AliasName": "alias/a", "TargetKeyId": "alias/b"}, "Aliases must refer to keys. Not aliases"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALIDATION)
async def test_a_broken_constraint_is_named_in_the_words_of_aws(api, name):
    operation, members, message = VALIDATION[name]
    answer = await api.call(operation, members)
    assert (answer.status, answer.code, answer.message) == (400, "ValidationException", message)


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("CreateGrant", {**KEY, "Operations": [""] * 20_000}),
        ("TagResource", {**KEY, "Tags": [{}] * 20_000}),
        ("UntagResource", {**KEY, "TagKeys": [""] * 20_000}),
    ],
)
async def test_of_thousands_of_broken_constraints_the_first_are_named(api, operation, members):
    answer = await api.call(operation, members)
    assert answer.code == "ValidationException"
    assert 20_000 <= int(answer.message.split()[0]) <= 40_000
    assert len(answer.body) < 20_000


ENCRYPT = {**KEY, "Plaintext": "eA=="}
DATA_KEY = {**KEY, "KeySpec": "AES_256"}
DECRYPT = {"CiphertextBlob": "eA=="}
NOT_SERVED = [
    ("CreateKey", {"MultiRegion": True}, "MultiRegion"),
    ("CreateKey", {"Origin": "EXTERNAL_KEY_STORE"}, "Origin"),
    ("CreateKey", {"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "KeySpec"),
    ("CreateKey", {"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"}, "KeySpec"),
    ("CreateKey", {"CustomerMasterKeySpec": "SM2", "KeyUsage": "KEY_AGREEMENT"}, "CustomerMasterKeySpec"),
    ("CreateKey", {"XksKeyId": "x"}, "XksKeyId"),
    ("ListKeys", {"ResourceOwners": ["OTHER_ACCOUNTS_VIA_RAM"]}, "ResourceOwners"),
    ("GenerateDataKey", {**DATA_KEY, "Recipient": {}}, "Recipient"),
    ("Decrypt", {**DECRYPT, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}, "DryRunModifiers"),
    ("Decrypt", {**DECRYPT, "Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}, "Recipient"),
]


@pytest.mark.parametrize(("operation", "members", "named"), NOT_SERVED)
async def test_a_member_that_would_change_the_meaning_is_refused_by_name(api, operation, members, named):
    answer = await api.call(operation, members)
    assert (answer.code, answer.message.split()[0]) == ("UnsupportedOperationException", named)
    assert api.service.outcomes == []


@pytest.mark.parametrize("operation", ["Encrypt", "Decrypt"])
async def test_an_algorithm_of_other_keys_is_an_invalid_usage(api, operation):
    members = {
        **(ENCRYPT if operation == "Encrypt" else DECRYPT),
        "EncryptionAlgorithm": "SM2PKE",
    }
    assert (await api.call(operation, members)).code == "InvalidKeyUsageException"
    members["EncryptionAlgorithm"] = "ROT13"
    assert (await api.call(operation, members)).code == "ValidationException"


@pytest.mark.parametrize(("operation", "members"), [
    ("DescribeKey", KEY), ("Encrypt", ENCRYPT), ("Decrypt", DECRYPT), ("GenerateDataKey", DATA_KEY),
])  # fmt: skip
async def test_grant_tokens_reach_the_service_that_knows_grants(api, operation, members):
    for tokens in (["abc"], [], ["a", "b"]):
        await api.call(operation, {**members, "GrantTokens": tokens})
        verb, caller = api.service.outcomes[-1]
        assert (verb, caller.grant_tokens) == (operation, tuple(tokens))
    answer = await api.call(operation, {**members, "GrantTokens": ["a"] * 11})
    assert answer.code == "ValidationException"


async def test_defaults_spelt_out_and_unknown_members_change_nothing(api):
    spelt = {
        "Policy": None, "Description": "", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT",
        "Origin": "AWS_KMS", "BypassPolicyLockoutSafetyCheck": False, "Tags": [], "MultiRegion": False, "Novelty": 1,
    }  # fmt: skip
    assert (await api.call("CreateKey", spelt)).status == 200
    old = await api.call("CreateKey", {"CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"})
    assert old.status == 200
    assert (await api.call("ListKeys", {"ResourceOwners": ["SELF"]})).status == 200


MALFORMED = {
    "empty": b"", "not JSON": b"hello", "truncated": b'{"KeyId": "x"', "trailing": b"{} {}", "a list": b"[]",
    "null": b"null", "a number": b"1", "BOM": b"\xef\xbb\xbf{}", "not UTF-8": b'{"KeyId": "\xff"}',
    "UTF-16": '{"KeyId": "x"}'.encode("utf-16"), "a lone surrogate": b'{"KeyId": "\\ud800"}',
    "a lone surrogate in a name": b'{"\\udfff": 1}', "encoded surrogate": b'{"KeyId": "\xed\xa0\x80"}',
    "NaN": b'{"Limit": NaN}', "a text for a number": b'{"NumberOfBytes": "32"}',
    "a number for a text": b'{"KeyId": 5}', "a float": b'{"NumberOfBytes": 1.5}', "a truth for a number": b'{"NumberOfBytes": true}',
    "huge number": b'{"NumberOfBytes": 1' + b"0" * 5000 + b"}", "huge exponent": b'{"NumberOfBytes": 1e999}',
    "context of a number": b'{"EncryptionContext": {"a": 1}}', "context of null": b'{"EncryptionContext": {"a": null}}',
    "context as a list": b'{"EncryptionContext": ["a"]}', "doubled member": b'{"KeyId": "a", "KeyId": "b"}',
    "doubled in escapes": b'{"KeyId": "a", "\\u004beyId": "b"}', "doubled in the context": b'{"EncryptionContext": {"a": "1", "a": "2"}}',
    "doubled in what is ignored": b'{"Zzz": [{"a": 1, "a": 2}]}', "nested": b'{"a":' * 9 + b"1" + b"}" * 9,
    "nested deep": b"[" * 30_000 + b"]" * 30_000, "nested in the open": b'{"a":' * 10_000,
    "grant tokens as text": b'{"GrantTokens": "abc"}', "quotes": b'"' * 65_000, "backslashes": b'"' + b"\\" * 65_001,
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_cannot_be_read_is_a_serialization_exception(api, name):
    answer = await api.raw("GenerateDataKey", MALFORMED[name])
    assert (answer.status, answer.code) == (400, "SerializationException")
    assert len(answer.body) < 500


@pytest.mark.parametrize(
    "text", ["AB==", "AAB=", "AA", "AA=", "AA= =", "A A=", "AA==\n", "AA==AA==", "-_8=", "é", "=", "AAAAA"]
)
async def test_base64_has_one_form_only(api, text):
    answer = await api.call("Decrypt", {"CiphertextBlob": text})
    assert (answer.code, answer.message) == (
        "SerializationException",
        "The request cannot be read: Invalid base64 encoded string - at `$.CiphertextBlob`",
    )


async def test_colons_and_quotes_within_strings_are_no_members(api):
    key_id = await api.new_key()
    context = {'a":': ':{"b":', "\\": '\\"', "\\u0022:": "::::", "": ""}
    made = await api.call("Encrypt", {"KeyId": key_id, "Plaintext": "eA==", "EncryptionContext": context})
    opened = await api.call(
        "Decrypt", {"CiphertextBlob": made.json["CiphertextBlob"], "EncryptionContext": context}
    )
    assert opened.json["Plaintext"] == "eA=="


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5), st.booleans())
def test_a_document_without_doubles_is_never_taken_for_one_with(document, ascii_only):
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    decode_members(body, requests.Members)
    require_no_doubles(body)


@given(st.dictionaries(st.text(max_size=8), json_values, min_size=1, max_size=5), st.data())
def test_a_doubled_member_is_always_found(document, data):
    name = data.draw(st.sampled_from(sorted(document)))
    doubled = json.dumps(document)[:-1] + f", {json.dumps(name, ensure_ascii=False)}: 1}}"
    with pytest.raises(ApiError):
        decode_members(doubled.encode(), requests.Members)
    with pytest.raises(ApiError):
        require_no_doubles(doubled.encode())


def test_enumerations_are_those_of_the_model():
    shapes = MODEL["shapes"]

    def enum(shape):
        return set(shapes[shape]["enum"])

    assert set(making.KEY_USAGES) == enum("KeyUsageType")
    assert set(making.KEY_SPECS) == enum("KeySpec")
    assert set(making.CUSTOMER_MASTER_KEY_SPECS) == enum("CustomerMasterKeySpec")
    assert set(making.ORIGINS) == enum("OriginType")
    assert set(requests.ENCRYPTION_ALGORITHMS) == enum("EncryptionAlgorithmSpec")
    assert set(requests.DATA_KEY_LENGTHS) == enum("DataKeySpec")
    assert set(requests.RESOURCE_OWNERS) == enum("ResourceOwnerType")
    assert shapes["CiphertextType"]["max"] == requests.MAX_CIPHERTEXT_BYTES
    assert shapes["PlaintextType"]["max"] == requests.MAX_PLAINTEXT_BYTES
    assert shapes["KeyIdType"]["max"] == requests.MAX_KEY_ID


@pytest.mark.parametrize(("form", "message"), [
    (ABSENT, f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT}' does not exist"),
    (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT}", f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT}' does not exist"),
    (f"arn:aws:kms:{REGION}:999999999999:key/{ABSENT}", f"Key 'arn:aws:kms:{REGION}:999999999999:key/{ABSENT}' does not exist"),
    (f"arn:aws:kms:{REGION}:999999999999:alias/x", f"Alias arn:aws:kms:{REGION}:999999999999:alias/x is not found."),
    (f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{ABSENT}", "Invalid arn us-east-1"),
    ("mrk-" + "0" * 32, f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/mrk-{'0' * 32}' does not exist"),
    (ABSENT.replace("1", "A"), f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT.replace('1', 'A')}' does not exist"),
    ("junk", "Invalid keyId 'junk'"), (ABSENT + "\n", f"Invalid keyId '{ABSENT}\n'"),
    ("arn:aws:kms", "Invalid arn arn:aws:kms"), ("arn:aws:s3:::bucket", "Invalid arn arn:aws:s3:::bucket"),
    (f"arn:aws:kms:{REGION}:{ACCOUNT}:{ABSENT}", f"Invalid arn arn:aws:kms:{REGION}:{ACCOUNT}:{ABSENT}"),
    ("alias/nobody", f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/nobody is not found."),
    ("alias/no body", f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/no body is not found."),
])  # fmt: skip
async def test_a_key_that_is_not_found_is_told_in_the_words_of_aws(api, form, message):
    answer = await api.call("DescribeKey", {"KeyId": form})
    assert (answer.code, answer.message) == ("NotFoundException", message)


@pytest.mark.parametrize("operation", ["EnableKey", "DisableKey", "ListAliases"])
async def test_management_operations_take_no_alias(api, operation):
    for form in ("alias/x", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/x"):
        answer = await api.call(operation, {"KeyId": form})
        assert (answer.code, answer.message) == ("NotFoundException", f"Invalid keyId '{form}'")


async def test_names_of_aws_are_not_ours_to_give(api):
    answer = await api.call("CreateAlias", {"AliasName": "alias/aws/s3", "TargetKeyId": ABSENT})
    assert answer.code == "NotAuthorizedException"


async def test_a_marker_serves_only_the_list_that_gave_it(api):
    for _ in range(3):
        key_id = await api.new_key()
        await api.call("CreateAlias", {"AliasName": f"alias/{key_id}", "TargetKeyId": key_id})
    first = await api.call("ListKeys", {"Limit": 2})
    assert first.json["Truncated"] is True
    rest = await api.call("ListKeys", {"Limit": 2, "Marker": first.json["NextMarker"]})
    assert (len(rest.json["Keys"]), rest.json["Truncated"], "NextMarker" in rest.json) == (1, False, False)
    answer = await api.call("ListAliases", {"Marker": first.json["NextMarker"]})
    assert answer.code == "InvalidMarkerException"


@pytest.mark.parametrize(
    "marker", ["junk", "é", "AUs=", "=", "AUsxx", "A" * 1024, base64.b64encode(b"\x01K" + b"x" * 36).decode()]
)
async def test_a_junk_marker_is_refused(api, marker):
    assert (await api.call("ListKeys", {"Marker": marker})).code == "InvalidMarkerException"


def test_a_request_shows_no_secret_when_it_is_printed():
    members = decode_members(b'{"KeyId": "k", "Plaintext": "c2VjcmV0"}', requests.EncryptMembers)
    assert "secret" not in repr(members)
    assert "c2Vj" not in repr(members)
    assert repr(Blob(b"abc")) == "Blob(<3 bytes>)"
