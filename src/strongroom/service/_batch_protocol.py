"""What the service promises of batches: many items under one key, one authorisation and one audit entry."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from strongroom.core import MacAlgorithm, SigningAlgorithm
from strongroom.keyring import (
    BatchOfBytes,
    BatchOfDataKeys,
    BatchOfPlaintexts,
    KeyRef,
    MessageType,
    PlainItem,
    SealedItem,
)
from strongroom.service._caller import Caller


class BatchService(Protocol):
    """A part of ``KeyService``. Each verb takes up to ``keyring.MAX_ITEMS`` items and has a result for each, in order.

    What is wrong with an item is its result. What is wrong with the key, or with the caller's rights, raises as the verb for one item does,
    and then there is no result at all.
    """

    async def encrypt_batch(self, caller: Caller, key: KeyRef, items: Sequence[PlainItem]) -> BatchOfBytes:
        """Encrypt each item (1 to 4,096 bytes)."""
        ...

    async def decrypt_batch(
        self, caller: Caller, key: KeyRef, items: Sequence[SealedItem]
    ) -> BatchOfPlaintexts:
        """Decrypt each item, all of which were encrypted under this key."""
        ...

    async def rewrap_batch(self, caller: Caller, key: KeyRef, items: Sequence[SealedItem]) -> BatchOfBytes:
        """Encrypt each item anew under the key's current version; nobody sees the plaintexts."""
        ...

    async def make_data_keys(
        self, caller: Caller, key: KeyRef, *, count: int, n_bytes: int, context: Mapping[str, str]
    ) -> BatchOfDataKeys:
        """Make data keys of 1 to 1,024 bytes."""
        ...

    async def sign_batch(
        self,
        caller: Caller,
        key: KeyRef,
        messages: Sequence[bytes],
        *,
        algorithm: SigningAlgorithm,
        kind: MessageType,
    ) -> BatchOfBytes:
        """Sign each message."""
        ...

    async def mac_batch(
        self, caller: Caller, key: KeyRef, messages: Sequence[bytes], *, algorithm: MacAlgorithm
    ) -> BatchOfBytes:
        """Make the HMAC of each message."""
        ...
