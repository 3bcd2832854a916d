"""``KeyUses``: signing, verifying, MACs, key agreement and RSA encryption, with keys of every origin."""

import hmac
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from strongroom.core import (
    HsmIntegrityError,
    HsmRequestError,
    KeyOrigin,
    KeyUsage,
    MacAlgorithm,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    VerificationFailedError,
)
from strongroom.hsm.public_keys import MAX_MESSAGE_BYTES, encrypt_oaep, oaep_limit_bytes, point_of_peer
from strongroom.keyring._cryptoperiods import Cryptoperiods
from strongroom.keyring._errors import (
    AlgorithmError,
    DryRunError,
    InvalidCiphertextError,
    InvalidMacError,
    InvalidSignatureError,
    KeyUsageError,
    NoPublicKeyError,
    UnfitRequestError,
)
from strongroom.keyring._key_state import require_active, require_verifying
from strongroom.keyring._key_work import KeyWork, KeyWorks
from strongroom.keyring._records import KeyRecords
from strongroom.keyring._signing import is_slow_to_verify, to_sign, verify
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._use_values import Derived, Maced, MessageType, PublicHalf, Signed, Verified
from strongroom.keyring._values import Decrypted, Encrypted, KeyById, KeyRef
from strongroom.storage import KeyRecord


class _Opened(NamedTuple):
    """A key that may be used now, and what works with it."""

    record: KeyRecord
    work: KeyWork

    @property
    def names(self) -> tuple[str, str]:
        """Key id and material id."""
        return self.record.key_id, self.record.material_id


