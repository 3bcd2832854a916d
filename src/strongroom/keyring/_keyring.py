"""``Keyring``: keys, versions, states and aliases, and envelope encryption with them."""

import asyncio
import uuid
from collections.abc import Mapping
from functools import partial

from strongroom.core import Clock, HsmUse, KeyState, RootId, Secret, StorageError, random_bytes
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
from strongroom.keyring._ciphers import CacheLimits, KekCiphers
from strongroom.keyring._errors import (
    AliasExistsError,
    AliasNotFoundError,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyNotFoundError,
    KeyStateError,
)
from strongroom.keyring._values import (
    AliasInfo,
    AliasPage,
    DataKey,
    Decrypted,
    Encrypted,
    KeyById,
    KeyInfo,
    KeyPage,
    KeyRef,
)
from strongroom.storage import AliasRecord, DuplicateError, KeyRecord, KeyVersionRecord, Store, Transaction

MAX_KEYS_IN_DOMAIN = 1_000
_SHARD = "shard"
_CREATE_TRIES = 5


class Keyring:
    """The keys of one service, over a store and an HSM cluster; belongs to one event loop.

    Key records are cached only while the database's generation stands still, so a key that any process
    suspended is refused by the next request of every process.
    """

    def __init__(
        self, store: Store, hsm: HsmUse, *, clock: Clock, limits: CacheLimits, request_s: float
    ) -> None:
        self.ciphers = KekCiphers(store, hsm, clock=clock, limits=limits, request_s=request_s)
        self._store = store
        self._clock = clock
        self._max_records = limits.max_keks
        self._records: dict[KeyRef, KeyRecord] = {}
        self._generation = store.generation()
        self._domain_choice = asyncio.Lock()

    def describe(self, key: KeyRef) -> KeyInfo:
        """Tell about a key. Raises KeyNotFoundError, AliasNotFoundError."""
        return _info(self._resolve(key))

    def list_keys(self, *, limit: int, after: str | None) -> KeyPage:
        """Return a page of keys in the order of their ids."""
        found = self._store.list_keys(after=after, limit=limit + 1)
        page = found[:limit]
        return KeyPage(tuple(map(_info, page)), page[-1].key_id if len(found) > limit else None)

    def list_aliases(self, *, key_id: str | None, limit: int, after: str | None) -> AliasPage:
        """Return a page of aliases in the order of their names. Raises KeyNotFoundError."""
        if key_id is not None:
            self._resolve(KeyById(key_id))
        found = self._store.list_aliases(key_id=key_id, after=after, limit=limit + 1)
        page = found[:limit]
        return AliasPage(
            tuple(AliasInfo(*alias) for alias in page), page[-1].name if len(found) > limit else None
        )

    async def create_key(self, description: str) -> KeyInfo:
        """Create an Envelope key: a random KEK under a domain KEK. Durable when this returns."""
        for _ in range(_CREATE_TRIES):
            domain_id = await self._open_domain()
            key_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
            wrapped = await self.ciphers.new_kek(domain_id, key_id, 1)
            now = self._clock.now()
            material_id = random_bytes(32).hex()
            record = KeyRecord(key_id, KeyState.ACTIVE, description, now, domain_id, 1, material_id)
            version = KeyVersionRecord(key_id, 1, material_id, wrapped, now)
            if await self._store.write(partial(_insert_key, record=record, version=version)):
                return _info(record)
        raise StorageError("other requests kept filling every domain before this key could be stored")

    async def create_alias(self, alias_name: str, target_key_id: str) -> AliasInfo:
        """Give a key another name. Raises AliasExistsError, KeyNotFoundError."""
        self._resolve(KeyById(target_key_id))
        now = self._clock.now()
        record = AliasRecord(alias_name, target_key_id, now, now)
        try:
            await self._store.write(lambda tx: tx.insert_alias(record))
        except DuplicateError:
            raise AliasExistsError(alias_name) from None
        return AliasInfo(*record)

    async def set_state(self, key_id: str, state: KeyState) -> None:
        """Make a key active or suspended, for every process from the moment this returns. Raises KeyNotFoundError."""
        if self._resolve(KeyById(key_id)).state is not state:
            await self._store.write(lambda tx: tx.set_key_state(key_id, state))

    async def encrypt(self, key: KeyRef, plaintext: Secret, context: Mapping[str, str]) -> Encrypted:
        """Encrypt under the current version. Raises KeyStateError, KeyNotFoundError, AliasNotFoundError, HsmError."""
        record, cipher = await self._usable(key)
        return Encrypted(record.key_id, _seal(cipher, record, plaintext.reveal(), context))

    async def generate_data_key(self, key: KeyRef, n_bytes: int, context: Mapping[str, str]) -> DataKey:
        """Make a data key of ``n_bytes`` and encrypt it. Raises as ``encrypt``."""
        record, cipher = await self._usable(key)
        plaintext = random_bytes(n_bytes)
        ciphertext = _seal(cipher, record, plaintext, context)
        return DataKey(record.key_id, record.material_id, Secret(plaintext), ciphertext)

    async def decrypt(
        self, ciphertext: bytes, context: Mapping[str, str], *, key: KeyRef | None
    ) -> Decrypted:
        """Decrypt what ``encrypt`` or ``generate_data_key`` made.

        Raises InvalidCiphertextError when it is not ours or does not authenticate with this context,
        IncorrectKeyError when ``key`` is another key, KeyStateError, KeyNotFoundError, HsmError.
        """
        try:
            blob = Blob.parse(ciphertext)
        except MalformedBlobError:
            raise InvalidCiphertextError from None
        if blob.purpose is not Purpose.DATA:
            raise InvalidCiphertextError
        named = KeyById(str(uuid.UUID(bytes=blob.wrapping_key_id)))
        if key is not None and self._resolve(key).key_id != named.key_id:
            raise IncorrectKeyError
        material_id = self._material_of(named, blob.wrapping_key_version)
        _, cipher = await self._usable(named, version=blob.wrapping_key_version)
        try:
            plaintext = open_blob(cipher, blob, data_binding(context))
        except EnvelopeIntegrityError:
            raise InvalidCiphertextError from None
        return Decrypted(named.key_id, material_id, Secret(plaintext))

    def sweep(self) -> None:
        """Drop KEKs whose life has ended; to be called about once a second."""
        self.ciphers.sweep()

    async def _usable(self, key: KeyRef, *, version: int | None = None) -> tuple[KeyRecord, Xaes256Gcm]:
        """Return an active key and the cipher of a version, the current one unless named."""
        record = self._active(key)
        wanted = record.current_version if version is None else version
        cipher = self.ciphers.cached_kek(record, wanted)
        if cipher is None:
            cipher = await self.ciphers.kek(record, wanted)
            self._active(KeyById(record.key_id))  # it may have been suspended while the HSM worked
        return record, cipher

    def _active(self, key: KeyRef) -> KeyRecord:
        record = self._resolve(key)
        if record.state is not KeyState.ACTIVE:
            raise KeyStateError(record.key_id, record.state)
        return record

    def _resolve(self, key: KeyRef) -> KeyRecord:
        generation = self._store.generation()
        if generation != self._generation or len(self._records) >= self._max_records:
            self._records.clear()
            self._generation = generation
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = self._look_up(key)
        return record

    def _look_up(self, key: KeyRef) -> KeyRecord:
        if isinstance(key, KeyById):
            key_id = key.key_id
        else:
            alias = self._store.get_alias(key.alias_name)
            if alias is None:
                raise AliasNotFoundError(key.alias_name)
            key_id = alias.key_id
        record = self._store.get_key(key_id)
        if record is None:
            raise KeyNotFoundError(key_id)
        return record

    def _material_of(self, key: KeyById, version: int) -> str:
        """Return the material id of a version; a ciphertext of a key or version that we do not have is not ours."""
        try:
            record = self._resolve(key)
        except KeyNotFoundError:
            raise InvalidCiphertextError from None
        if version == record.current_version:
            return record.material_id
        stored = self._store.get_key_version(record.key_id, version)
        if stored is None:
            raise InvalidCiphertextError
        return stored.material_id

    async def _open_domain(self) -> str:
        """Return a domain with room for a key, making one when there is none."""
        async with self._domain_choice:
            domain = self._store.find_open_domain(_SHARD, MAX_KEYS_IN_DOMAIN)
            if domain is None:
                root_id = RootId(self._store.list_roots()[-1].root_id)
                domain = await self.ciphers.new_domain(root_id, _SHARD)
                record = domain
                await self._store.write(lambda tx: tx.insert_domain(record))
            return domain.domain_id


def _insert_key(tx: Transaction, record: KeyRecord, version: KeyVersionRecord) -> bool:
    """Store a key and count it in its domain; False when the domain has become full meanwhile."""
    domain = tx.get_domain(record.domain_id)
    if domain is None or domain.key_count >= MAX_KEYS_IN_DOMAIN:
        return False
    tx.count_key_in_domain(record.domain_id)
    tx.insert_key(record)
    tx.insert_key_version(version)
    return True


def _seal(cipher: Xaes256Gcm, record: KeyRecord, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    key_id = uuid.UUID(record.key_id).bytes
    return seal_blob(cipher, Purpose.DATA, key_id, record.current_version, plaintext, data_binding(context))


def _info(record: KeyRecord) -> KeyInfo:
    return KeyInfo(record.key_id, record.state, record.description, record.created_at, record.material_id)
