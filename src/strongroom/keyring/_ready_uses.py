"""Signing and MACs with keys that are in memory and fast: plain functions that never wait and ask no HSM."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

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
from strongroom.keyring._values import KeyByAlias, KeyRef
from strongroom.storage import KeyRecord

_SIGNS: Final = KeyUsage.SIGN_VERIFY


class _Ready(NamedTuple):
    """An active key that signs at once."""

    record: KeyRecord
    algorithms: tuple[SigningAlgorithm, ...]
    is_limited: bool
    work: SignsAtOnce


class ReadyUses:
    """Does what ``KeyUses`` does, where that takes no thread and nothing has to be fetched for it: P-256, Ed25519, HMAC.

    Each function returns None where it cannot, or must not: whoever gets that asks ``KeyUses``, which waits, or words the refusal.
    Nothing has happened by then. Belongs to the keyring's event loop. What was found is good for one turn of it, as in
    ``ReadyKeys``.
    """

    def __init__(self, records: KeyRecords, envelope: EnvelopeWorks, periods: Cryptoperiods) -> None:
        self._periods = periods
        self._records = records
        self._envelope = envelope
        self._of_turn: dict[str, _Ready] = {}
        self._epoch = -1
        self._forget_turn = self._of_turn.clear

    def sign(
        self, key: KeyRef, algorithm: SigningAlgorithm, message: bytes, kind: MessageType
    ) -> Signed | None:
        """Sign a message or digest. Raises KeyStateError, KeyNotFoundError, AliasNotFoundError."""
        ready = self._find(key)
        if ready is None or algorithm not in ready.algorithms:
            return None
        try:
            what = to_sign(algorithm, message, kind)
        except UnfitRequestError:
            return None
        record = ready.record
        if ready.is_limited and not self._may_protect(record, 1):
            return None
        return Signed(record.key_id, record.material_id, ready.work.sign_now(what.signed))

    def sign_many(
        self, key: KeyRef, algorithm: SigningAlgorithm, messages: Sequence[bytes], kind: MessageType
    ) -> list[bytes | UnfitRequestError] | None:
        """Sign messages or digests, each with a result of its own; all of them or none. Raises as ``sign``."""
        ready = self._find(key)
        if ready is None or algorithm not in ready.algorithms:
            return None
        signed: list[bytes | UnfitRequestError] = []
        for message in messages:
            try:
                signed.append(to_sign(algorithm, message, kind).signed)
            except UnfitRequestError as error:
                signed.append(error)
        n_fit = sum([type(what) is bytes for what in signed])
        if ready.is_limited and not self._may_protect(ready.record, n_fit):
            return None
        sign = ready.work.sign_now
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

    def _find(self, key: KeyRef) -> _Ready | None:
        # No alias is named like a key id.
        name = key.alias_name if isinstance(key, KeyByAlias) else key.key_id
        epoch = self._records.epoch()
        if epoch != self._epoch:  # the records' turn may end before this one
            self._epoch = epoch
            self._of_turn.clear()
        return self._of_turn.get(name) or self._keep(name, key)

    def _keep(self, name: str, key: KeyRef) -> _Ready | None:
        """Make a key ready that signs at once, if it may and is in memory, for the rest of this turn. Raises KeyStateError."""
        record = self._active(key)
        work: object = self._envelope.ready(record)
        if record.usage is not _SIGNS or not isinstance(work, SignsAtOnce):
            return None
        ready = _Ready(record, record.spec.signing_algorithms, record.is_limited, work)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # without one every look counts for itself
            return ready
        if not self._of_turn:
            loop.call_soon(self._forget_turn)
        self._of_turn[name] = ready
        return ready

    def _may_protect(self, record: KeyRecord, n_uses: int) -> bool:
        """Whether so many uses are at hand; then they count as made."""
        lease = self._periods.lease(record)
        return lease is None or lease.take(n_uses)
