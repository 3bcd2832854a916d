"""Envelope encryption with keys that are in memory: plain functions that never wait and ask no HSM."""

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Mapping

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
from strongroom.keyring._cache import CachedCipher
from strongroom.keyring._ciphers import KekCiphers
from strongroom.keyring._cryptoperiods import Cryptoperiods
from strongroom.keyring._key_state import require_active
from strongroom.keyring._records import HeldKey, KeyRecords
from strongroom.keyring._values import DataKey, Decrypted, Encrypted, KeyByAlias, KeyRef
from strongroom.keyring._version_samples import MARK, VersionSample, VersionSamples
from strongroom.storage import KeyRecord

_NO_CONTEXT = data_binding({})


class _Ready(Struct, frozen=True, eq=False, gc=False):
    """An active key, and where the cipher of its current version is."""

    key_id: str
    material_id: str
    id_bytes: bytes
    version: int
    header: bytes
    """The authenticated bytes of what is encrypted under it."""
    cached: Callable[[], CachedCipher | None]
    """A weak look at the cipher: what the cache drops is gone."""
    limited: KeyRecord | None
    """The record, where it limits how often the key may encrypt."""
    sample: VersionSample
    """Where some of its ciphertexts are noted."""


class ReadyKeys:
    """Does what ``Keyring.encrypt`` and ``decrypt`` do, as long as nothing has to be fetched for it.

    Each function returns None where it cannot tell by itself: the KEK is not in memory, the ciphertext is none of
    ours, of an older version or does not authenticate, or no more uses are at hand of a key whose
    uses are counted. Whoever gets None asks the keyring, which waits for an HSM or words the refusal; nothing has happened by then. Belongs to the keyring's event loop.

    What was found of a key is good for as long as its record is, and its cipher for as long as the cache has it, which alone holds
    it. Both are looked at once in each turn of the event loop, as in ``KeyRecords``: whoever is handled in a turn has sent its
    request before that turn began, and so before a change that is answered in it or later.
    """

    def __init__(
        self, records: KeyRecords, ciphers: KekCiphers, periods: Cryptoperiods, samples: VersionSamples
    ) -> None:
        self._samples = samples
        self._periods = periods
        self._records = records
        self._ciphers = ciphers
        self._keks = ciphers.keks
        self._epoch = -1
        self._now = 0.0
        self._is_compared = False  # in this turn
        self._ready: dict[str | bytes, _Ready] = {}
        samples.on_forgetting = self._ready.clear

    def encrypt(self, key: KeyRef, plaintext: bytes, context: Mapping[str, str]) -> Encrypted | None:
        """Encrypt 1 to 4,096 bytes under the current version.

        Raises KeyStateError, KeyNotFoundError, AliasNotFoundError.
        """
        found = self._find(key)
        if found is None:
            return None
        ready, cipher = found
        if ready.limited is not None and not self._may_protect(ready.limited):
            return None
        binding = data_binding(context) if context else _NO_CONTEXT
        sealed = seal_data(cipher, ready.header, plaintext, binding)
        mark, sample = sealed[MARK], ready.sample
        if mark < sample.below:
            sample.issued(mark)
        return Encrypted(ready.key_id, ready.material_id, sealed)

    def generate_data_key(self, key: KeyRef, n_bytes: int, context: Mapping[str, str]) -> DataKey | None:
        """Make a data key of ``n_bytes`` and encrypt it. Raises as ``encrypt``."""
        plaintext = random_bytes(n_bytes)
        made = self.encrypt(key, plaintext, context)
        return (
            None
            if made is None
            else DataKey(made.key_id, made.material_id, Secret(plaintext), made.ciphertext)
        )

    def decrypt(
        self, ciphertext: bytes, context: Mapping[str, str], *, key: KeyRef | None
    ) -> Decrypted | None:
        """Decrypt what was encrypted under the current version of a key. Raises as ``encrypt``."""
        blob = parse_data(ciphertext)
        if blob is None:
            return None
        found = self._find_in_blob(blob.key_id) if key is None else self._find(key)
        if found is None:
            return None
        ready, cipher = found
        if ready.id_bytes != blob.key_id or ready.version != blob.key_version:
            return None
        try:
            plaintext = open_data(cipher, blob, data_binding(context) if context else _NO_CONTEXT)
        except EnvelopeIntegrityError:
            return None
        mark, sample = ciphertext[MARK], ready.sample
        if mark < sample.below:
            sample.seen(mark)
        return Decrypted(ready.key_id, ready.material_id, Secret(plaintext))

    def _find(self, key: KeyRef) -> tuple[_Ready, Xaes256Gcm] | None:
        # No alias is named like a key id.
        name = key.alias_name if isinstance(key, KeyByAlias) else key.key_id
        return self._serving(name) or self._keep(name, self._records.find(key))

    def _find_in_blob(self, id_bytes: bytes) -> tuple[_Ready, Xaes256Gcm] | None:
        return self._serving(id_bytes) or self._keep(id_bytes, self._records.find_in_blob(id_bytes))

    def _serving(self, name: str | bytes) -> tuple[_Ready, Xaes256Gcm] | None:
        """Return a key that was made ready, if that still holds."""
        # The records' turn may end before this one: an alias must name here what it named when its use was authorised.
        if not self._is_compared or self._records.epoch() != self._epoch:
            self._forget_what_changed()
        ready = self._ready.get(name)
        if ready is not None:
            cached = ready.cached()
            if cached is not None and self._now < cached.fresh_until:
                cached.is_touched = True
                self._keks.hits += 1
                return ready, cached.cipher
        return None

    def _forget_what_changed(self) -> None:
        epoch = self._records.epoch()
        if epoch != self._epoch:
            self._epoch = epoch
            self._ready.clear()
        self._now = self._keks.now()
        with contextlib.suppress(RuntimeError):  # without a running loop every look counts for itself
            asyncio.get_running_loop().call_soon(self._turn_ended)
            self._is_compared = True

    def _turn_ended(self) -> None:
        self._is_compared = False

    def _keep(self, name: str | bytes, held: HeldKey) -> tuple[_Ready, Xaes256Gcm] | None:
        """Make a key ready, if it is active and its KEK in memory. Raises KeyStateError."""
        record = held.record
        require_active(record, record.material_id)
        cached = self._ciphers.ready_kek(record)
        if cached is None:
            return None
        sample = self._samples.of(record.key_id, record.material_id)
        ready = _Ready(
            record.key_id,
            record.material_id,
            held.id_bytes,
            record.current_version,
            held.data_header,
            weakref.ref(cached),
            record if record.is_limited else None,
            sample,
        )
        if self._samples.has_room_for(sample):
            self._ready[name] = ready
        return ready, cached.cipher

    def _may_protect(self, record: KeyRecord) -> bool:
        """Whether one more use is at hand; then it counts as made."""
        lease = self._periods.lease(record)
        return lease is None or lease.take()
