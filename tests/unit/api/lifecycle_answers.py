"""An answer of each operation on the life of keys, for the comparison with the service model."""


async def lifecycle_answers(api):
    """Yield operation and answer."""
    key = {"KeyId": await api.new_key()}
    yield "EnableKeyRotation", await api.call("EnableKeyRotation", key)
    yield "GetKeyRotationStatus", await api.call("GetKeyRotationStatus", key)
    yield "DisableKeyRotation", await api.call("DisableKeyRotation", key)
    yield "RotateKeyOnDemand", await api.call("RotateKeyOnDemand", key)
    await api.call("RotateKeyOnDemand", key)
    yield "ListKeyRotations", await api.call("ListKeyRotations", {**key, "Limit": 1})
    brought = {"KeyId": (await api.call("CreateKey", {"Origin": "EXTERNAL"})).json["KeyMetadata"]["KeyId"]}
    wrapping = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    parameters = await api.call("GetParametersForImport", {**brought, **wrapping})
    yield "GetParametersForImport", parameters
    token = {"ImportToken": parameters.json["ImportToken"], "EncryptedKeyMaterial": "eA=="}
    date = {"ValidTo": api.clock.now() + 9_999, "KeyMaterialDescription": "from the safe"}
    yield "ImportKeyMaterial", await api.call("ImportKeyMaterial", {**brought, **token, **date})
    yield "DescribeKey", await api.call("DescribeKey", brought)
    listed = await api.call("ListKeyRotations", {**brought, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"})
    yield "ListKeyRotations", listed
    yield "DeleteImportedKeyMaterial", await api.call("DeleteImportedKeyMaterial", brought)
    yield "GetKeyLastUsage", await api.call("GetKeyLastUsage", key)
