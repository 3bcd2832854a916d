"""From a key version to a cipher: domain KEK by the HSM, KEK by the domain KEK, both cached.

A key may move to another domain at any moment, in any process. So what is opened is opened under the domain KEK that its blob
names, whatever the key's record said when it was read, and whoever stores what was sealed here asks ``is_under_domain_of``
in the transaction that stores it.
"""

import uuid
from collections.abc import Callable
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
from strongroom.keyring._key_state import read_key
from strongroom.keyring._outage import Outage
from strongroom.keyring._version_errors import VersionRetiredError
from strongroom.storage import DomainRecord, KeyRecord, Reader, ReadOnlyStore

KEK_LEN_BYTES = 32


class Opened(NamedTuple):
    """What a domain KEK opened."""

    plaintext: bytes
    fresh_until: float
    """Monotonic seconds: the end of the domain KEK in memory."""


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
        self, store: ReadOnlyStore, hsm: HsmUse, *, clock: Clock, limits: CacheLimits, request_s: float
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

    def ready_kek(self, key: KeyRecord) -> CachedCipher | None:
        """As ``cached_kek`` for the current version; what is not there is no miss, for whoever asks comes again."""
        return self.keks.ready((key.key_id, key.current_version))

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
        """Return the blob of a KEK (32 bytes) for a key version, as ``seal_for`` does."""
        binding = kek_binding(uuid.UUID(key_id).bytes, version)
        return await self.seal_for(key_id, domain_id, Purpose.KEK, key_bytes, binding)

    async def seal_for(  # in the order of the blob
        self, key_id: str, domain_id: str, purpose: Purpose, plaintext: bytes, binding: bytes
    ) -> bytes:
        """Return a blob that belongs to a key, which was in this domain a moment ago. Raises as ``kek``."""
        while True:
            try:
                return await self.seal(purpose, domain_id, plaintext, binding)
            except MissingRecordError:
                key = self._store.get_key(key_id)
                if key is None or key.domain_id == domain_id:
                    raise
                domain_id = key.domain_id  # it moved, and the domain that it was in was removed

    async def seal(self, purpose: Purpose, domain_id: str, plaintext: bytes, binding: bytes) -> bytes:
        """Return a blob under the KEK of a domain, or of the one that is taking its place. Raises as ``kek``."""
        record = self._store.get_domain(domain_id)
        under = domain_id if record is None or record.replaced_by is None else record.replaced_by
        domain = await self.domain(under)
        return seal_blob(domain.cipher, purpose, uuid.UUID(under).bytes, 1, plaintext, binding)

    async def open(self, read: Callable[[], bytes], binding: bytes) -> Opened:
        """Open the blob that ``read`` returns from the database, under the domain KEK which it names. Raises as ``kek``.

        An HSM may have to be asked, and meanwhile the blob may be exchanged for one under another domain KEK, and the first
        one removed: then it is read again. Raises what ``read`` raises.
        """
        while True:
            generation = self._store.generation()
            sealed = read()
            blob = Blob.parse(sealed)
            try:
                domain = await self.domain(domain_of(sealed))
            except MissingRecordError:
                if read() == sealed:
                    raise
                continue
            if generation == self._store.generation() or read() == sealed:
                return Opened(open_blob(domain.cipher, blob, binding), domain.fresh_until)

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
        def read() -> bytes:
            record = self._store.get_key_version(key.key_id, version)
            if record is None:
                read_key(self._store, key.key_id)  # it may have been destroyed since it was looked at
                raise MissingRecordError(f"version {version} of key {key.key_id} is not in the database")
            if record.retired_at is not None:
                raise VersionRetiredError(key.key_id, version, material_id=record.material_id)
            if not record.wrapped:  # what was imported may have been deleted since the key was looked at
                raise PendingImportError(key.key_id)
            return record.wrapped

        opened = await self.open(read, kek_binding(uuid.UUID(key.key_id).bytes, version))
        return CachedCipher(Xaes256Gcm(opened.plaintext, random=self._nonces.take), opened.fresh_until)

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._request_s)


def domain_of(sealed: bytes) -> str:
    """Return the id of the domain whose KEK a blob names. Raises MalformedBlobError."""
    return str(uuid.UUID(bytes=Blob.parse(sealed).wrapping_key_id))


def is_under_domain_of(reader: Reader, key: KeyRecord, sealed: bytes) -> bool:
    """Whether a blob is under the KEK of the domain that the key is in, or of the one that is taking its place.

    Asked by whoever stores a blob, with the key as it is in that transaction: so nothing comes under a domain KEK that its
    keys have left, which may be removed at any moment.
    """
    under = domain_of(sealed)
    if under == key.domain_id:
        return True
    domain = reader.get_domain(key.domain_id)
    return domain is not None and domain.replaced_by == under
