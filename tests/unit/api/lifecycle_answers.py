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
