"""What batches take and give: many items under one key, and a result for each in their order."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from strongroom.keyring._errors import KeyringError

MAX_ITEMS: Final = 10_000
"""As many items as a batch may have."""

Context: TypeAlias = Mapping[str, str]


class PlainItem(NamedTuple):
    """Something to encrypt: 1 to 4,096 bytes, and its encryption context."""

    plaintext: bytes
    context: Context

    def __repr__(self) -> str:
        return f"PlainItem(<{len(self.plaintext)} bytes>)"


class SealedItem(NamedTuple):
    """Something to decrypt, and the encryption context that it was encrypted with."""

    ciphertext: bytes
    context: Context


class BatchDataKey(NamedTuple):
    """A data key in clear and encrypted."""

    plaintext: bytes
    ciphertext: bytes

    def __repr__(self) -> str:
        return f"BatchDataKey(<{len(self.plaintext)} bytes>)"


class BatchOfBytes(NamedTuple):
    """What was made of each item: a ciphertext, a signature or a MAC."""

    key_id: str
    material_id: str
    results: list[bytes | KeyringError]
    opened: Mapping[str, int] = MappingProxyType({})
    """How many items of each version were opened for it, by material id."""


class BatchOfPlaintexts(NamedTuple):
    """What became of items that were decrypted."""

    key_id: str
    material_id: str
    """Of the key's current version; the items may be of any."""
    results: list[bytes | KeyringError]
    """Plain bytes: ten thousand Secrets would take longer than the decryption."""
    opened: Mapping[str, int] = MappingProxyType({})
    """How many items of each version there were, by material id."""

    def __repr__(self) -> str:
        return f"BatchOfPlaintexts(<{len(self.results)} items>)"


class BatchOfDataKeys(NamedTuple):
    """Data keys that were made."""

    key_id: str
    material_id: str
    results: list[BatchDataKey]
