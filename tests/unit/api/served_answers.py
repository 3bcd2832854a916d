"""An answer of every operation that is served, and what makes it possible, for the comparison with the service model."""

from unit.api.access_answers import access_answers
from unit.api.key_store_answers import key_store_answers
from unit.api.lifecycle_answers import lifecycle_answers

PLAINTEXT = "bWVldCBtZSBhdCBub29u"


async def served_answers(api):
    """Yield operation and answer, all of which succeed."""
    key_id = await api.new_key()
    key = {"KeyId": key_id}
    yield "CreateKey", await api.call("CreateKey", {"Description": "x"})
    yield "DescribeKey", await api.call("DescribeKey", key)
    yield "CreateAlias", await api.call("CreateAlias", {"AliasName": "alias/x", "TargetKeyId": key_id})
    await api.call("CreateAlias", {"AliasName": "alias/y", "TargetKeyId": key_id})
    yield "ListAliases", await api.call("ListAliases", {"Limit": 1})
    await api.new_key()
    yield "ListKeys", await api.call("ListKeys", {"Limit": 1})
    made = await api.call("Encrypt", {**key, "Plaintext": PLAINTEXT})
    yield "Encrypt", made
    yield "Decrypt", await api.call("Decrypt", {"CiphertextBlob": made.json["CiphertextBlob"]})
    yield "GenerateDataKey", await api.call("GenerateDataKey", {**key, "KeySpec": "AES_256"})
    yield "DisableKey", await api.call("DisableKey", key)
    yield "EnableKey", await api.call("EnableKey", key)
    async for operation, answer in _further_answers(api, key, made.json["CiphertextBlob"]):
        yield operation, answer
    async for operation, answer in key_store_answers(api):
        yield operation, answer
    async for operation, answer in lifecycle_answers(api):
        yield operation, answer
    async for operation, answer in _answers_about_kinds(api):
        yield operation, answer
    async for operation, answer in access_answers(api):
        yield operation, answer


async def _further_answers(api, key, blob):
    wrapped = await api.call("GenerateDataKeyWithoutPlaintext", {**key, "NumberOfBytes": 64})
    yield "GenerateDataKeyWithoutPlaintext", wrapped
    moved = {"CiphertextBlob": blob, "DestinationKeyId": key["KeyId"]}
    yield "ReEncrypt", await api.call("ReEncrypt", moved)
    yield "GenerateRandom", await api.call("GenerateRandom", {"NumberOfBytes": 16})
    yield "UpdateAlias", await api.call("UpdateAlias", {"AliasName": "alias/x", "TargetKeyId": key["KeyId"]})
    yield "DeleteAlias", await api.call("DeleteAlias", {"AliasName": "alias/x"})
    yield "UpdateKeyDescription", await api.call("UpdateKeyDescription", {**key, "Description": "y"})
    tags = [{"TagKey": name, "TagValue": ""} for name in "ab"]
    yield "TagResource", await api.call("TagResource", {**key, "Tags": tags})
    yield "ListResourceTags", await api.call("ListResourceTags", {**key, "Limit": 1})
    yield "UntagResource", await api.call("UntagResource", {**key, "TagKeys": ["a"]})
    async for operation, answer in _answers_of_pairs(api, key):
        yield operation, answer
    yield "ScheduleKeyDeletion", await api.call("ScheduleKeyDeletion", key)
    yield "DescribeKey", await api.call("DescribeKey", key)
    yield "CancelKeyDeletion", await api.call("CancelKeyDeletion", key)


async def _answers_about_kinds(api):
    kinds = [
        ("ECC_NIST_P256", "SIGN_VERIFY"), ("ECC_NIST_P256", "KEY_AGREEMENT"), ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("RSA_2048", "ENCRYPT_DECRYPT"),
    ]  # fmt: skip
    for spec, usage in kinds:
        made = await api.call("CreateKey", {"KeySpec": spec, "KeyUsage": usage})
        yield "CreateKey", made
        key = {"KeyId": made.json["KeyMetadata"]["KeyId"]}
        yield "DescribeKey", await api.call("DescribeKey", key)
        if spec != "HMAC_256":
            yield "GetPublicKey", await api.call("GetPublicKey", key)


async def _answers_of_pairs(api, key):
    pair = {**key, "KeyPairSpec": "ECC_NIST_P256"}
    made = await api.call("GenerateDataKeyPair", pair)
    yield "GenerateDataKeyPair", made
    wrapped = await api.call("GenerateDataKeyPairWithoutPlaintext", pair)
    yield "GenerateDataKeyPairWithoutPlaintext", wrapped
    signing = await api.new_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    asked = {"KeyId": signing, "Message": PLAINTEXT, "SigningAlgorithm": "ECDSA_SHA_256"}
    signed = await api.call("Sign", asked)
    yield "Sign", signed
    yield "Verify", await api.call("Verify", {**asked, "Signature": signed.json["Signature"]})
    yield "GetPublicKey", await api.call("GetPublicKey", {"KeyId": signing})
    asked = {"Message": PLAINTEXT, "MacAlgorithm": "HMAC_SHA_256"}
    asked["KeyId"] = await api.new_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    maced = await api.call("GenerateMac", asked)
    yield "GenerateMac", maced
    yield "VerifyMac", await api.call("VerifyMac", {**asked, "Mac": maced.json["Mac"]})
    agreeing = await api.new_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")
    asked = {"KeyId": agreeing, "KeyAgreementAlgorithm": "ECDH", "PublicKey": made.json["PublicKey"]}
    yield "DeriveSharedSecret", await api.call("DeriveSharedSecret", asked)
