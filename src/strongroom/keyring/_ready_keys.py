"""Envelope encryption with keys that are in memory: plain functions that never wait and ask no HSM."""

from collections.abc import Mapping

from strongroom.core import Secret, random_bytes
from strongroom.envelope import (
    EnvelopeIntegrityError,
    Xaes256Gcm,
    data_binding,
    data_header,
    open_data,
    parse_data,
    seal_data,
)
from strongroom.keyring._ciphers import KekCiphers
from strongroom.keyring._key_state import require_active
from strongroom.keyring._records import HeldKey, KeyRecords
from strongroom.keyring._values import DataKey, Decrypted, Encrypted, KeyRef

_NO_CONTEXT = data_binding({})


class ReadyKeys:
    """Does what ``Keyring.encrypt`` and ``decrypt`` do, as long as nothing has to be fetched for it.

    Each function returns None where it cannot tell by itself: the KEK is not in memory, the ciphertext is none of
    ours, of an older version or does not authenticate. Whoever gets None asks the keyring, which waits for an HSM or words
    the refusal; nothing has happened by then. Belongs to the keyring's event loop.
    """

    def __init__(self, records: KeyRecords, ciphers: KekCiphers) -> None:
        self._records = records
        self._ciphers = ciphers

    def encrypt(self, key: KeyRef, plaintext: bytes, context: Mapping[str, str]) -> Encrypted | None:
        """Encrypt 1 to 4,096 bytes under the current version.

        Raises KeyStateError, KeyNotFoundError, AliasNotFoundError.
        """
        held = self._records.find(key)
        cipher = self._cipher(held)
        if cipher is None:
            return None
        record = held.record
        header = data_header(held.id_bytes, record.current_version)
        sealed = seal_data(cipher, header, plaintext, data_binding(context) if context else _NO_CONTEXT)
        return Encrypted(record.key_id, record.material_id, sealed)

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
        parts = parse_data(ciphertext)
        if parts is None:
            return None
        held = self._records.find_in_blob(parts.key_id) if key is None else self._records.find(key)
        record = held.record
        if held.id_bytes != parts.key_id or parts.key_version != record.current_version:
            return None
        cipher = self._cipher(held)
        if cipher is None:
            return None
        try:
            plaintext = open_data(cipher, parts, data_binding(context) if context else _NO_CONTEXT)
        except EnvelopeIntegrityError:
            return None
        return Decrypted(record.key_id, record.material_id, Secret(plaintext))

    def _cipher(self, held: HeldKey) -> Xaes256Gcm | None:
        """Return the cipher of an active key's current version, if it is in memory. Raises KeyStateError."""
        record = held.record
        require_active(record, record.material_id)
        return self._ciphers.ready_kek(record)
