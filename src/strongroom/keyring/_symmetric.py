"""``SymmetricKeys``: encrypting and decrypting with symmetric keys of every origin, named or found by their ciphertexts."""

import uuid
from collections.abc import Callable, Mapping

from strongroom.core import KeyOrigin, Secret, WrapAlgorithm, random_bytes
from strongroom.envelope import (
    Blob,
    EnvelopeIntegrityError,
    MalformedBlobError,
    Purpose,
    Xaes256Gcm,
    data_binding,
    open_blob,
    seal_blob,
)
from strongroom.keyring._ciphers import KekCiphers
from strongroom.keyring._cryptoperiods import Cryptoperiods
from strongroom.keyring._direct import DirectKeys
from strongroom.keyring._errors import (
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyDestroyedError,
    KeyNotFoundError,
)
from strongroom.keyring._key_state import require_active, require_processing, require_symmetric
from strongroom.keyring._records import HeldKey, KeyRecords
from strongroom.keyring._values import DataKey, Decrypted, Encrypted, KeyById, KeyRef
from strongroom.keyring._version_errors import VersionRetiredError
from strongroom.keyring._version_samples import VersionSamples
from strongroom.storage import KeyRecord, Reader


class SymmetricKeys:
    """What ``Keyring`` does with symmetric keys; belongs to its event loop.

    With record and KEK in memory, ``encrypt``, ``decrypt`` and ``generate_data_key`` never wait.
    """

    def __init__(
        self,
        store: Reader,
        records: KeyRecords,
        ciphers: KekCiphers,
        direct: DirectKeys,
        periods: Cryptoperiods,
        *,
        samples: VersionSamples,
    ) -> None:
        self.samples = samples
        self._periods = periods
        self.ciphers = ciphers
        self.direct = direct
        self._reader = store
        self._records = records

    async def encrypt(self, key: KeyRef, plaintext: Secret, context: Mapping[str, str]) -> Encrypted:
        """Encrypt under the current version. Raises KeyStateError, KeyNotFoundError, AliasNotFoundError, HsmError."""
        held = await self._protecting(key)
        record = held.record
        if record.origin is KeyOrigin.AWS_CLOUDHSM:
            require_symmetric(record, record.material_id)
            sealed = await self.direct.encrypt(record, plaintext, context)
            require_active(self._records.find(KeyById(record.key_id)).record, record.material_id)
            self.samples.issued(record.key_id, record.material_id, sealed)
            return Encrypted(record.key_id, record.material_id, sealed)
        cipher = self.ciphers.cached_kek(record, record.current_version)
        if cipher is None:
            cipher = await self._unwrapped(record, record.current_version, record.material_id)
        ciphertext = seal_under(cipher, held, plaintext.reveal(), context)
        self.samples.issued(record.key_id, record.material_id, ciphertext)
        return Encrypted(record.key_id, record.material_id, ciphertext)

    async def generate_data_key(self, key: KeyRef, n_bytes: int, context: Mapping[str, str]) -> DataKey:
        """Make a data key of ``n_bytes`` and encrypt it. Raises as ``encrypt``."""
        plaintext = Secret(random_bytes(n_bytes))
        made = await self.encrypt(key, plaintext, context)
        return DataKey(made.key_id, made.material_id, plaintext, made.ciphertext)

    async def generate_wrapped_data_key(
        self, key: KeyRef, n_bytes: int, context: Mapping[str, str]
    ) -> Encrypted:
        """As ``generate_data_key``, without giving the data key away in clear."""
        made = await self.generate_data_key(key, n_bytes, context)
        made.plaintext.zeroize()
        return Encrypted(made.key_id, made.material_id, made.ciphertext)

    async def decrypt(
        self, ciphertext: bytes, context: Mapping[str, str], *, key: KeyRef | None
    ) -> Decrypted:
        """Decrypt what ``encrypt`` or ``generate_data_key`` made.

        Raises InvalidCiphertextError when it is not ours or does not authenticate with this context,
        IncorrectKeyError when ``key`` is another key, VersionRetiredError, KeyStateError, KeyNotFoundError, HsmError.
        """
        if key is not None:  # a pair has no such ciphertexts, whatever these bytes are
            named = self._records.find(key).record
            require_symmetric(named, named.material_id)
        blob = parsed_data(ciphertext)
        version = blob.wrapping_key_version
        record = self._of_blob(blob.wrapping_key_id, named=key).record
        material_id = record.material_id
        if version != record.current_version:
            material_id = self._material_of(record, version)
        require_processing(record, material_id)
        if record.origin is KeyOrigin.AWS_CLOUDHSM:
            opened = await self._decrypt_inside(record, blob, context)
            self.samples.seen(record.key_id, opened.material_id, ciphertext)
            return opened
        if blob.algorithm is not WrapAlgorithm.XAES_256_GCM:  # made inside HSMs, which this key is not
            raise InvalidCiphertextError(key_id=record.key_id, material_id=material_id)
        cipher = self.ciphers.cached_kek(record, version)
        if cipher is None:
            cipher = await self._unwrapped(record, version, material_id, require=require_processing)
        try:
            plaintext = open_blob(cipher, blob, data_binding(context))
        except EnvelopeIntegrityError:
            raise InvalidCiphertextError(key_id=record.key_id, material_id=material_id) from None
        self.samples.seen(record.key_id, material_id, ciphertext)
        return Decrypted(record.key_id, material_id, Secret(plaintext))

    def discarded(self, made: Encrypted) -> None:
        """Note that what was encrypted was only to see whether it can be, and goes to nobody."""
        self.samples.discarded(made.key_id, made.material_id, made.ciphertext)

    def moved(self, ciphertext: bytes, opened: Decrypted) -> None:
        """Note that what was opened was encrypted anew, under another version, key or context."""
        self.samples.moved(opened.key_id, opened.material_id, ciphertext)

    async def _protecting(self, key: KeyRef) -> HeldKey:
        """Return an active key that may encrypt once more now, which counts. Raises as ``encrypt``."""
        held = self._records.find(key)
        record = held.record
        require_active(record, record.material_id)
        if not record.is_limited:
            return held
        require_symmetric(record, record.material_id)  # before it counts
        return await self._periods.protecting(key)

    async def _unwrapped(
        self,
        record: KeyRecord,
        version: int,
        material_id: str,
        *,
        require: Callable[[KeyRecord, str], None] = require_active,
    ) -> Xaes256Gcm:
        """Return the cipher of a version that is not in memory, if the key may still do this then.

        Keys of other kinds than symmetric ones have no cipher at all, so here is where they are refused.
        """
        require_symmetric(record, material_id)
        cipher = await self.ciphers.kek(record, version)
        require(self._records.find(KeyById(record.key_id)).record, material_id)
        return cipher

    async def _decrypt_inside(self, record: KeyRecord, blob: Blob, context: Mapping[str, str]) -> Decrypted:
        version = self.direct.version(record, blob.wrapping_key_version)
        require_symmetric(record, version.material_id)
        opened = await self.direct.decrypt(record, version, blob, context)
        require_processing(self._records.find(KeyById(record.key_id)).record, version.material_id)
        return Decrypted(record.key_id, version.material_id, opened)

    def _of_blob(self, id_bytes: bytes, *, named: KeyRef | None) -> HeldKey:
        """Return the key that a ciphertext names, which is the one that the caller named, if it named one."""
        if named is None:
            try:
                return self._records.find_in_blob(id_bytes)
            except KeyDestroyedError:  # it was ours, and whoever needs it must know why it cannot be had
                raise
            except KeyNotFoundError:  # then the ciphertext is not ours
                raise InvalidCiphertextError from None
        held = self._records.find(named)
        if held.id_bytes != id_bytes:
            raise IncorrectKeyError(
                key_id=held.record.key_id, ciphertext_key_id=str(uuid.UUID(bytes=id_bytes))
            )
        return held

    def _material_of(self, record: KeyRecord, version: int) -> str:
        """Return the material id of an older version; a ciphertext of one that we do not have is not ours.

        Asked each time: a version may be retired while its KEK is in memory. Raises VersionRetiredError.
        """
        stored = self._reader.get_key_version(record.key_id, version)
        if (
            stored is None or version > record.current_version
        ):  # what waits for rotation has encrypted nothing
            raise InvalidCiphertextError(key_id=record.key_id)
        if stored.retired_at is not None:
            raise VersionRetiredError(record.key_id, version, material_id=stored.material_id)
        return stored.material_id


def parsed_data(ciphertext: bytes) -> Blob:
    """Read a ciphertext that we gave to a caller. Raises InvalidCiphertextError for anything else."""
    try:
        blob = Blob.parse(ciphertext)
    except MalformedBlobError:
        raise InvalidCiphertextError from None
    if blob.purpose is not Purpose.DATA:
        raise InvalidCiphertextError
    return blob


def seal_under(cipher: Xaes256Gcm, held: HeldKey, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """Encrypt under the current version of a key, which ``cipher`` is."""
    version = held.record.current_version
    return seal_blob(cipher, Purpose.DATA, held.id_bytes, version, plaintext, data_binding(context))
