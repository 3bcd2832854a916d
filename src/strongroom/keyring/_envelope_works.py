"""``EnvelopeWorks``: Envelope keys other than the symmetric ones, sealed in the database and put to work in memory."""

import uuid
from typing import NamedTuple

from msgspec import Struct

from strongroom.core import Clock, HsmIntegrityError, KeyUsage, ManagedKeySpec
from strongroom.envelope import Purpose, key_material_binding
from strongroom.keyring._cache import CipherCache
from strongroom.keyring._ciphers import CacheLimits, KekCiphers
from strongroom.keyring._errors import MissingRecordError, PendingImportError
from strongroom.keyring._key_state import read_key
from strongroom.keyring._key_work import KeyWork
from strongroom.keyring._material import Material
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._software_work import software_work
from strongroom.storage import KeyRecord, Reader


class MaterialPlace(NamedTuple):
    """What key material is bound to: it opens nowhere else."""

    domain_id: str
    key_id: str
    version: int
    spec: ManagedKeySpec
    usage: KeyUsage

    @property
    def binding(self) -> bytes:
        """The bytes that are the same at opening as at sealing."""
        return key_material_binding(uuid.UUID(self.key_id).bytes, self.version, self.spec, self.usage)


class CachedWork(Struct, eq=False):
    """A key that is put to work, and until when it may serve."""

    work: KeyWork
    fresh_until: float
    """Monotonic seconds: the end of the domain KEK that opened it."""
    is_touched: bool = False


class EnvelopeWorks:
    """Implements ``KeyWorks`` for keys whose material is wrapped under a domain KEK. Belongs to one event loop.

    Opened keys live as long as KEKs do, and like those never longer than the domain KEK that opened them.
    """

    def __init__(
        self, store: Reader, ciphers: KekCiphers, limits: CacheLimits, slow: SlowWork, *, clock: Clock
    ) -> None:
        self._store = store
        self._ciphers = ciphers
        self._slow = slow
        self._cache: CipherCache[tuple[str, int], CachedWork] = CipherCache(
            clock=clock,
            max_entries=limits.max_keks,
            outage_grace_s=limits.outage_grace_s,
            outage=ciphers.outage,
        )

    async def open(self, record: KeyRecord) -> KeyWork:
        """Return the current version ready to work, unwrapping it when needed.

        Raises NoMemberError when no HSM answers, EnvelopeIntegrityError when the stored material does not open in this
        place, HsmIntegrityError when the public half that is stored is not its own.
        """
        key = (record.key_id, record.current_version)
        entry = self._cache.fresh(key)
        if entry is None:
            entry = await self._cache.filled(key, lambda: self._opened(record))
        return entry.work

    def ready(self, record: KeyRecord) -> KeyWork | None:
        """Return the current version if it is in memory and fresh; what is not there is no miss, for ``open`` is asked next."""
        entry = self._cache.ready((record.key_id, record.current_version))
        return None if entry is None else entry.work

    async def seal(self, place: MaterialPlace, material: Material) -> bytes:
        """Return the blob to be stored of a version; the secret in ``material`` is overwritten. Raises HsmError."""
        try:
            secret = material.secret.reveal()
            return await self._ciphers.seal(Purpose.KEY_MATERIAL, place.domain_id, secret, place.binding)
        finally:
            material.secret.zeroize()

    def sweep(self) -> None:
        """Drop what has ended."""
        self._cache.sweep()

    async def _opened(self, record: KeyRecord) -> CachedWork:
        public_keys: list[bytes] = []

        def read() -> bytes:
            version = self._store.get_key_version(record.key_id, record.current_version)
            if version is None:
                read_key(self._store, record.key_id)  # it may have been destroyed since it was looked at
                raise MissingRecordError(
                    f"version {record.current_version} of key {record.key_id} is not in the database"
                )
            if not version.wrapped:  # what was imported may have been deleted since the key was looked at
                raise PendingImportError(record.key_id)
            public_keys.append(version.public_key)
            return version.wrapped

        place = MaterialPlace(
            record.domain_id, record.key_id, record.current_version, record.spec, record.usage
        )
        opened = await self._ciphers.open(read, place.binding)
        work = software_work(record.spec, opened.plaintext, self._slow)
        if work.public_key != public_keys[-1]:
            raise HsmIntegrityError(
                f"the stored public half of key {record.key_id} is not that of its secret half"
            )
        return CachedWork(work, opened.fresh_until)
