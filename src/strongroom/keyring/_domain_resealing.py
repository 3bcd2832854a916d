"""``DomainResealing``: everything of a key that its domain KEK wraps, wrapped by another one, in one transaction.

A key's blobs are read and sealed anew first, outside of any transaction, for an HSM may have a part in it. The transaction
compares each of them with what was read, so whatever changed the key meanwhile (a rotation, an import, a deletion, another
move) wins, and whoever moves it begins again. The material itself does not change: what is in memory of any process stays good.
"""

import uuid
from typing import NamedTuple

from strongroom.core import KeyState
from strongroom.envelope import Purpose, import_digest_key_binding, kek_binding
from strongroom.keyring._ciphers import KekCiphers, domain_of
from strongroom.keyring._envelope_works import MaterialPlace
from strongroom.keyring._versions import all_versions
from strongroom.storage import KeyRecord, ReadOnlyStore, Transaction


class _Blob(NamedTuple):
    """A blob as it was read, and as it is to be; both empty where there is none."""

    was: bytes
    wrapped: bytes


class ResealedKey(NamedTuple):
    """A key's blobs, ready to be exchanged."""

    key_id: str
    was_in: str
    goes_to: str
    versions: tuple[tuple[int, _Blob], ...]
    """Every version of the key, those without material too."""
    digest_key: _Blob
    """By which imported material is recognised."""


class DomainResealing:
    """Seals keys anew under other domain KEKs. Belongs to one event loop."""

    def __init__(self, store: ReadOnlyStore, ciphers: KekCiphers) -> None:
        self._store = store
        self._ciphers = ciphers

    async def reseal(self, key: KeyRecord, goes_to: str) -> ResealedKey:
        """Return a key's blobs, all of them under the KEK of the domain ``goes_to``.

        Raises NoMemberError; EnvelopeError, HsmIntegrityError or MissingRecordError when one of them does not open.
        """
        id_bytes = uuid.UUID(key.key_id).bytes
        versions: list[tuple[int, _Blob]] = []
        for version in all_versions(self._store, key.key_id):
            if key.spec.is_symmetric:
                purpose, binding = Purpose.KEK, kek_binding(id_bytes, version.version)
            else:
                place = MaterialPlace(goes_to, key.key_id, version.version, key.spec, key.usage)
                purpose, binding = Purpose.KEY_MATERIAL, place.binding
            blob = await self.resealed(purpose, version.wrapped, goes_to, binding)
            versions.append((version.version, _Blob(version.wrapped, blob)))
        was = self._store.get_import_digest_key(key.key_id) or b""
        binding = import_digest_key_binding(id_bytes)
        digest_key = _Blob(was, await self.resealed(Purpose.IMPORT_DIGEST_KEY, was, goes_to, binding))
        return ResealedKey(key.key_id, key.domain_id, goes_to, tuple(versions), digest_key)

    async def resealed(self, purpose: Purpose, was: bytes, goes_to: str, binding: bytes) -> bytes:
        """Return a blob under another domain KEK; the same where it is under that already, or is empty. Raises as ``reseal``."""
        if not was or domain_of(was) == goes_to:
            return was
        opened = await self._ciphers.open(lambda: was, binding)
        return await self._ciphers.seal(purpose, goes_to, opened.plaintext, binding)


def store_resealed(tx: Transaction, key: ResealedKey) -> bool:
    """Exchange a key's blobs and note its domain; False, and nothing is changed, when the key is not what it was."""
    record = tx.get_key(key.key_id)
    if record is None or record.state is KeyState.DESTROYED or record.domain_id != key.was_in:
        return False
    old, new = tx.get_domain(key.was_in), tx.get_domain(key.goes_to)
    if old is None or new is None or new.replaced_by is not None:
        return False
    there = tuple((version.version, version.wrapped) for version in all_versions(tx, key.key_id))
    if there != tuple((version, blob.was) for version, blob in key.versions):
        return False
    if (tx.get_import_digest_key(key.key_id) or b"") != key.digest_key.was:
        return False
    for version, blob in key.versions:
        if blob.was != blob.wrapped:
            tx.rewrap_key_version(key.key_id, version, was=blob.was, wrapped=blob.wrapped)
    if key.digest_key.was != key.digest_key.wrapped:
        was, wrapped = key.digest_key
        tx.rewrap_import_digest_key(key.key_id, was=was, wrapped=wrapped)
    if old.domain_id != new.domain_id:
        tx.move_key_to_domain(key.key_id, old=old, new=new)
    return True
