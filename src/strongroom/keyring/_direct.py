"""``DirectKeys``: keys that are inside the HSMs of a custom key store, and work there.

Each version of such a key is one Direct key (``KeyVersionRecord.hsm_key_id``). Whatever needs its secret half is asked of the
HSMs; the public half is known here, once they said that it is the right one.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from strongroom.core import (
    Clock,
    Deadline,
    HsmDirectUse,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmRequestError,
    KeyUsage,
    ManagedKeySpec,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    WrapAlgorithm,
)
from strongroom.envelope import Blob, Purpose, aad_for, data_binding
from strongroom.keyring._errors import InvalidCiphertextError, MissingRecordError
from strongroom.keyring._hsm_access import HsmAccess
from strongroom.keyring._key_store_errors import (
    ContextTooLongError,
    KeyRefusedByHsmsError,
    KeyUnavailableError,
)
from strongroom.keyring._key_stores import KeyStores, require_connected_in
from strongroom.keyring._lifecycle import Destroyed
from strongroom.keyring._remembered import Remembered
from strongroom.storage import HsmKeyState, KeyRecord, KeyVersionRecord, Store, Transaction

_MAX_AAD_BYTES: Final = 8_192
_MOST_CONFIRMED: Final = 10_000


class DirectWork:
    """A Direct key ready to work (``KeyWork``)."""

    def __init__(
        self, use: HsmDirectUse, key: HsmKey, public_key: bytes, *, clock: Clock, request_s: float
    ) -> None:
        self._use = use
        self._key = key
        self._public_key = public_key
        self._clock = clock
        self._request_s = request_s

    @property
    def public_key(self) -> bytes:
        """The public half, of which an HSM said that it is this key's; empty for a key that has none."""
        return self._public_key

    async def sign(self, algorithm: SigningAlgorithm, signed: bytes, *, is_mu: bool = False) -> bytes:
        """Sign inside an HSM."""
        if is_mu:
            raise HsmRequestError("no Direct key signs the representative of a message")
        return await self._use.sign(self._key, algorithm, signed, deadline=self._deadline())

    async def mac(self, message: bytes) -> bytes:
        """Make a MAC inside an HSM."""
        return await self._use.mac(self._key, message, deadline=self._deadline())

    async def derive(self, peer_spki_der: bytes) -> Secret:
        """Agree on a secret inside an HSM."""
        return await self._use.derive(self._key, peer_spki_der, deadline=self._deadline())

    async def decrypt_oaep(self, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        """Decrypt inside an HSM."""
        try:
            return await self._use.decrypt_oaep(self._key, algorithm, ciphertext, deadline=self._deadline())
        except HsmRequestError as error:  # also what an HSM would not even try: there is one answer
            raise HsmIntegrityError("the ciphertext does not decrypt") from error

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._request_s)


