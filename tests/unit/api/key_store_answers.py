"""An answer of each operation that manages custom key stores, and the errors of keys inside HSMs."""

from api_support import ACCOUNT, REGION
from fakes_direct_keys import CLUSTER
from strongroom.core import HsmKeyLimitError, TooFewMembersError
from strongroom.keyring import (
    ClusterNotActiveError,
    ClusterNotFoundError,
    ContextTooLongError,
    KeyRefusedByHsmsError,
    KeyStoreHasKeysError,
    KeyStoreNameInUseError,
    KeyStoreNotFoundError,
    KeyStoreStateError,
    KeyUnavailableError,
)


async def key_store_answers(api):
    """Yield operation and answer, all of which succeed."""
    created = await api.call(
        "CreateCustomKeyStore", {"CustomKeyStoreName": "a", "CloudHsmClusterId": CLUSTER}
    )
    yield "CreateCustomKeyStore", created
    other = await api.call("CreateCustomKeyStore", {"CustomKeyStoreName": "b", "CloudHsmClusterId": CLUSTER})
    yield "DescribeCustomKeyStores", await api.call("DescribeCustomKeyStores", {"Limit": 1})
    store = {"CustomKeyStoreId": created.json["CustomKeyStoreId"]}
    yield (
        "UpdateCustomKeyStore",
        await api.call("UpdateCustomKeyStore", {**store, "NewCustomKeyStoreName": "c"}),
    )
    yield "ConnectCustomKeyStore", await api.call("ConnectCustomKeyStore", store)
    yield "DisconnectCustomKeyStore", await api.call("DisconnectCustomKeyStore", store)
    yield "DeleteCustomKeyStore", await api.call("DeleteCustomKeyStore", store)
    store = {"CustomKeyStoreId": other.json["CustomKeyStoreId"]}
    await api.call("ConnectCustomKeyStore", store)
    made = await api.call("CreateKey", {"Origin": "AWS_CLOUDHSM", **store})
    yield "CreateKey", made
    yield "DescribeKey", await api.call("DescribeKey", {"KeyId": made.json["KeyMetadata"]["KeyId"]})


ABSENT = "12345678-1234-1234-1234-123456789012"
KEY_STORE_ERRORS = [
    (KeyUnavailableError(ABSENT, "cks-1"), "KMSInvalidStateException", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT} is unavailable: its custom key store cks-1 is not connected."),
    (KeyStoreNotFoundError("cks-1"), "CustomKeyStoreNotFoundException", "There is no custom key store 'cks-1'"),
    (KeyStoreNameInUseError("hsm"), "CustomKeyStoreNameInUseException", "A custom key store with the name 'hsm' already exists"),
    (KeyStoreStateError("cks-1", state="CONNECTED"), "CustomKeyStoreInvalidStateException", "Encrypt is not possible while the custom key store cks-1 is CONNECTED."),
    (KeyStoreHasKeysError("cks-1", 3), "CustomKeyStoreHasCMKsException", "The custom key store cks-1 has 3 keys that are not deleted yet."),
    (ClusterNotFoundError("cluster-x"), "CloudHsmClusterNotFoundException", "This service has no cluster cluster-x."),
    (ClusterNotActiveError("cluster-x"), "CloudHsmClusterNotActiveException", "No member of the cluster cluster-x serves at the moment."),
    (KeyRefusedByHsmsError("The HSMs make no such key: no Ed25519"), "UnsupportedOperationException", "The HSMs make no such key: no Ed25519"),
    (ContextTooLongError(ABSENT), "ValidationException", "The encryption context is too long for a key inside HSMs."),
    (HsmKeyLimitError("there are 10"), "LimitExceededException", "there are 10"),
    (TooFewMembersError("1 of 2"), "CloudHsmClusterInvalidConfigurationException", "Too few members of the cluster could take the key: 1 of 2"),
]  # fmt: skip
"""Error, code, message; all of them HTTP 400."""
