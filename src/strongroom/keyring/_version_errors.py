"""What can be wrong with single versions of a key, and with inventories of their ciphertexts (see the tree in ``_errors``)."""

from strongroom.keyring._errors import KeyringError


class VersionNotFoundError(KeyringError):
    """The key has no such version."""

    def __init__(self, key_id: str, version: int) -> None:
        super().__init__(f"the key {key_id} has no version {version}", key_id=key_id)
        self.version = version


class VersionStateError(KeyringError):
    """The version is not a former one that could be retired; ``finding`` says why."""

    def __init__(self, key_id: str, version: int, finding: str) -> None:
        super().__init__(f"version {version} of key {key_id} {finding}", key_id=key_id)
        self.version = version
        self.finding = finding


class VersionRetiredError(KeyringError):
    """The ciphertext is under a version whose material was destroyed: nobody can open it any more."""

    def __init__(self, key_id: str, version: int, *, material_id: str) -> None:
        super().__init__(
            f"version {version} of key {key_id} was retired", key_id=key_id, material_id=material_id
        )
        self.version = version


class InventoryUnfitError(KeyringError):
    """An inventory is not one of this key; ``finding`` says why."""

    def __init__(self, key_id: str, finding: str) -> None:
        super().__init__(f"the inventory {finding}", key_id=key_id)


class InventoryLimitError(KeyringError):
    """There are as many inventories about a key as may be."""

    def __init__(self, key_id: str, limit: int) -> None:
        super().__init__(f"there are {limit} inventories about the key {key_id}, the most", key_id=key_id)
        self.limit = limit
