"""What can be wrong with a custom key store, or with a key inside HSMs.

KeyringError
├── KeyStoreNotFoundError       no custom key store has this id or name
├── KeyStoreNameInUseError      the name is taken
├── KeyStoreStateError          it would have to be connected, or disconnected
├── KeyStoreHasKeysError        it has keys that are not destroyed yet
├── ClusterNotFoundError        no cluster of this service has this id
├── ClusterNotActiveError       no member of the cluster serves
├── KeyRefusedByHsmsError       the HSMs cannot hold such a key; the message says why
├── KeyUnavailableError         the key's custom key store is not connected
└── ContextTooLongError         the encryption context is longer than HSMs authenticate
"""

from strongroom.keyring._errors import KeyringError


class KeyStoreNotFoundError(KeyringError):
    """No custom key store has this id or name."""

    def __init__(self, store: str) -> None:
        super().__init__(f"there is no custom key store {store}")
        self.store = store


class KeyStoreNameInUseError(KeyringError):
    """Another custom key store has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another custom key store has the name {name}")
        self.name = name


class KeyStoreStateError(KeyringError):
    """The custom key store would have to be connected, or disconnected."""

    def __init__(self, store_id: str, *, state: str) -> None:
        super().__init__(f"the custom key store {store_id} is {state}")
        self.store_id = store_id
        self.state = state


class KeyStoreHasKeysError(KeyringError):
    """The custom key store has keys that are not destroyed yet."""

    def __init__(self, store_id: str, n_keys: int) -> None:
        super().__init__(f"the custom key store {store_id} has {n_keys} keys that are not destroyed yet")
        self.store_id = store_id
        self.n_keys = n_keys


class ClusterNotFoundError(KeyringError):
    """No cluster of this service has this id."""

    def __init__(self, cluster_id: str) -> None:
        super().__init__(f"this service has no cluster {cluster_id}")
        self.cluster_id = cluster_id


class ClusterNotActiveError(KeyringError):
    """No member of the cluster serves."""

    def __init__(self, cluster_id: str) -> None:
        super().__init__(f"no member of the cluster {cluster_id} serves")
        self.cluster_id = cluster_id


class KeyRefusedByHsmsError(KeyringError):
    """The HSMs cannot hold such a key; the message says what they lack, and is for the caller."""


class KeyUnavailableError(KeyringError):
    """The key is inside HSMs whose custom key store is not connected."""

    def __init__(self, key_id: str, store_id: str, *, material_id: str | None = None) -> None:
        super().__init__(
            f"the custom key store {store_id} of the key {key_id} is not connected",
            key_id=key_id,
            material_id=material_id,
        )
        self.store_id = store_id


class ContextTooLongError(KeyringError):
    """The encryption context is longer than HSMs authenticate: about 8,000 bytes."""

    def __init__(self, key_id: str) -> None:
        super().__init__("the encryption context is too long for a key inside HSMs", key_id=key_id)
