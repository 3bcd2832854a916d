"""``Keyring``: keys, versions, states and aliases, and envelope encryption with them."""

from collections.abc import Mapping

from strongroom.core import Clock, Deadline, HsmUse, KeyOrigin, KeyState, Secret, StorageError
from strongroom.envelope import Xaes256Gcm
from strongroom.keyring._aliases import Aliases
from strongroom.keyring._batches import Batches
from strongroom.keyring._ciphers import CacheLimits, KekCiphers
from strongroom.keyring._creation import DomainMaking, KeyCreation, KeyKind
from strongroom.keyring._cryptoperiods import Cryptoperiods
from strongroom.keyring._data_key_pairs import DataKeyPairs
from strongroom.keyring._direct import DirectKeys
from strongroom.keyring._domain_resealing import DomainResealing
from strongroom.keyring._domain_rotation import DomainRotations
from strongroom.keyring._domains import Domains
from strongroom.keyring._either import EitherUses
from strongroom.keyring._envelope_works import EnvelopeWorks
from strongroom.keyring._errors import KeyringError
from strongroom.keyring._hsm_access import HsmAccess
from strongroom.keyring._imports import KeyImports
from strongroom.keyring._key_state import key_info, require_active
from strongroom.keyring._key_stores import KeyStores
from strongroom.keyring._key_work import KeyWorks
from strongroom.keyring._last_uses import LastUses
from strongroom.keyring._lifecycle import KeyLifecycle
from strongroom.keyring._random import mixed_random
from strongroom.keyring._ready_keys import ReadyKeys
from strongroom.keyring._ready_uses import ReadyUses
from strongroom.keyring._records import HeldKey, KeyRecords
from strongroom.keyring._rotation import KeyRotations
from strongroom.keyring._single_batches import SingleBatches
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._symmetric import SymmetricKeys, parsed_data, seal_under
from strongroom.keyring._tags import Tags
from strongroom.keyring._uses import KeyUses
from strongroom.keyring._values import (
    AliasInfo,
    AliasPage,
    KeyById,
    KeyInfo,
    KeyPage,
    KeyRef,
    ReEncrypted,
)
from strongroom.keyring._version_samples import VersionSamples
from strongroom.keyring._versions_retired import VersionRetirement
from strongroom.storage import Store

_SIGNING_THREADS = 2
_MAX_SIGNING = 1_024
_MAX_GENERATING = 64


