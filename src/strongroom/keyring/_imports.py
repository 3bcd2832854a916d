"""``KeyImports``: key material that its owner brings, keeps a copy of, may take back and bring again.

A version is bound to its material for ever: only the same bytes come back into it, so what it encrypted opens and nothing
else is ever taken for it. They are recognised by the material id, an HMAC-SHA-256 of spec and material under a key of
32 random bytes that each imported key has and its domain KEK seals: who reads the database learns nothing to guess by.

The versions of a key: those up to the current one are in use, and the key works while the material of all of them is
there. One more may wait behind it until a rotation on demand makes it the current one; no ciphertext can name it before.
"""

import contextlib
import hashlib
import hmac
import uuid
from functools import partial
from typing import Final

from strongroom.core import Clock, Secret, StorageError, VersionMadeBy, encode_fields, random_bytes
from strongroom.envelope import (
    Blob,
    EnvelopeError,
    MalformedBlobError,
    Purpose,
    import_digest_key_binding,
    import_token_binding,
)
from strongroom.keyring._ciphers import KekCiphers, is_under_domain_of
from strongroom.keyring._envelope_works import MaterialPlace
from strongroom.keyring._errors import (
    ImportTokenError,
    ImportTokenExpiredError,
    IncorrectKeyMaterialError,
    MissingRecordError,
    UnfitMaterialError,
    UnfitRequestError,
)
from strongroom.keyring._import_wrapping import (
    TOKEN_LIFE_S,
    WrappingAlgorithm,
    WrappingKey,
    make_wrapping_key,
    require_wrappable,
)
from strongroom.keyring._import_writes import (
    BroughtMaterial,
    ImportedMaterial,
    ImportParameters,
    delete_material,
    expire_material,
    keep_first_digest_key,
    require_external,
    store_material,
)
from strongroom.keyring._key_state import read_changeable_key
from strongroom.keyring._material import Material, material_of_import
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._versions import NO_MATERIAL, all_versions
from strongroom.storage import KeyRecord, KeyVersionRecord, Store

MAX_IMPORT_DAYS: Final = 365
_DIGEST_KEY_BYTES: Final = 32
_DAY_S: Final = 86_400.0
_TRIES: Final = 5


