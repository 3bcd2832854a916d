"""From a key version to a cipher: domain KEK by the HSM, KEK by the domain KEK, both cached."""

import uuid
from typing import NamedTuple

from strongroom.core import (
    Clock,
    Deadline,
    HsmIntegrityError,
    HsmUse,
    RandomPool,
    RootId,
    Secret,
    WrapAlgorithm,
    random_bytes,
)
from strongroom.envelope import (
    Blob,
    Purpose,
    Xaes256Gcm,
    aad_for,
    domain_kek_binding,
    kek_binding,
    open_blob,
    seal_blob,
)
from strongroom.keyring._cache import CachedCipher, CipherCache
from strongroom.keyring._errors import MissingRecordError, PendingImportError
from strongroom.keyring._outage import Outage
from strongroom.storage import DomainRecord, KeyRecord, Reader

KEK_LEN_BYTES = 32


class CacheLimits(NamedTuple):
    """How long and how many unwrapped keys are kept."""

    ttl_s: float
    """0 switches the caches off."""
    max_keks: int
    max_domains: int
    outage_grace_s: float


class KekCiphers:
    """Gives the cipher of a domain or of a key version; belongs to one event loop.

    A KEK's life ends with that of the domain KEK which unwrapped it, so nothing outlives the HSM's absence
    by more than one TTL.
    """

    def __init__(
        self, store: Reader, hsm: HsmUse, *, clock: Clock, limits: CacheLimits, request_s: float
    ) -> None:
        self._store = store
        self._hsm = hsm
        self._clock = clock
        self._ttl_s = limits.ttl_s
        self._request_s = request_s
        self._nonces = RandomPool()  # of this event loop, for all its ciphers
        self._outage = outage = Outage(clock)
        grace_s = limits.outage_grace_s
        self.domains: CipherCache[str, CachedCipher] = CipherCache(
            clock=clock, max_entries=limits.max_domains, outage_grace_s=grace_s, outage=outage
        )
        self.keks: CipherCache[tuple[str, int], CachedCipher] = CipherCache(
            clock=clock, max_entries=limits.max_keks, outage_grace_s=grace_s, outage=outage
        )

    def cached_kek(self, key: KeyRecord, version: int) -> Xaes256Gcm | None:
        """Return the KEK's cipher if it is in memory and fresh."""
        entry = self.keks.fresh((key.key_id, version))
        return None if entry is None else entry.cipher

    def ready_kek(self, key: KeyRecord) -> Xaes256Gcm | None:
        """As ``cached_kek`` for the current version; what is not there is no miss, for whoever asks comes again."""
        entry = self.keks.ready((key.key_id, key.current_version))
        return None if entry is None else entry.cipher

    async def kek(self, key: KeyRecord, version: int) -> Xaes256Gcm:
        """Return the KEK's cipher, unwrapping it when needed.

        Raises NoMemberError when no HSM answers, and HsmIntegrityError or EnvelopeIntegrityError when a stored key does not
        authenticate: the database was tampered with, or belongs to another root.
        """
        entry = await self.keks.filled((key.key_id, version), lambda: self._unwrap_kek(key, version))
        return entry.cipher

    async def domain(self, domain_id: str) -> CachedCipher:
        """Return the cipher of a domain KEK, unwrapping it in the HSM when needed. Raises as ``kek``."""
        return await self.domains.filled(domain_id, lambda: self._unwrap_domain(domain_id))

    async def new_domain(self, root_id: RootId, kind: str) -> DomainRecord:
        """Make a domain: a random KEK, wrapped by the root in the HSM. The caller stores the record."""
        domain_id = uuid.UUID(bytes=random_bytes(16), version=4)
        algorithm = self._algorithm_of(root_id)
        aad = aad_for(Purpose.DOMAIN_KEK, algorithm, root_id, 1, domain_kek_binding(domain_id.bytes))
        key_bytes = Secret(random_bytes(KEK_LEN_BYTES))
        try:
            with self._outage.asking():
                wrapped = await self._hsm.wrap(root_id, key_bytes, aad, deadline=self._deadline())
        finally:
            key_bytes.zeroize()
        if wrapped.algorithm is not algorithm:
            raise HsmIntegrityError("the HSM wrapped by another algorithm than that of its root")
        blob = Blob.of_wrapped(Purpose.DOMAIN_KEK, root_id, wrapped)
        return DomainRecord(str(domain_id), root_id, kind, blob.encode(), 0, self._clock.now())

    async def new_kek(self, domain_id: str, key_id: str, version: int) -> bytes:
        """Make a random KEK for a key version and return it as a blob under its domain KEK."""
        return await self.seal_kek(domain_id, key_id, version, random_bytes(KEK_LEN_BYTES))

    async def seal_kek(self, domain_id: str, key_id: str, version: int, key_bytes: bytes) -> bytes:
        """Return the blob of a KEK (32 bytes) for a key version, under its domain KEK."""
        domain = await self.domain(domain_id)
        binding = kek_binding(uuid.UUID(key_id).bytes, version)
        return seal_blob(
            domain.cipher,
            Purpose.KEK,
            uuid.UUID(domain_id).bytes,
            1,
            key_bytes,
            binding,
        )

    def sweep(self) -> None:
        """Drop what has ended."""
        self.keks.sweep()
        self.domains.sweep()

    @property
    def outage(self) -> Outage:
        """What is known of the HSMs' absence, by asking for domain KEKs."""
        return self._outage

    def _algorithm_of(self, root_id: RootId) -> WrapAlgorithm:
        """Return the one wrap algorithm of everything under a root. Raises MissingRecordError."""
        for root in self._store.list_roots():
            if root.root_id == root_id:
                return WrapAlgorithm(root.wrap_algorithm)
        raise MissingRecordError(f"root {root_id.hex()} is not in the database")

    async def _unwrap_domain(self, domain_id: str) -> CachedCipher:
        record = self._store.get_domain(domain_id)
        if record is None:
            raise MissingRecordError(f"domain {domain_id} is not in the database")
        blob = Blob.parse(record.wrapped)
        binding = domain_kek_binding(uuid.UUID(domain_id).bytes)
        root_id = RootId(blob.wrapping_key_id)
        asked_at = self._clock.monotonic()
        with self._outage.asking():
            key_bytes = await self._hsm.unwrap(
                root_id, blob.wrapped, blob.header + binding, deadline=self._deadline()
            )
        try:
            return CachedCipher(Xaes256Gcm(key_bytes, random=self._nonces.take), asked_at + self._ttl_s)
        finally:
            key_bytes.zeroize()

    async def _unwrap_kek(self, key: KeyRecord, version: int) -> CachedCipher:
        domain = await self.domain(key.domain_id)
        record = self._store.get_key_version(key.key_id, version)
        if record is None:
            raise MissingRecordError(f"version {version} of key {key.key_id} is not in the database")
        if not record.wrapped:  # what was imported may have been deleted since the key was looked at
            raise PendingImportError(key.key_id)
        binding = kek_binding(uuid.UUID(key.key_id).bytes, version)
        return CachedCipher(
            Xaes256Gcm(
                open_blob(domain.cipher, Blob.parse(record.wrapped), binding), random=self._nonces.take
            ),
            domain.fresh_until,
        )

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._request_s)
