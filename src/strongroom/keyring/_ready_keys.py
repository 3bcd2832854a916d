"""Envelope encryption with keys that are in memory: plain functions that never wait and ask no HSM."""

import asyncio
from collections.abc import Mapping

from msgspec import Struct

from strongroom.core import Secret, random_bytes
from strongroom.envelope import (
    EnvelopeIntegrityError,
    Xaes256Gcm,
    data_binding,
    open_data,
    parse_data,
    seal_data,
)
from strongroom.keyring._ciphers import KekCiphers
from strongroom.keyring._cryptoperiods import Cryptoperiods, UseLease
from strongroom.keyring._key_state import require_active
from strongroom.keyring._records import HeldKey, KeyRecords
from strongroom.keyring._values import DataKey, Decrypted, Encrypted, KeyByAlias, KeyRef
from strongroom.keyring._version_samples import MARK, VersionSample, VersionSamples

_NO_CONTEXT = data_binding({})


class _Ready(Struct, frozen=True):
    """An active key with the cipher of its current version."""

    key_id: str
    material_id: str
    id_bytes: bytes
    version: int
    header: bytes
    """The authenticated bytes of what is encrypted under it."""
    cipher: Xaes256Gcm
    lease: UseLease | None
    """How often it may encrypt; None: no limit."""
    sample: VersionSample
    """Where some of its ciphertexts are noted."""


class ReadyKeys:
    """Does what ``Keyring.encrypt`` and ``decrypt`` do, as long as nothing has to be fetched for it.

    Each function returns None where it cannot tell by itself: the KEK is not in memory, the ciphertext is none of
    ours, of an older version or does not authenticate, or no more uses are at hand of a key whose
    uses are counted. Whoever gets None asks the keyring, which waits for an HSM or words the refusal; nothing has happened by then. Belongs to the keyring's event loop.

    What was found is good for one turn of the event loop, as in ``KeyRecords``: whoever is handled in a turn has sent its
    request before that turn began, and so before a change that is answered in it or later.
    """

    def __init__(
        self, records: KeyRecords, ciphers: KekCiphers, periods: Cryptoperiods, samples: VersionSamples
    ) -> None:
        self._samples = samples
        self._periods = periods
        self._records = records
        self._ciphers = ciphers
        self._of_turn: dict[str | bytes, _Ready] = {}
        self._forget_turn = self._of_turn.clear

    def encrypt(self, key: KeyRef, plaintext: bytes, context: Mapping[str, str]) -> Encrypted | None:
        """Encrypt 1 to 4,096 bytes under the current version.

        Raises KeyStateError, KeyNotFoundError, AliasNotFoundError.
        """
        ready = self._find(key)
        if ready is None or (ready.lease is not None and not ready.lease.take()):
            return None
        binding = data_binding(context) if context else _NO_CONTEXT
        sealed = seal_data(ready.cipher, ready.header, plaintext, binding)
        if sealed[MARK] < ready.sample.below:
            ready.sample.issued(sealed[MARK])
        return Encrypted(ready.key_id, ready.material_id, sealed)

    def generate_data_key(self, key: KeyRef, n_bytes: int, context: Mapping[str, str]) -> DataKey | None:
        """Make a data key of ``n_bytes`` and encrypt it. Raises as ``encrypt``."""
        ready = self._find(key)
        if ready is None or (ready.lease is not None and not ready.lease.take()):
            return None
        plaintext = random_bytes(n_bytes)
        binding = data_binding(context) if context else _NO_CONTEXT
        sealed = seal_data(ready.cipher, ready.header, plaintext, binding)
        if sealed[MARK] < ready.sample.below:
            ready.sample.issued(sealed[MARK])
        return DataKey(ready.key_id, ready.material_id, Secret(plaintext), sealed)

    def decrypt(
        self, ciphertext: bytes, context: Mapping[str, str], *, key: KeyRef | None
    ) -> Decrypted | None:
        """Decrypt what was encrypted under the current version of a key. Raises as ``encrypt``."""
        blob = parse_data(ciphertext)
        if blob is None:
            return None
        ready = self._find_in_blob(blob.key_id) if key is None else self._find(key)
        if ready is None or ready.id_bytes != blob.key_id or ready.version != blob.key_version:
            return None
        try:
            plaintext = open_data(ready.cipher, blob, data_binding(context) if context else _NO_CONTEXT)
        except EnvelopeIntegrityError:
            return None
        if ciphertext[MARK] < ready.sample.below:
            ready.sample.seen(ciphertext[MARK])
        return Decrypted(ready.key_id, ready.material_id, Secret(plaintext))

    def _find(self, key: KeyRef) -> _Ready | None:
        # No alias is named like a key id.
        name = key.alias_name if isinstance(key, KeyByAlias) else key.key_id
        ready = self._of_turn.get(name)
        if ready is None:
            return self._keep(name, self._records.find(key))
        self._ciphers.keks.hits += 1
        return ready

    def _find_in_blob(self, id_bytes: bytes) -> _Ready | None:
        ready = self._of_turn.get(id_bytes)
        if ready is None:
            return self._keep(id_bytes, self._records.find_in_blob(id_bytes))
        self._ciphers.keks.hits += 1
        return ready

    def _keep(self, name: str | bytes, held: HeldKey) -> _Ready | None:
        """Make a key ready, if it is active and its KEK in memory, for the rest of this turn. Raises KeyStateError."""
        record = held.record
        require_active(record, record.material_id)
        cipher = self._ciphers.ready_kek(record)
        if cipher is None:
            return None
        ready = _Ready(
            record.key_id,
            record.material_id,
            held.id_bytes,
            record.current_version,
            held.data_header,
            cipher,
            self._periods.lease(record),
            self._samples.of(record.key_id, record.material_id),
        )
        if not self._of_turn:
            try:
                asyncio.get_running_loop().call_soon(self._forget_turn)
            except RuntimeError:  # without a loop every look counts for itself
                return ready
        self._of_turn[name] = ready
        return ready
