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
from strongroom.keyring._ciphers import KekCiphers, is_under_domain_of
from strongroom.keyring._direct import DirectKeys, require_claimable
from strongroom.keyring._domain_errors import (
    DomainFullError,
    DomainNameInUseError,
    DomainNotFoundError,
    NotInDomainError,
)
from strongroom.keyring._envelope_works import EnvelopeWorks, MaterialPlace
from strongroom.keyring._errors import MissingRecordError
from strongroom.keyring._key_state import key_info
from strongroom.keyring._material import generate_material
from strongroom.keyring._shared_work import SharedWork
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._tags import put_tags
from strongroom.keyring._values import KeyInfo
from strongroom.keyring._versions import awaiting_import
from strongroom.storage import (
    DomainRecord,
    DuplicateError,
    KeyPolicyRecord,
    KeyRecord,
    KeyVersionRecord,
    RootNotInUseError,
    Store,
    Transaction,
)

MAX_KEYS_IN_DOMAIN = 1_000
DEDICATED = "dedicated"
"""Kind of the domains whose keys are put there: by its name, or the one key that such a domain without a name is for."""
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
    domain: str = ""
    """The name of the domain that it is put into, ``dedicated`` for one of its own; empty for any with room."""
    approval: str = ""
    """The id of the request by which officers approved that it is made inside HSMs; empty where none is needed."""


class StoredMaterial(NamedTuple):
    """What the database keeps of a version's material."""

    wrapped: bytes
    public_key: bytes
    hsm_key_id: bytes = b""
    """The Direct key that the version is; empty for an Envelope key."""


def max_keys_of(domain: DomainRecord) -> int:
    """Return how many keys a domain may have: 1, where it is that key's own."""
    return 1 if domain.kind == DEDICATED and domain.name is None else MAX_KEYS_IN_DOMAIN


class DomainMaking:
    """Makes domains, each with a KEK that the current root wraps."""

    def __init__(self, store: Store, ciphers: KekCiphers) -> None:
        self._store = store
        self._ciphers = ciphers

    async def draft(self, kind: str) -> DomainRecord:
        """Return the record of a new domain, which nobody knows before the caller stores it. Raises HsmError."""
        return await self._ciphers.new_domain(RootId(self._store.get_current_root().root_id), kind)

    async def make(self, kind: str, name: str | None = None) -> DomainRecord:
        """Make a domain. Raises DomainNameInUseError, HsmError."""
        for _ in range(_CREATE_TRIES):
            domain = (await self.draft(kind))._replace(name=name)
            try:
                await self._store.write(partial(Transaction.insert_domain, record=domain))
            except DuplicateError:
                raise DomainNameInUseError(name or domain.domain_id) from None
            except RootNotInUseError:  # it was rotated and destroyed since this was wrapped
                continue
            return domain
        raise StorageError("the root was rotated again and again before a domain could be stored")


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
        making: DomainMaking,
        clock: Clock,
    ) -> None:
        self._making = making
        self._store = store
        self._ciphers = ciphers
        self._envelope = envelope
        self._slow = slow
        self._direct = direct
        self._clock = clock
        self._new_domains: SharedWork[str, str] = SharedWork(clock)

    async def create(self, description: str, tags: Mapping[str, str], kind: KeyKind) -> KeyInfo:
        """Make a key. Durable when this returns. Raises TagLimitError, TooBusyError, HsmError.

        Into a domain, with ``kind.domain``: DomainNotFoundError, DomainFullError. Inside HSMs, with ``kind.store_id``; that raises KeyStoreNotFoundError, KeyStoreStateError and KeyRefusedByHsmsError too.
        """
        if kind.usage not in kind.spec.usages:
            raise ValueError(f"a key of {kind.spec} cannot be for {kind.usage}")
        if kind.domain and kind.store_id:
            raise NotInDomainError("-")
        if kind.domain == DEDICATED:
            return await self._create_dedicated(description, tags, kind)
        for _ in range(_CREATE_TRIES):
            made = await self._create_in(await self._domain_for(kind), description, tags, kind)
            if made is not None:
                return made
        raise StorageError("other requests kept filling every domain before this key could be stored")

    async def _create_dedicated(self, description: str, tags: Mapping[str, str], kind: KeyKind) -> KeyInfo:
        domain = await self._making.make(DEDICATED)
        try:
            made = await self._create_in(domain.domain_id, description, tags, kind)
        except BaseException:  # what is left behind by a crash here, DomainRotations removes
            await self._store.write(lambda tx: tx.remove_domain(domain.domain_id))
            raise
        if made is None:
            raise StorageError("the domain of the new key went before the key could be stored")
        return made

    async def _create_in(
        self, domain_id: str, description: str, tags: Mapping[str, str], kind: KeyKind
    ) -> KeyInfo | None:
        """Make a key in a domain; None when that has no room any more, or has gone."""
        key_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
        place = MaterialPlace(domain_id, key_id, 1, kind.spec, kind.usage)
        is_empty = kind.origin is KeyOrigin.EXTERNAL
        try:
            stored = StoredMaterial(b"", b"") if is_empty else await self._made(place, kind)
        except MissingRecordError:
            if self._store.get_domain(domain_id) is None:
                return None
            raise
        now = self._clock.now()
        material_id = random_bytes(32).hex()
        record = KeyRecord(key_id, KeyState.ACTIVE, description, now, domain_id, 1, material_id)
        record = record._replace(spec=kind.spec, usage=kind.usage, origin=kind.origin, store_id=kind.store_id)
        version = KeyVersionRecord(key_id, 1, material_id, stored.wrapped, now, *stored[1:])
        if is_empty:
            record, version = awaiting_import(record, version)
        insert = partial(_insert_key, record=record, version=version, tags=tags, policy=kind.policy)
        return key_info(record) if await self._store.write(insert) else None

    async def _inside(self, place: MaterialPlace, kind: KeyKind) -> StoredMaterial:
        hsm_key_id, public_key = await self._direct.make_version(
            kind.store_id, place.key_id, place.version, place.spec, place.usage, approval=kind.approval
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

    async def _domain_for(self, kind: KeyKind) -> str:
        """Return a domain with room for a key: the one that was asked for, or a shard.

        Where no shard has room, all who need one wait for the same attempt. Raises DomainNotFoundError, DomainFullError.
        """
        if kind.domain:
            named = self._store.get_named_domain(kind.domain)
            if named is None:
                raise DomainNotFoundError(kind.domain)
            if named.key_count >= MAX_KEYS_IN_DOMAIN:
                raise DomainFullError(kind.domain, MAX_KEYS_IN_DOMAIN)
            return named.domain_id
        domain = self._store.find_open_domain(_SHARD, MAX_KEYS_IN_DOMAIN)
        if domain is not None:
            return domain.domain_id
        return await self._new_domains.result(_SHARD, self._make_domain)

    async def _make_domain(self) -> str:
        return (await self._making.make(_SHARD)).domain_id


def _insert_key(
    tx: Transaction, record: KeyRecord, version: KeyVersionRecord, tags: Mapping[str, str], policy: str
) -> bool:
    """Store a key and count it in its domain; False when that has become full, or is replaced or gone, meanwhile."""
    domain = tx.get_domain(record.domain_id)
    if domain is None or domain.replaced_by is not None or domain.key_count >= max_keys_of(domain):
        return False
    if version.wrapped and not is_under_domain_of(tx, record, version.wrapped):
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
