"""``Batches``: many items under one key, each with a result of its own.

What makes a batch worth while is what it does once: the key is looked up, authorised and audited once, and under a symmetric
Envelope key the message keys are derived in one pass. The items share the key and nothing else: a bad one spoils no other.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from strongroom.core import KeyOrigin, random_bytes
from strongroom.envelope import (
    DataBlob,
    Xaes256Gcm,
    cut_data,
    data_binding,
    open_cut_data,
    open_many_data,
    parse_data,
    seal_many_data,
)
from strongroom.keyring._batch_values import (
    BatchDataKey,
    BatchOfBytes,
    BatchOfDataKeys,
    BatchOfPlaintexts,
    Context,
    PlainItem,
    SealedItem,
)
from strongroom.keyring._ciphers import KekCiphers
from strongroom.keyring._cryptoperiods import Cryptoperiods
from strongroom.keyring._errors import IncorrectKeyError, InvalidCiphertextError, KeyringError
from strongroom.keyring._key_state import require_active, require_symmetric, require_verifying
from strongroom.keyring._records import HeldKey, KeyRecords
from strongroom.keyring._single_batches import SingleBatches
from strongroom.keyring._values import KeyById, KeyRef
from strongroom.keyring._version_errors import VersionRetiredError
from strongroom.keyring._version_samples import MARK, MARK_BYTES, VersionSamples
from strongroom.storage import KeyRecord, Reader

_AT_ONCE: Final = 256
"""Items after which other callers have their turn: about a millisecond of work."""

_ItemT = TypeVar("_ItemT")
_Require = Callable[[KeyRecord, str], None]


class Batches:
    """Works on up to ``MAX_ITEMS`` items at a time; belongs to the keyring's event loop.

    Every function raises KeyStateError, KeyUsageError, KeyNotFoundError, AliasNotFoundError and HsmError for the batch as a
    whole, also when the key is suspended half way: then no result is given. What is wrong with an item is its result.
    """

    def __init__(
        self,
        store: Reader,
        records: KeyRecords,
        ciphers: KekCiphers,
        periods: Cryptoperiods,
        samples: VersionSamples,
        *,
        singly: SingleBatches,
    ) -> None:
        """``singly`` does the items of keys whose work cannot be shared: Direct keys, pairs, HMAC keys."""
        self.singly = singly
        self._store = store
        self._records = records
        self._ciphers = ciphers
        self._periods = periods
        self._samples = samples

    async def encrypt(self, key: KeyRef, items: Sequence[PlainItem]) -> BatchOfBytes:
        """Encrypt each item under the key's current version."""
        held = self._find(key)
        if _is_direct(held):
            return await self.singly.encrypt(key, items)
        held = await self._periods.protecting(key, len(items))
        cipher = await self._ciphers.kek(held.record, held.record.current_version)
        bindings = _Bindings()
        results: list[bytes | KeyringError] = []
        for part in _parts(items):
            await self._turn(held.record)
            bound = [bindings.of(item.context) for item in part]
            results += self._issued(
                held, seal_many_data(cipher, held.data_header, [item.plaintext for item in part], bound)
            )
        return BatchOfBytes(held.record.key_id, held.record.material_id, results)

    async def data_keys(self, key: KeyRef, *, count: int, n_bytes: int, context: Context) -> BatchOfDataKeys:
        """Make ``count`` data keys of ``n_bytes`` (1 to 1,024) each, all with the same encryption context."""
        held = self._find(key)
        drawn = random_bytes(n_bytes * count)
        plaintexts = [drawn[at : at + n_bytes] for at in range(0, len(drawn), n_bytes)]
        if _is_direct(held):
            return await self.singly.data_keys(key, plaintexts, context=context)
        held = await self._periods.protecting(key, count)
        cipher = await self._ciphers.kek(held.record, held.record.current_version)
        binding = data_binding(context)
        results: list[BatchDataKey] = []
        for part in _parts(plaintexts):
            await self._turn(held.record)
            sealed = self._issued(held, seal_many_data(cipher, held.data_header, part, [binding] * len(part)))
            results += map(BatchDataKey, part, sealed)
        return BatchOfDataKeys(held.record.key_id, held.record.material_id, results)

    async def decrypt(self, key: KeyRef, items: Sequence[SealedItem]) -> BatchOfPlaintexts:
        """Decrypt each item that was encrypted under any version of the key."""
        held = self._find(key, require_verifying)
        if _is_direct(held):
            return await self.singly.decrypt(key, items)
        bindings, versions = _Bindings(), Counter[str]()
        results: list[bytes | KeyringError] = []
        for part in _parts(items):
            await self._turn(held.record, require_verifying)
            results += await self._open(held, part, bindings, versions)
        return BatchOfPlaintexts(held.record.key_id, held.record.material_id, results, versions)

    async def rewrap(self, key: KeyRef, items: Sequence[SealedItem]) -> BatchOfBytes:
        """Encrypt each item anew under the key's current version, with the encryption context that it has."""
        held = self._find(key)
        if _is_direct(held):
            return await self.singly.rewrap(key, items)
        held = await self._periods.protecting(key, len(items))
        cipher = await self._ciphers.kek(held.record, held.record.current_version)
        bindings, versions = _Bindings(), Counter[str]()
        results: list[bytes | KeyringError] = []
        for part in _parts(items):
            await self._turn(held.record)
            opened = await self._open(held, part, bindings, versions, is_moving=True)
            good = [
                (text, item.context)
                for text, item in zip(opened, part, strict=True)
                if isinstance(text, bytes)
            ]
            bound = [bindings.of(context) for _, context in good]
            sealed = iter(
                self._issued(
                    held, seal_many_data(cipher, held.data_header, [text for text, _ in good], bound)
                )
            )
            results += [next(sealed) if isinstance(text, bytes) else text for text in opened]
        return BatchOfBytes(held.record.key_id, held.record.material_id, results, versions)

    def _issued(self, held: HeldKey, sealed: list[bytes]) -> list[bytes]:
        """Note some of what was made, and return all of it."""
        sample = self._samples.of(held.record.key_id, held.record.material_id)
        for ciphertext in sealed:
            if ciphertext[MARK] < sample.below:
                sample.issued(ciphertext[MARK])
        return sealed

    def _find(self, key: KeyRef, require: _Require = require_active) -> HeldKey:
        held = self._records.find(key)
        require_symmetric(held.record, held.record.material_id)
        require(held.record, held.record.material_id)
        return held

    async def _turn(self, record: KeyRecord, require: _Require = require_active) -> None:
        """Let others have their turn, and see that the key may still do this afterwards."""
        await asyncio.sleep(0)
        require(self._records.find(KeyById(record.key_id)).record, record.material_id)

    async def _open(
        self,
        held: HeldKey,
        part: Sequence[SealedItem],
        bindings: "_Bindings",
        versions: Counter[str],
        *,
        is_moving: bool = False,
    ) -> list[bytes | KeyringError]:
        """Decrypt items, and count them by material id of the version that they are of."""
        opened = await self._open_current(held, part, bindings, versions, is_moving=is_moving)
        if opened is not None:
            return opened
        return await self._open_any(held, part, bindings, versions, is_moving=is_moving)

    async def _open_any(
        self,
        held: HeldKey,
        part: Sequence[SealedItem],
        bindings: "_Bindings",
        versions: Counter[str],
        *,
        is_moving: bool,
    ) -> list[bytes | KeyringError]:
        """Decrypt items of several versions, those of one version together."""
        results: list[bytes | KeyringError] = [InvalidCiphertextError(key_id=held.record.key_id)] * len(part)
        by_version: dict[int, list[tuple[int, DataBlob]]] = {}
        for at, item in enumerate(part):
            blob = parse_data(item.ciphertext)
            if blob is None:
                continue
            if blob.key_id != held.id_bytes:
                named = str(uuid.UUID(bytes=blob.key_id))
                results[at] = IncorrectKeyError(key_id=held.record.key_id, ciphertext_key_id=named)
                continue
            by_version.setdefault(blob.key_version, []).append((at, blob))
        for version, blobs in by_version.items():
            found = await self._cipher_of(held.record, version)
            if isinstance(found, KeyringError):
                for at, _ in blobs:
                    results[at] = found
                continue
            cipher, material_id = found
            sample = self._samples.of(held.record.key_id, material_id)
            note = sample.moved if is_moving else sample.seen
            bound = [bindings.of(part[at].context) for at, _ in blobs]
            opened = open_many_data(cipher, [blob for _, blob in blobs], bound)
            for (at, blob), text in zip(blobs, opened, strict=True):
                if text is not None:
                    results[at] = text
                    versions[material_id] += 1
                    mark = blob.nonce[:MARK_BYTES]
                    if mark < sample.below:
                        note(mark)
        return results

    async def _open_current(
        self,
        held: HeldKey,
        part: Sequence[SealedItem],
        bindings: "_Bindings",
        versions: Counter[str],
        *,
        is_moving: bool,
    ) -> list[bytes | KeyringError] | None:
        """As ``_open`` where all items are of the key's current version, which is usual; None where one is not."""
        blobs = [cut_data(held.data_header, item.ciphertext) for item in part]
        cut = [blob for blob in blobs if blob is not None]
        if len(cut) < len(blobs):
            return None
        found = await self._cipher_of(held.record, held.record.current_version)
        if isinstance(found, KeyringError):
            return None
        cipher, material_id = found
        bound = [bindings.of(item.context) for item in part]
        opened = open_cut_data(cipher, held.data_header, cut, bound)
        sample = self._samples.of(held.record.key_id, material_id)
        note = sample.moved if is_moving else sample.seen
        for (half, _, _), text in zip(cut, opened, strict=True):
            if half[:MARK_BYTES] < sample.below and text is not None:
                note(half[:MARK_BYTES])
        n_failed = opened.count(None)
        if n_failed < len(opened):
            versions[material_id] += len(opened) - n_failed
        failed = InvalidCiphertextError(key_id=held.record.key_id)
        return [failed if text is None else text for text in opened]

    async def _cipher_of(self, record: KeyRecord, version: int) -> tuple[Xaes256Gcm, str] | KeyringError:
        """Return cipher and material id of a version, if the key may open still; or what is wrong with its ciphertexts."""
        stored = self._store.get_key_version(record.key_id, version)
        if version > record.current_version or stored is None:
            return InvalidCiphertextError(key_id=record.key_id)
        if stored.retired_at is not None:
            return VersionRetiredError(record.key_id, version, material_id=stored.material_id)
        cipher = await self._ciphers.kek(record, version)
        require_verifying(self._records.find(KeyById(record.key_id)).record, record.material_id)
        return cipher, stored.material_id


class _Bindings:
    """The bytes that encryption contexts are bound by; most batches have one context, or few."""

    def __init__(self) -> None:
        self._last: Context = {}
        self._bound = data_binding(self._last)

    def of(self, context: Context) -> bytes:
        if context is not self._last:
            self._last, self._bound = context, data_binding(context)
        return self._bound


def _is_direct(held: HeldKey) -> bool:
    return held.record.origin is KeyOrigin.AWS_CLOUDHSM


def _parts(items: Sequence[_ItemT]) -> Iterator[Sequence[_ItemT]]:
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))
