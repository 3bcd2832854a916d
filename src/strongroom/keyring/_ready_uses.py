"""Signing with keys that are in memory and fast: plain functions that never wait and ask no HSM."""

from typing import Final

from strongroom.core import KeyUsage, SigningAlgorithm
from strongroom.keyring._cryptoperiods import Cryptoperiods
from strongroom.keyring._envelope_works import EnvelopeWorks
from strongroom.keyring._errors import UnfitRequestError
from strongroom.keyring._key_state import require_active
from strongroom.keyring._records import KeyRecords
from strongroom.keyring._signing import to_sign
from strongroom.keyring._software_work import SignsAtOnce
from strongroom.keyring._use_values import MessageType, Signed
from strongroom.keyring._values import KeyRef

_SIGNS: Final = KeyUsage.SIGN_VERIFY


class ReadyUses:
    """Does what ``KeyUses.sign`` does, where that takes no thread and nothing has to be fetched for it: P-256 and Ed25519.

    Returns None where it cannot, or must not: whoever gets that asks ``KeyUses``, which waits, or words the refusal.
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
        record = self._records.find(key).record
        require_active(record, record.material_id)
        if record.usage is not _SIGNS or algorithm not in record.spec.signing_algorithms:
            return None
        work: object = self._envelope.ready(record)
        if not isinstance(work, SignsAtOnce):
            return None
        try:
            what = to_sign(algorithm, message, kind)
        except UnfitRequestError:
            return None
        lease = self._periods.lease(record)
        if lease is not None and not lease.take():
            return None
        return Signed(record.key_id, record.material_id, work.sign_now(what.signed))