class DirectKeys:
    """The keys of custom key stores: implements ``KeyWorks``, and makes, uses and ends them. Belongs to one event loop.

    Those that use a key raise KeyUnavailableError while its store is not connected, and HsmError.
    """

    def __init__(
        self, store: Store, stores: KeyStores, access: HsmAccess | None, *, clock: Clock, request_s: float
    ) -> None:
        self._store = store
        self._stores = stores
        self._access = access
        self._clock = clock
        self._request_s = request_s
        self._versions: Remembered[tuple[str, int], KeyVersionRecord] = Remembered(store)
        self._confirmed: dict[HsmKeyId, bytes] = {}

    async def make_version(
        self,
        store_id: str,
        key_id: str,
        version: int,
        spec: ManagedKeySpec,
        usage: KeyUsage,
        *,
        approval: str = "",
    ) -> tuple[HsmKeyId, bytes]:
        """Have a Direct key made on every member; returns its id and its public half, if it has one.

        It is destroyed again unless a version that has it is stored soon, which ``require_claimable`` lets pass. Raises
        KeyStoreNotFoundError, KeyStoreStateError, KeyRefusedByHsmsError when no HSM of ours can hold such a key, HsmError.
        """
        access = self._stores.require_connected(store_id)
        if spec.direct is None:
            raise KeyRefusedByHsmsError(f"No HSM that this service knows can hold a key of {spec}.")
        try:
            made = await access.maker.make(key_id, version, spec.direct, usage, approval=approval)
        except HsmIntegrityError:
            raise
        except HsmRequestError as error:
            if type(error) is not HsmRequestError:
                raise
            raise KeyRefusedByHsmsError(f"The HSMs make no such key: {error.message}") from error
        return made.hsm_key_id, made.public_key

    async def open(self, record: KeyRecord) -> DirectWork:
        """Return the current version ready to work."""
        access = self._usable(record, record.material_id)
        version = self.version(record, record.current_version)
        key = _hsm_key(record, version)
        access.require_usable(key.key_id)
        if record.spec.is_pair:
            await self._confirm(access, key, version)
        return DirectWork(access.use, key, version.public_key, clock=self._clock, request_s=self._request_s)

    async def encrypt(self, record: KeyRecord, plaintext: Secret, context: Mapping[str, str]) -> bytes:
        """Encrypt 1 to 4,096 bytes inside an HSM under the current version of a symmetric key; returns the blob.

        Raises ContextTooLongError when the encryption context is too long for HSMs.
        """
        access = self._usable(record, record.material_id)
        key = _hsm_key(record, self.version(record, record.current_version))
        key_id = uuid.UUID(record.key_id).bytes
        aad = aad_for(
            Purpose.DATA, WrapAlgorithm.HSM_AES_GCM, key_id, record.current_version, data_binding(context)
        )
        if len(aad) > _MAX_AAD_BYTES:
            raise ContextTooLongError(record.key_id)
        sealed = await access.use.encrypt(key, plaintext, aad, deadline=self._deadline())
        if sealed.algorithm is not WrapAlgorithm.HSM_AES_GCM:
            raise HsmIntegrityError("the HSM encrypted by another algorithm than AES-GCM")
        algorithm, iv, ciphertext, tag = sealed
        return Blob(Purpose.DATA, algorithm, key_id, record.current_version, iv, ciphertext, tag).encode()

    async def decrypt(
        self, record: KeyRecord, version: KeyVersionRecord, blob: Blob, context: Mapping[str, str]
    ) -> Secret:
        """Decrypt inside an HSM what ``encrypt`` made under this version. Raises InvalidCiphertextError."""
        access = self._usable(record, version.material_id)
        wrong = InvalidCiphertextError(key_id=record.key_id, material_id=version.material_id)
        aad = blob.header + data_binding(context)
        if blob.algorithm is not WrapAlgorithm.HSM_AES_GCM or len(aad) > _MAX_AAD_BYTES:
            raise wrong
        key = _hsm_key(record, version)
        try:
            return await access.use.decrypt(key, blob.wrapped, aad, deadline=self._deadline())
        except HsmRequestError:  # whatever an HSM finds wrong with it, it is wrong with the ciphertext
            raise wrong from None

    async def destroy_due(self, key_id: str, approval: str = "") -> Destroyed | None:
        """Destroy a key and its Direct keys on every member, if its date has come; else None. Raises HsmError."""
        if self._access is None:
            return None
        gone = await self._access.maker.destroy(key_id, approval=approval)
        return None if gone is None else Destroyed(key_id, *gone)

    def version(self, record: KeyRecord, number: int) -> KeyVersionRecord:
        """Return a version of a key. Raises MissingRecordError."""
        return self._versions.get((record.key_id, number), lambda: self._read(record.key_id, number))

    def _read(self, key_id: str, number: int) -> KeyVersionRecord:
        version = self._store.get_key_version(key_id, number)
        if version is None:
            raise MissingRecordError(f"version {number} of key {key_id} is not in the database")
        return version

    def _usable(self, record: KeyRecord, material_id: str) -> HsmAccess:
        if self._access is None or not self._stores.is_connected(record.store_id):
            raise KeyUnavailableError(record.key_id, record.store_id, material_id=material_id)
        return self._access

    async def _confirm(self, access: HsmAccess, key: HsmKey, version: KeyVersionRecord) -> None:
        """See once that the public half in the database is the one that the HSMs have. Raises HsmIntegrityError."""
        if key.key_id not in self._confirmed:
            if len(self._confirmed) >= _MOST_CONFIRMED:
                self._confirmed.clear()
            self._confirmed[key.key_id] = await access.use.public_key(key, deadline=self._deadline())
        if self._confirmed[key.key_id] != version.public_key:
            raise HsmIntegrityError(
                f"the stored public half of key {version.key_id} is not the one that the HSMs have"
            )

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._request_s)


def require_claimable(tx: Transaction, record: KeyRecord, version: KeyVersionRecord) -> None:
    """Raise unless a new version of a key may have its Direct key: inside the transaction that stores the version.

    KeyStoreStateError when its store was disconnected meanwhile; MissingRecordError when the Direct key was destroyed, since
    nobody claimed it in time, or is that of another version.
    """
    require_connected_in(tx, record.store_id)
    found = tx.get_hsm_key(HsmKeyId(version.hsm_key_id))
    made_for = f"{version.key_id}/{version.version}"
    if found is None or found.state is not HsmKeyState.ACTIVE or found.made_for != made_for:
        raise MissingRecordError(
            f"there is no Direct key for version {version.version} of key {version.key_id}"
        )


def _hsm_key(record: KeyRecord, version: KeyVersionRecord) -> HsmKey:
    if record.spec.direct is None or not version.hsm_key_id:
        raise MissingRecordError(f"version {version.version} of key {record.key_id} is no Direct key")
    return HsmKey(HsmKeyId(version.hsm_key_id), record.spec.direct, record.usage)