class Keyring(SymmetricKeys):
    """The keys of one service, over a store and an HSM cluster; belongs to one event loop.

    A key that any process suspended is refused by the next request of every process (``KeyRecords``).
    """

    def __init__(
        self,
        store: Store,
        hsm: HsmUse,
        *,
        clock: Clock,
        limits: CacheLimits,
        request_s: float,
        access: HsmAccess | None = None,
    ) -> None:
        """Without ``access`` there are no custom key stores."""
        self.key_stores = KeyStores(store, access, clock=clock)
        records = KeyRecords(store, max_names=limits.max_keks, clock=clock)
        ciphers = KekCiphers(store, hsm, clock=clock, limits=limits, request_s=request_s)
        direct = DirectKeys(store, self.key_stores, access, clock=clock, request_s=request_s)
        self.rotations = KeyRotations(store, ciphers, direct, clock=clock)
        self.cryptoperiods = Cryptoperiods(store, records, self.rotations.rotate_due, clock=clock)
        super().__init__(store, records, ciphers, direct, self.cryptoperiods, samples=VersionSamples(clock))
        self.lifecycle = KeyLifecycle(store, clock=clock, destroy_direct=self.direct.destroy_due)
        self.retirement = VersionRetirement(store, clock=clock)
        self.aliases = Aliases(store, clock=clock)
        self.last_uses = LastUses(store, self.samples, clock=clock)
        self.tags = Tags(store)
        self._store = store
        self._hsm = hsm
        self._clock = clock
        self._request_s = request_s
        self.ready = ReadyKeys(self._records, self.ciphers, self.cryptoperiods, self.samples)
        self._slow = SlowWork("signing", threads=_SIGNING_THREADS, max_under_way=_MAX_SIGNING)
        self._slowest = SlowWork("key-generation", threads=1, max_under_way=_MAX_GENERATING)
        self.envelope = EnvelopeWorks(store, self.ciphers, limits, self._slow, clock=clock)
        self.imports = KeyImports(store, self.ciphers, self._slowest, clock=clock)
        making = DomainMaking(store, self.ciphers)
        resealing = DomainResealing(store, self.ciphers)
        self.domains = Domains(store, making, resealing, clock=clock)
        self.domain_rotations = DomainRotations(store, self.ciphers, resealing, clock=clock)
        self._creation = KeyCreation(
            store, self.ciphers, self.envelope, self._slowest, self.direct, making=making, clock=clock
        )
        works: dict[KeyOrigin, KeyWorks] = {
            KeyOrigin.AWS_KMS: self.envelope,
            KeyOrigin.EXTERNAL: self.envelope,
            KeyOrigin.AWS_CLOUDHSM: self.direct,
        }
        self.ready_uses = ReadyUses(self._records, self.envelope, self.cryptoperiods)
        self.uses = KeyUses(self._records, works, self._slow, self.cryptoperiods)
        self.either = EitherUses(self, self.uses, self._records)
        self.data_key_pairs = DataKeyPairs(self, self._slowest)
        singly = SingleBatches(self._records, self, self.uses, self.ready_uses)
        self.batches = Batches(
            store, self._records, self.ciphers, self.cryptoperiods, self.samples, singly=singly
        )

    @property
    def records(self) -> KeyRecords:
        """How keys are found, for whoever must know a key before it is used."""
        return self._records

    def describe(self, key: KeyRef) -> KeyInfo:
        """Tell about a key. Raises KeyNotFoundError, AliasNotFoundError."""
        return self.key_stores.completed(key_info(self._records.find(key).record))

    def list_keys(self, *, limit: int, after: str | None) -> KeyPage:
        """Return a page of keys in the order of their ids."""
        found = self._store.list_keys(after=after, limit=limit + 1)
        page = found[:limit]
        return KeyPage(tuple(map(key_info, page)), page[-1].key_id if len(found) > limit else None)

    def list_aliases(self, *, key_id: str | None, limit: int, after: str | None) -> AliasPage:
        """Return a page of aliases in the order of their names. Raises KeyNotFoundError."""
        return self.aliases.page(key_id=key_id, limit=limit, after=after)

    async def create_key(
        self, description: str, tags: Mapping[str, str] | None = None, kind: KeyKind | None = None
    ) -> KeyInfo:
        """Create a key; a symmetric one unless ``kind`` says otherwise. Durable when this returns.

        Raises TagLimitError, TooBusyError, HsmError.
        """
        made = await self._creation.create(description, tags or {}, kind or KeyKind())
        return self.key_stores.completed(made)

    async def create_alias(self, alias_name: str, target_key_id: str) -> AliasInfo:
        """Give a key another name. Raises AliasExistsError, KeyNotFoundError."""
        return await self.aliases.create(alias_name, target_key_id)

    async def set_state(self, key_id: str, state: KeyState) -> None:
        """Make a key active or suspended, for every process from the moment this returns. Raises KeyNotFoundError."""
        await self.lifecycle.set_state(key_id, state)

    async def re_encrypt(
        self,
        ciphertext: bytes,
        *,
        source_key: KeyRef | None,
        source_context: Mapping[str, str],
        key: KeyRef,
        context: Mapping[str, str],
    ) -> ReEncrypted:
        """Decrypt under one key and encrypt under another, or under another context. Raises as both do.

        Nothing is decrypted before both keys are at hand, and the plaintext is overwritten before this returns (the
        copies that Python made of it are out of reach).
        """
        key = self._records.pinned(key)
        if source_key is not None:
            source_key = self._records.pinned(source_key)
        if self._records.find(key).record.origin is KeyOrigin.AWS_CLOUDHSM:
            return await self.either.re_encrypt(
                ciphertext,
                source_key=source_key,
                source_algorithm=None,
                source_context=source_context,
                key=key,
                algorithm=None,
                context=context,
            )
        held, cipher = await self._usable(key)
        opened = await self.decrypt(ciphertext, source_context, key=source_key)
        try:
            record = self._records.find(KeyById(held.record.key_id)).record
            require_active(record, record.material_id)  # it may have been suspended meanwhile
            made = seal_under(cipher, held, opened.plaintext.reveal(), context)
            self.samples.issued(record.key_id, record.material_id, made)
            self.moved(ciphertext, opened)
        finally:
            opened.plaintext.zeroize()
        return ReEncrypted(
            opened.key_id, opened.material_id, held.record.key_id, held.record.material_id, made
        )

    async def generate_random(self, n_bytes: int, store_id: str | None = None) -> Secret:
        """Return 1 to 1,024 random bytes that the HSM has a part in. Raises HsmError.

        Of the cluster of a custom key store, if one is named: KeyStoreNotFoundError, KeyStoreStateError.
        """
        if store_id is not None:
            self.key_stores.require_connected(store_id)
        return await mixed_random(self._hsm, n_bytes, deadline=Deadline.after(self._clock, self._request_s))

    def identify(self, key: KeyRef | None, ciphertext: bytes | None = None) -> str | None:
        """Return the id of the key that a call is about, by its name or else by its ciphertext; None if it has none.

        For the record of a call that ended without saying so itself. Raises nothing.
        """
        try:
            if key is not None:
                return self._records.find(key).record.key_id
            if ciphertext is not None:
                return self._of_blob(parsed_data(ciphertext).wrapping_key_id, named=None).record.key_id
        except (KeyringError, StorageError):
            pass
        return None

    def sweep(self) -> None:
        """Drop KEKs and opened keys whose life has ended; to be called about once a second."""
        self.ciphers.sweep()
        self.envelope.sweep()

    def close(self) -> None:
        """End the threads for slow work, after what has begun."""
        self._slow.close()
        self._slowest.close()

    async def _usable(self, key: KeyRef) -> tuple[HeldKey, Xaes256Gcm]:
        """Return an active key and the cipher of its current version. Raises as ``encrypt``."""
        held = await self._protecting(key)
        record = held.record
        cipher = self.ciphers.cached_kek(record, record.current_version)
        if cipher is None:
            cipher = await self._unwrapped(record, record.current_version, record.material_id)
        return held, cipher