class KeyUses:
    """The use verbs of all keys but symmetric ones. Belongs to one event loop.

    Each raises KeyNotFoundError, AliasNotFoundError, KeyStateError, KeyUsageError, AlgorithmError, UnfitRequestError,
    TooBusyError, HsmError and, with ``dry_run``, DryRunError in the place of its result, once everything else is checked.
    """

    def __init__(
        self,
        records: KeyRecords,
        works: Mapping[KeyOrigin, KeyWorks],
        slow: SlowWork,
        periods: Cryptoperiods,
    ) -> None:
        """``works`` has every origin that a key of this service can have."""
        self._periods = periods
        self._records = records
        self._works = works
        self._slow = slow

    async def sign(
        self,
        key: KeyRef,
        algorithm: SigningAlgorithm,
        message: bytes,
        kind: MessageType,
        *,
        dry_run: bool = False,
    ) -> Signed:
        """Sign a message of 1 to 4,096 bytes, or its digest or representative."""
        record = self._signing_key(key, algorithm)
        what = to_sign(algorithm, message, kind)
        opened = await self._open_to_protect(record, dry_run=dry_run)
        signature = await opened.work.sign(algorithm, what.signed, is_mu=what.is_mu)
        return Signed(*opened.names, signature)

    async def verify(
        self,
        key: KeyRef,
        algorithm: SigningAlgorithm,
        message: bytes,
        kind: MessageType,
        signature: bytes,
        *,
        dry_run: bool = False,
    ) -> Verified:
        """Verify what ``sign`` made. Raises InvalidSignatureError."""
        record = self._signing_key(key, algorithm)
        what = to_sign(algorithm, message, kind)
        opened = await self._open(record)
        check = partial(verify, record.spec, opened.work.public_key, algorithm, what, signature)
        try:
            if is_slow_to_verify(record.spec):
                await self._slow.run(check)
            else:
                check()
        except VerificationFailedError:
            raise InvalidSignatureError(key_id=record.key_id, material_id=record.material_id) from None
        _stop_dry_run(record, dry_run=dry_run)
        return Verified(*opened.names)

    async def generate_mac(
        self, key: KeyRef, algorithm: MacAlgorithm, message: bytes, *, dry_run: bool = False
    ) -> Maced:
        """Make the HMAC of 1 to 4,096 bytes."""
        opened = await self._open_to_protect(self._mac_key(key, algorithm, message), dry_run=dry_run)
        return Maced(*opened.names, await opened.work.mac(message))

    async def verify_mac(
        self, key: KeyRef, algorithm: MacAlgorithm, message: bytes, mac: bytes, *, dry_run: bool = False
    ) -> Verified:
        """Make the MAC again and compare in constant time. Raises InvalidMacError."""
        opened = await self._open(self._mac_key(key, algorithm, message))
        key_id, material_id = opened.names
        if not hmac.compare_digest(await opened.work.mac(message), mac):
            raise InvalidMacError(key_id=key_id, material_id=material_id)
        _stop_dry_run(opened.record, dry_run=dry_run)
        return Verified(key_id, material_id)

    async def public_key(self, key: KeyRef) -> PublicHalf:
        """Return the public half of a pair. Raises NoPublicKeyError."""
        record = self._verifying(key)
        if not record.spec.is_pair:
            raise NoPublicKeyError(record.key_id, material_id=record.material_id)
        opened = await self._open(record)
        return PublicHalf(*opened.names, opened.work.public_key, record.spec, record.usage)

    async def derive(self, key: KeyRef, peer_spki_der: bytes, *, dry_run: bool = False) -> Derived:
        """Agree on a secret by ECDH with somebody's public key, which must be one of the same curve."""
        record = self._active(key)
        _require_usage(record, KeyUsage.KEY_AGREEMENT)
        if record.spec.direct is None:
            raise AlgorithmError(record.key_id, record.usage, record.spec, "ECDH")
        try:
            point_of_peer(record.spec.direct, peer_spki_der)
        except HsmRequestError:
            raise UnfitRequestError(
                f"The public key is not a SubjectPublicKeyInfo in DER of {record.spec}.",
                key_id=record.key_id,
                material_id=record.material_id,
            ) from None
        opened = await self._open_to_protect(record, dry_run=dry_run)
        return Derived(*opened.names, await opened.work.derive(peer_spki_der), record.origin)

    async def encrypt_oaep(
        self, key: KeyRef, plaintext: Secret, algorithm: OaepAlgorithm, *, dry_run: bool = False
    ) -> Encrypted:
        """Encrypt under the public half: 1 byte to what modulus and hash leave room for."""
        record = self.oaep_key(key, algorithm)
        if record.spec.direct is None:
            raise AlgorithmError(record.key_id, record.usage, record.spec, algorithm)
        limit = oaep_limit_bytes(record.spec.direct, algorithm)
        if not 1 <= len(plaintext) <= limit:
            raise UnfitRequestError(
                f"Algorithm {algorithm} and key spec {record.spec} cannot encrypt data larger than {limit} bytes.",
                key_id=record.key_id,
                material_id=record.material_id,
            )
        opened = await self._open_to_protect(record, dry_run=dry_run)
        ciphertext = encrypt_oaep(record.spec.direct, opened.work.public_key, algorithm, plaintext)
        return Encrypted(*opened.names, ciphertext)

    async def decrypt_oaep(
        self, key: KeyRef, ciphertext: bytes, algorithm: OaepAlgorithm, *, dry_run: bool = False
    ) -> Decrypted:
        """Decrypt what was encrypted under the public half. Raises InvalidCiphertextError, whatever is wrong with it."""
        record = self.oaep_key(key, algorithm)
        opened = await self._open(record)
        key_id, material_id = opened.names
        try:
            plaintext = await opened.work.decrypt_oaep(algorithm, ciphertext)
        except HsmIntegrityError:
            raise InvalidCiphertextError(key_id=key_id, material_id=material_id) from None
        if not len(plaintext):  # nobody could have had it encrypted here, and the API has no empty plaintext
            raise InvalidCiphertextError(key_id=key_id, material_id=material_id)
        if dry_run:
            plaintext.zeroize()
        _stop_dry_run(record, dry_run=dry_run)
        return Decrypted(key_id, material_id, plaintext)

    def oaep_key(self, key: KeyRef, algorithm: OaepAlgorithm) -> KeyRecord:
        """Return a key that decrypts by this algorithm, and encrypts if it is active. Raises as the verbs do."""
        record = self._verifying(key)
        _require_usage(record, KeyUsage.ENCRYPT_DECRYPT)
        if algorithm not in record.spec.oaep_algorithms:
            raise AlgorithmError(
                record.key_id, record.usage, record.spec, algorithm, material_id=record.material_id
            )
        return record

    def _signing_key(self, key: KeyRef, algorithm: SigningAlgorithm) -> KeyRecord:
        record = self._verifying(key)
        _require_usage(record, KeyUsage.SIGN_VERIFY)
        if algorithm not in record.spec.signing_algorithms:
            raise AlgorithmError(
                record.key_id, record.usage, record.spec, algorithm, material_id=record.material_id
            )
        return record

    def _mac_key(self, key: KeyRef, algorithm: MacAlgorithm, message: bytes) -> KeyRecord:
        record = self._verifying(key)
        _require_usage(record, KeyUsage.GENERATE_VERIFY_MAC)
        if algorithm is not record.spec.mac_algorithm:
            raise AlgorithmError(
                record.key_id, record.usage, record.spec, algorithm, material_id=record.material_id
            )
        if not 1 <= len(message) <= MAX_MESSAGE_BYTES:
            raise UnfitRequestError(f"A message has 1 to {MAX_MESSAGE_BYTES} bytes.", key_id=record.key_id)
        return record

    def _active(self, key: KeyRef) -> KeyRecord:
        record = self._records.find(key).record
        require_active(record, record.material_id)
        return record

    def _verifying(self, key: KeyRef) -> KeyRecord:
        record = self._records.find(key).record
        require_verifying(record, record.material_id)
        return record

    async def _open(self, record: KeyRecord) -> _Opened:
        """Return the key ready to verify or decrypt, if it still may then."""
        work = await self._works[record.origin].open(record)
        return _Opened(self._verifying(KeyById(record.key_id)), work)

    async def _open_to_protect(self, record: KeyRecord, *, dry_run: bool) -> _Opened:
        """Return the key ready to work once more, if it is still active then, which counts."""
        work = await self._works[record.origin].open(record)
        record = self._active(KeyById(record.key_id))
        _stop_dry_run(record, dry_run=dry_run)
        if record.is_limited:
            record = (await self._periods.protecting(KeyById(record.key_id))).record
        return _Opened(record, work)


def _require_usage(record: KeyRecord, usage: KeyUsage) -> None:
    if record.usage is not usage:
        raise KeyUsageError(record.key_id, record.usage, material_id=record.material_id)


def _stop_dry_run(record: KeyRecord, *, dry_run: bool) -> None:
    if dry_run:
        raise DryRunError(key_id=record.key_id, material_id=record.material_id)