class KeyImports:
    """Takes key material in, and lets go of it. Each call is durable, and in force in every process, when it returns.

    All raise KeyNotFoundError, DestructionScheduledError where they say so, ImportUnsupportedError for a key
    whose origin is another, HsmError and StorageError. Belongs to one event loop; RSA is done on the threads of ``slow``.
    """

    def __init__(self, store: Store, ciphers: KekCiphers, slow: SlowWork, *, clock: Clock) -> None:
        self._store = store
        self._ciphers = ciphers
        self._slow = slow
        self._clock = clock

    async def parameters(self, key_id: str, algorithm: WrappingAlgorithm, bits: int) -> ImportParameters:
        """Make a key of ``bits`` (2,048, 3,072, 4,096) to wrap material under, good for 24 hours, and its token.

        Raises WrappingUnsupportedError when the material of such a key cannot be wrapped so, DestructionScheduledError,
        TooBusyError.
        """
        record = require_external(read_changeable_key(self._store, key_id))
        require_wrappable(key_id, record.spec, algorithm, bits)
        with contextlib.suppress(MissingRecordError):  # it is being moved
            await self._ciphers.domain(record.domain_id)  # before a second is spent for nothing
        valid_to = self._clock.now() + TOKEN_LIFE_S
        key = await self._slow.run(partial(make_wrapping_key, algorithm, bits, valid_to=valid_to))
        encoded = key.encode()
        try:
            binding = import_token_binding(uuid.UUID(key_id).bytes)
            record = read_changeable_key(self._store, key_id)  # its domain of now
            token = await self._ciphers.seal_for(
                key_id, record.domain_id, Purpose.IMPORT_TOKEN, encoded.reveal(), binding
            )
        finally:
            encoded.zeroize()
        return ImportParameters(key_id, token, key.public_key, valid_to)

    async def bring(self, key_id: str, brought: BroughtMaterial) -> ImportedMaterial:
        """Take key material in, and make the key active once the material of every version in use is there.

        Raises ImportTokenError, ImportTokenExpiredError, InvalidCiphertextError (it does not unwrap),
        IncorrectKeyMaterialError (it is not what a key of this spec is made of, or not what the version had),
        ImportStateError, DestructionScheduledError, TooBusyError.
        """
        record = require_external(read_changeable_key(self._store, key_id))
        _require_date(brought.expires_at, self._clock.now())
        wrapping = await self._open_token(record, brought.token)
        clear = await self._slow.run(partial(wrapping.unwrap, brought.wrapped))
        try:
            material = await self._slow.run(partial(material_of_import, record.spec, clear))
        except UnfitMaterialError as error:
            raise IncorrectKeyMaterialError(key_id, error.message) from None
        finally:
            clear.zeroize()
        try:
            material_id = _material_id(await self._digest_key(record), record, material)
            for _ in range(_TRIES):
                record = require_external(read_changeable_key(self._store, key_id))
                version = await self._version(record, material_id, material, brought)
                if await self._store.write(partial(store_material, version=version, brought=brought)):
                    return ImportedMaterial(key_id, material_id)
        finally:
            material.secret.zeroize()
        raise StorageError("other requests kept moving this key before its material could be stored")

    async def _version(
        self, record: KeyRecord, material_id: str, material: Material, brought: BroughtMaterial
    ) -> KeyVersionRecord:
        number = self._place_of(record, material_id)
        return KeyVersionRecord(
            record.key_id,
            number,
            material_id,
            await self._seal(record, number, material),
            self._clock.now(),
            material.public_key,
            made_by=VersionMadeBy.IMPORT,
            expires_at=brought.expires_at,
        )

    async def delete(self, key_id: str, material_id: str | None = None) -> ImportedMaterial:
        """Let go of material, the current one unless told: the key waits for it then. No effect where it is gone already.

        Also while the key has a date of destruction. Raises UnknownMaterialError.
        """
        return await self._store.write(partial(delete_material, key_id=key_id, material_id=material_id))

    def list_expired(self, *, limit: int) -> list[str]:
        """Return up to ``limit`` ids of keys that hold material whose date has come."""
        return self._store.list_keys_with_expired_material(self._clock.now(), limit=limit)

    async def expire_due(self, key_id: str) -> tuple[str, ...]:
        """Let go of the material of a key whose date has come, and return its ids."""
        return await self._store.write(partial(expire_material, key_id=key_id, now=self._clock.now()))

    async def _open_token(self, record: KeyRecord, token: bytes) -> WrappingKey:
        try:
            blob = Blob.parse(token)
            if blob.purpose is not Purpose.IMPORT_TOKEN:
                raise ImportTokenError
            if not is_under_domain_of(self._store, record, token):  # the key was moved since
                raise ImportTokenError
            opened = await self._ciphers.open(
                lambda: token, import_token_binding(uuid.UUID(record.key_id).bytes)
            )
        except (EnvelopeError, MalformedBlobError, MissingRecordError):
            raise ImportTokenError from None
        key = await self._slow.run(partial(WrappingKey.decode, opened.plaintext))
        if key.valid_to <= self._clock.now():
            raise ImportTokenExpiredError
        return key

    async def _digest_key(self, record: KeyRecord) -> Secret:
        """Return the key by which material of this key is recognised; the first import makes it."""
        binding = import_digest_key_binding(uuid.UUID(record.key_id).bytes)
        for _ in range(_TRIES):
            if self._store.get_import_digest_key(record.key_id) is not None:
                break
            record = read_changeable_key(self._store, record.key_id)
            fresh = await self._ciphers.seal_for(
                record.key_id,
                record.domain_id,
                Purpose.IMPORT_DIGEST_KEY,
                random_bytes(_DIGEST_KEY_BYTES),
                binding,
            )
            await self._store.write(partial(keep_first_digest_key, key_id=record.key_id, fresh=fresh))

        def read() -> bytes:
            stored = self._store.get_import_digest_key(record.key_id)
            if stored is None:
                raise MissingRecordError(f"nothing recognises the material of the key {record.key_id}")
            return stored

        return Secret((await self._ciphers.open(read, binding)).plaintext)

    def _place_of(self, record: KeyRecord, material_id: str) -> int:
        """Return the number of the version that this material is, or would be."""
        versions = all_versions(self._store, record.key_id)
        for version in versions:
            if version.material_id in {material_id, NO_MATERIAL}:
                return version.version
        return record.current_version + 1

    async def _seal(self, record: KeyRecord, number: int, material: Material) -> bytes:
        if record.spec.is_symmetric:
            return await self._ciphers.seal_kek(
                record.domain_id, record.key_id, number, material.secret.reveal()
            )
        place = MaterialPlace(record.domain_id, record.key_id, number, record.spec, record.usage)
        secret = material.secret.reveal()
        return await self._ciphers.seal_for(
            record.key_id, record.domain_id, Purpose.KEY_MATERIAL, secret, place.binding
        )


def _require_date(expires_at: float | None, now: float) -> None:
    """Require a date of expiry, if any, within the next 365 days. Raises UnfitRequestError."""
    if expires_at is not None and not now < expires_at <= now + MAX_IMPORT_DAYS * _DAY_S:
        raise UnfitRequestError(f"ValidTo must be a date within the next {MAX_IMPORT_DAYS} days.")


def _material_id(digest_key: Secret, record: KeyRecord, material: Material) -> str:
    """Return by what material is recognised; the digest key is overwritten."""
    message = encode_fields(
        "strongroom imported material v1", (record.spec.encode(), material.secret.reveal())
    )
    try:
        return hmac.new(digest_key.reveal(), message, hashlib.sha256).hexdigest()
    finally:
        digest_key.zeroize()
