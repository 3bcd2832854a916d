"""``KeyCreation``: new keys of every kind, and the domains that they are put into."""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from strongroom.core import (
    Clock,
    KeyOrigin,
    KeyState,
    KeyUsage,
    ManagedKeySpec,
    RootId,
    StorageError,
    random_bytes,
)
from strongroom.keyring._ciphers import KekCiphers
from strongroom.keyring._direct import DirectKeys, require_claimable
from strongroom.keyring._envelope_works import EnvelopeWorks, MaterialPlace
from strongroom.keyring._key_state import key_info
from strongroom.keyring._material import generate_material
from strongroom.keyring._shared_work import SharedWork
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._tags import put_tags
from strongroom.keyring._values import KeyInfo
from strongroom.keyring._versions import awaiting_import
from strongroom.storage import KeyPolicyRecord, KeyRecord, KeyVersionRecord, Store, Transaction

MAX_KEYS_IN_DOMAIN = 1_000
_SHARD = "shard"
_CREATE_TRIES = 5


class KeyKind(NamedTuple):
    """What a new key is to be."""

    spec: ManagedKeySpec = ManagedKeySpec.SYMMETRIC_DEFAULT
    usage: KeyUsage = KeyUsage.ENCRYPT_DECRYPT
    """One of ``spec.usages``."""
    origin: KeyOrigin = KeyOrigin.AWS_KMS
    store_id: str = ""
    """The custom key store of a key inside HSMs, whose origin is AWS_CLOUDHSM; empty for all others."""
    policy: str = ""
    """Its own policy, stored with it; empty for the default one. That it can be kept to was checked before."""


class StoredMaterial(NamedTuple):
    """What the database keeps of a version's material."""

    wrapped: bytes
    public_key: bytes
    hsm_key_id: bytes = b""
    """The Direct key that the version is; empty for an Envelope key."""


class KeyCreation:
    """Makes keys. Belongs to one event loop; slow material is made on the thread of ``slow``."""

    def __init__(
        self,
        store: Store,
        ciphers: KekCiphers,
        envelope: EnvelopeWorks,
        slow: SlowWork,
        direct: DirectKeys,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._ciphers = ciphers
        self._envelope = envelope
        self._slow = slow
        self._direct = direct
        self._clock = clock
        self._new_domains: SharedWork[str, str] = SharedWork(clock)

    async def create(self, description: str, tags: Mapping[str, str], kind: KeyKind) -> KeyInfo:
        """Make a key. Durable when this returns. Raises TagLimitError, TooBusyError, HsmError.

        Inside HSMs, with ``kind.store_id``; that raises KeyStoreNotFoundError, KeyStoreStateError and KeyRefusedByHsmsError too.
        """
        if kind.usage not in kind.spec.usages:
            raise ValueError(f"a key of {kind.spec} cannot be for {kind.usage}")
        for _ in range(_CREATE_TRIES):
            domain_id = await self._open_domain()
            key_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
            place = MaterialPlace(domain_id, key_id, 1, kind.spec, kind.usage)
            is_empty = kind.origin is KeyOrigin.EXTERNAL
            stored = StoredMaterial(b"", b"") if is_empty else await self._made(place, kind)
            now = self._clock.now()
            material_id = random_bytes(32).hex()
            record = KeyRecord(key_id, KeyState.ACTIVE, description, now, domain_id, 1, material_id)
            record = record._replace(
                spec=kind.spec, usage=kind.usage, origin=kind.origin, store_id=kind.store_id
            )
            version = KeyVersionRecord(key_id, 1, material_id, stored.wrapped, now, *stored[1:])
            if is_empty:
                record, version = awaiting_import(record, version)
            insert = partial(_insert_key, record=record, version=version, tags=tags, policy=kind.policy)
            if await self._store.write(insert):
                return key_info(record)
        raise StorageError("other requests kept filling every domain before this key could be stored")

    async def _inside(self, place: MaterialPlace, kind: KeyKind) -> StoredMaterial:
        hsm_key_id, public_key = await self._direct.make_version(
            kind.store_id, place.key_id, place.version, place.spec, place.usage
        )
        return StoredMaterial(b"", public_key, hsm_key_id)

    async def _made(self, place: MaterialPlace, kind: KeyKind) -> StoredMaterial:
        return await (self._inside(place, kind) if kind.store_id else self._material(place))

    async def _material(self, place: MaterialPlace) -> StoredMaterial:
        if place.spec.is_symmetric:
            wrapped = await self._ciphers.new_kek(place.domain_id, place.key_id, place.version)
            return StoredMaterial(wrapped, b"")
        # Whether it can be sealed is known before up to seconds are spent for it.
        await self._ciphers.domain(place.domain_id)
        material = await self._slow.run(partial(generate_material, place.spec))
        return StoredMaterial(await self._envelope.seal(place, material), material.public_key)

    async def _open_domain(self) -> str:
        """Return a domain with room for a key. When there is none, all who need one wait for the same attempt."""
        domain = self._store.find_open_domain(_SHARD, MAX_KEYS_IN_DOMAIN)
        if domain is not None:
            return domain.domain_id
        return await self._new_domains.result(_SHARD, self._make_domain)

    async def _make_domain(self) -> str:
        root_id = RootId(self._store.list_roots()[-1].root_id)
        domain = await self._ciphers.new_domain(root_id, _SHARD)
        await self._store.write(lambda tx: tx.insert_domain(domain))
        return domain.domain_id


def _insert_key(
    tx: Transaction, record: KeyRecord, version: KeyVersionRecord, tags: Mapping[str, str], policy: str
) -> bool:
    """Store a key and count it in its domain; False when the domain has become full meanwhile."""
    domain = tx.get_domain(record.domain_id)
    if domain is None or domain.key_count >= MAX_KEYS_IN_DOMAIN:
        return False
    if record.store_id:
        require_claimable(tx, record, version)
    tx.count_key_in_domain(record.domain_id)
    tx.insert_key(record)
    tx.insert_key_version(version)
    put_tags(tx, record.key_id, tags)
    if policy:
        tx.put_key_policy(KeyPolicyRecord(record.key_id, policy, record.created_at))
    return True
