"""Signing and MACs with keys that are in memory and fast: plain functions that never wait and ask no HSM."""

from collections.abc import Sequence
from typing import Final

from strongroom.core import KeyUsage, MacAlgorithm, SigningAlgorithm
from strongroom.hsm.public_keys import MAX_MESSAGE_BYTES
from strongroom.keyring._cryptoperiods import Cryptoperiods
from strongroom.keyring._envelope_works import EnvelopeWorks
from strongroom.keyring._errors import UnfitRequestError
from strongroom.keyring._key_state import require_active
from strongroom.keyring._records import KeyRecords
from strongroom.keyring._signing import to_sign
from strongroom.keyring._software_work import MacsAtOnce, SignsAtOnce
from strongroom.keyring._use_values import MessageType, Signed
from strongroom.keyring._values import KeyRef
from strongroom.storage import KeyRecord

_SIGNS: Final = KeyUsage.SIGN_VERIFY


class ReadyUses:
    """Does what ``KeyUses`` does, where that takes no thread and nothing has to be fetched for it: P-256, Ed25519, HMAC.

    Each function returns None where it cannot, or must not: whoever gets that asks ``KeyUses``, which waits, or words the refusal.
    Nothing has happened by then. Belongs to the keyring's event loop.
    """

    def __init__(self, records: KeyRecords, envelope: EnvelopeWorks, periods: Cryptoperiods) -> None:
        self._periods = periods
        self._records = records
        self._envelope = envelope

    def sign(
        self, key: KeyRef, algorithm: SigningAlgorithm, message: bytes, kind: MessageType
    ) -> Signed | None:
        """Sign a message or digest. Raises KeyStateError, KeyNotFoundError, AliasNotFoundError."""
        record = self._active(key)
        work = self._signing(record, algorithm)
        if work is None:
            return None
        try:
            what = to_sign(algorithm, message, kind)
        except UnfitRequestError:
            return None
        if record.is_limited and not self._may_protect(record, 1):
            return None
        return Signed(record.key_id, record.material_id, work.sign_now(what.signed))

    def sign_many(
        self, key: KeyRef, algorithm: SigningAlgorithm, messages: Sequence[bytes], kind: MessageType
    ) -> list[bytes | UnfitRequestError] | None:
        """Sign messages or digests, each with a result of its own; all of them or none. Raises as ``sign``."""
        record = self._active(key)
        work = self._signing(record, algorithm)
        if work is None:
            return None
        signed: list[bytes | UnfitRequestError] = []
        for message in messages:
            try:
                signed.append(to_sign(algorithm, message, kind).signed)
            except UnfitRequestError as error:
                signed.append(error)
        n_fit = sum([type(what) is bytes for what in signed])
        if record.is_limited and not self._may_protect(record, n_fit):
            return None
        sign = work.sign_now
        return [sign(what) if isinstance(what, bytes) else what for what in signed]

    def mac_many(self, key: KeyRef, algorithm: MacAlgorithm, messages: Sequence[bytes]) -> list[bytes] | None:
        """Make the HMAC of each message, of all of them or none. Raises as ``sign``."""
        record = self._active(key)
        if record.usage is not KeyUsage.GENERATE_VERIFY_MAC or algorithm is not record.spec.mac_algorithm:
            return None
        if not all(1 <= len(message) <= MAX_MESSAGE_BYTES for message in messages):
            return None
        work: object = self._envelope.ready(record)
        if not isinstance(work, MacsAtOnce):
            return None
        if record.is_limited and not self._may_protect(record, len(messages)):
            return None
        return [work.mac_now(message) for message in messages]

    def _active(self, key: KeyRef) -> KeyRecord:
        record = self._records.find(key).record
        require_active(record, record.material_id)
        return record

    def _signing(self, record: KeyRecord, algorithm: SigningAlgorithm) -> SignsAtOnce | None:
        if record.usage is not _SIGNS or algorithm not in record.spec.signing_algorithms:
            return None
        work: object = self._envelope.ready(record)
        return work if isinstance(work, SignsAtOnce) else None

    def _may_protect(self, record: KeyRecord, n_uses: int) -> bool:
        """Whether so many uses are at hand; then they count as made."""
        lease = self._periods.lease(record)
        return lease is None or lease.take(n_uses)
