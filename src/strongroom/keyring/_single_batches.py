"""``SingleBatches``: batches whose items cannot share their work, because each is a call of an HSM, a signature or a MAC."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from strongroom.core import MacAlgorithm, Secret, SigningAlgorithm
from strongroom.keyring._batch_values import (
    BatchDataKey,
    BatchOfBytes,
    BatchOfDataKeys,
    BatchOfPlaintexts,
    Context,
    PlainItem,
    SealedItem,
)
from strongroom.keyring._either import SymmetricUses
from strongroom.keyring._errors import (
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyringError,
    UnfitRequestError,
)
from strongroom.keyring._ready_uses import ReadyUses
from strongroom.keyring._records import KeyRecords
from strongroom.keyring._use_values import MessageType
from strongroom.keyring._uses import KeyUses
from strongroom.keyring._values import KeyRef
from strongroom.keyring._version_errors import VersionRetiredError

_AT_ONCE: Final = 32
_OF_AN_ITEM: Final = (InvalidCiphertextError, IncorrectKeyError, UnfitRequestError, VersionRetiredError)
"""What may be wrong with one item; anything else is wrong with the key or its HSMs, and so with the batch."""

_ItemT = TypeVar("_ItemT")
_R = TypeVar("_R")


class SingleBatches:
    """Does the items of a batch one by one, some at the same time. Raises as ``Batches`` does.

    Items that a key in memory does at once get no task each, which would take as long as the work. All are done with the key that the name stood for at the beginning: an alias may move while items wait.
    """

    def __init__(
        self, records: KeyRecords, symmetric: SymmetricUses, uses: KeyUses, ready: ReadyUses
    ) -> None:
        self._ready = ready
        self._records = records
        self._symmetric = symmetric
        self._uses = uses

    async def encrypt(self, key: KeyRef, items: Sequence[PlainItem]) -> BatchOfBytes:
        """Encrypt each item."""
        key = self._records.pinned(key)

        async def one(item: PlainItem) -> bytes:
            return (await self._symmetric.encrypt(key, Secret(item.plaintext), item.context)).ciphertext

        return BatchOfBytes(*self._names(key), await _each(items, one))

    async def data_keys(
        self, key: KeyRef, plaintexts: Sequence[bytes], *, context: Context
    ) -> BatchOfDataKeys:
        """Encrypt fresh data keys."""
        key = self._records.pinned(key)

        async def one(plaintext: bytes) -> BatchDataKey:
            made = await self._symmetric.encrypt(key, Secret(plaintext), context)
            return BatchDataKey(plaintext, made.ciphertext)

        made = await _each(plaintexts, one)
        return BatchOfDataKeys(*self._names(key), [item for item in made if isinstance(item, BatchDataKey)])

    async def decrypt(self, key: KeyRef, items: Sequence[SealedItem]) -> BatchOfPlaintexts:
        """Decrypt each item."""
        key = self._records.pinned(key)

        versions: Counter[str] = Counter()

        async def one(item: SealedItem) -> bytes:
            opened = await self._symmetric.decrypt(item.ciphertext, item.context, key=key)
            versions[opened.material_id] += 1
            return opened.plaintext.reveal()

        return BatchOfPlaintexts(*self._names(key), await _each(items, one), versions)

    async def rewrap(self, key: KeyRef, items: Sequence[SealedItem]) -> BatchOfBytes:
        """Encrypt each item anew under the key's current version."""
        key = self._records.pinned(key)

        versions: Counter[str] = Counter()

        async def one(item: SealedItem) -> bytes:
            opened = await self._symmetric.decrypt(item.ciphertext, item.context, key=key)
            versions[opened.material_id] += 1
            try:
                made = await self._symmetric.encrypt(key, opened.plaintext, item.context)
            finally:
                opened.plaintext.zeroize()
            self._symmetric.moved(item.ciphertext, opened)
            return made.ciphertext

        return BatchOfBytes(*self._names(key), await _each(items, one), versions)

    async def sign(
        self, key: KeyRef, messages: Sequence[bytes], *, algorithm: SigningAlgorithm, kind: MessageType
    ) -> BatchOfBytes:
        """Sign each message."""
        key = self._records.pinned(key)

        async def one(message: bytes) -> bytes:
            return (await self._uses.sign(key, algorithm, message, kind)).signature

        def at_once(part: Sequence[bytes]) -> Sequence[bytes | KeyringError] | None:
            return self._ready.sign_many(key, algorithm, part, kind)

        return BatchOfBytes(*self._names(key), await _each(messages, one, at_once))

    async def mac(self, key: KeyRef, messages: Sequence[bytes], *, algorithm: MacAlgorithm) -> BatchOfBytes:
        """Make the HMAC of each message."""
        key = self._records.pinned(key)

        async def one(message: bytes) -> bytes:
            return (await self._uses.generate_mac(key, algorithm, message)).mac

        def at_once(part: Sequence[bytes]) -> Sequence[bytes | KeyringError] | None:
            return self._ready.mac_many(key, algorithm, part)

        return BatchOfBytes(*self._names(key), await _each(messages, one, at_once))

    def _names(self, key: KeyRef) -> tuple[str, str]:
        record = self._records.find(key).record
        return record.key_id, record.material_id


async def _each(
    items: Sequence[_ItemT],
    act: Callable[[_ItemT], Awaitable[_R]],
    at_once: Callable[[Sequence[_ItemT]], Sequence[_R | KeyringError] | None] = lambda _part: None,
) -> list[_R | KeyringError]:
    """Do each item; the first error that is not of an item alone ends it, and what is under way is cancelled.

    ``at_once`` does some items without waiting, or returns None; then ``act`` does them. Others have their turn meanwhile.
    """

    async def one(item: _ItemT) -> _R | KeyringError:
        try:
            return await act(item)
        except _OF_AN_ITEM as error:
            return error

    results: list[_R | KeyringError] = []
    for begin in range(0, len(items), _AT_ONCE):
        part = items[begin : begin + _AT_ONCE]
        await asyncio.sleep(0)
        done = at_once(part)
        if done is None:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(one(item)) for item in part]
            except ExceptionGroup as failed:  # one error is told, as a call with one item would tell it
                raise failed.exceptions[0] from None
            done = [task.result() for task in tasks]
        results += done
    return results
