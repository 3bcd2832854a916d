"""``SignatureDesk``: takes the signatures of officers in, and does what they decide at once: changes of custody, and ends.

Each signature is judged by the rules in force, outside the database; that nobody signed and nothing changed meanwhile is seen
inside the transaction that stores it, so of two officers who bring the deciding signature at the same moment one decides,
and the other is told. A change of officers or rules is appended in that same transaction.
"""

from functools import partial
from typing import Final, NamedTuple

from strongroom.core import Clock, StorageError
from strongroom.custody import (
    CUSTODY_VERBS,
    STANDING_VERB,
    Chain,
    ChainError,
    Phase,
    Record,
    StateRefusedError,
    key_of_signature,
    signature_to_base64,
    write_document,
)
from strongroom.service._approval_errors import ApprovalOverError, CustodyBrokenError
from strongroom.service._approval_reading import Opened, find, opened, same_signatures
from strongroom.service._approval_values import ApprovalStanding, Asker
from strongroom.service._approvals import ApprovalDesk
from strongroom.storage import (
    ApprovalSignatureRecord,
    ApprovalState,
    CustodyDocumentRecord,
    SignatureKind,
    Store,
    Transaction,
)

_TRIES: Final = 20
_OVER: Final = {
    ApprovalStanding.EXPIRED: "has expired",
    ApprovalStanding.VOID: "is void: officers or rules have changed since it was made",
    ApprovalStanding.REJECTED: "was rejected already",
    ApprovalStanding.EXECUTED: "was executed already: somebody's signature was the last one that it needed",
    ApprovalStanding.ENDED: "is a standing approval that is over",
}


class Taken(NamedTuple):
    """What a signature did."""

    approval: str
    officer: str
    did: str
    """``counted``; or ``decided``: enough have approved now; or ``changed``: officers or rules are others now; or ``rejected``."""


class _NoNonces:
    """``UsedNonces`` that keeps nothing: the state of the request in the database is what says that it is over."""

    def spend(self, nonce: str, *, until: int) -> None:
        """Do nothing."""


class _Decision(NamedTuple):
    """What is to be stored, if everything is still as it was when this was decided."""

    one: Opened
    row: ApprovalSignatureRecord
    sequence: int
    state: ApprovalState
    """Of the request, from now on."""
    record: bytes = b""
    """The change of officers or rules that comes into force; empty for none."""


class SignatureDesk:
    """Takes approvals and rejections. Belongs to the event loop of its store.

    All raise CustodyNotKeptError, CustodyBrokenError, ApprovalNotFoundError, ApprovalOverError, ApprovalRefusedError (of
    ``custody``, which says which rule refused), StorageError and AuditUnavailableError.
    """

    def __init__(self, store: Store, desk: ApprovalDesk, *, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock

    async def approve(self, approval: str, signature: bytes, asker: Asker) -> Taken:
        """Take an approval in. Enough of them let the act be done; a change of officers or rules is done by the last one.

        Raises StateRefusedError too, when that change may not be after all.
        """
        return await self._take(approval, signature, asker, is_approval=True)

    async def reject(self, approval: str, signature: bytes, asker: Asker) -> Taken:
        """Take a rejection in: it is final, and takes a standing approval back."""
        return await self._take(approval, signature, asker, is_approval=False)

    async def _take(self, approval: str, signature: bytes, asker: Asker, *, is_approval: bool) -> Taken:
        for _ in range(_TRIES):
            chain = self._desk.book.require_chain()
            one = opened(self._store, find(self._store, approval))
            decide = self._approved if is_approval else self._rejected
            decision = decide(chain, one, signature)
            if await self._store.write(partial(_store, decision=decision)):
                return await self._told(chain, decision, asker)
            # Somebody else signed, or officers or rules changed, since we looked.
        raise StorageError("other signatures kept coming before this one could be stored")

    def _approved(self, chain: Chain, one: Opened, signature: bytes) -> _Decision:
        now = self._now()
        self._require_open(chain, one, now, is_approval=True)
        after = one.as_open.approved(chain.state, signature, now=now)
        row = self._row(chain, one, signature, SignatureKind.APPROVAL)
        decision = _Decision(one, row, chain.state.sequence, ApprovalState.OPEN)
        if after.phase(chain.state, now=now) is not Phase.APPROVED:
            return decision
        if one.request.verb == STANDING_VERB:
            return decision._replace(state=ApprovalState.STANDING)
        if one.request.verb in CUSTODY_VERBS:
            record = _record(chain, one, after.approvals, now)
            return decision._replace(state=ApprovalState.EXECUTED, record=record)
        return decision

    def _rejected(self, chain: Chain, one: Opened, signature: bytes) -> _Decision:
        now = self._now()
        self._require_open(chain, one, now, is_approval=False)
        one.as_open.rejected(chain.state, signature, now=now, used=_NoNonces())
        row = self._row(chain, one, signature, SignatureKind.REJECTION)
        return _Decision(one, row, chain.state.sequence, ApprovalState.REJECTED)

    def _require_open(self, chain: Chain, one: Opened, now: int, *, is_approval: bool) -> None:
        stands = one.stands(chain.state, now=now)
        if stands is ApprovalStanding.STANDING and is_approval:
            raise ApprovalOverError(one.record.id, "has its signatures already")
        if stands in _OVER:
            raise ApprovalOverError(one.record.id, _OVER[stands])

    def _row(
        self, chain: Chain, one: Opened, signature: bytes, kind: SignatureKind
    ) -> ApprovalSignatureRecord:
        officer = chain.state.officer_of(key_of_signature(signature))
        if officer is None:  # the signature was verified by a key of an officer
            raise CustodyBrokenError("a signature that counts is by nobody's key")
        return ApprovalSignatureRecord(one.record.id, officer.id, signature, self._clock.now(), kind)

    async def _told(self, chain: Chain, decision: _Decision, asker: Asker) -> Taken:
        one, row = decision.one, decision.row
        detail = {"approval": one.record.id, "verb": one.request.verb, "officer": row.officer}
        event = "approval.approved" if row.kind is SignatureKind.APPROVAL else "approval.rejected"
        key = key_of_signature(row.signature).fingerprint
        await self._desk.tell(event, asker, {**detail, "key": key})
        if decision.record:
            await self._tell_changed(chain, decision, asker)
        return Taken(one.record.id, row.officer, self._did(chain, decision))

    async def _tell_changed(self, chain: Chain, decision: _Decision, asker: Asker) -> None:
        done = self._store.get_approval(decision.one.record.id)
        if done is not None:
            await self._desk.tell_executed(chain, opened(self._store, done), asker)
        state = chain.extended(decision.record).state
        verb = decision.one.request.verb
        detail = {"approval": decision.one.record.id, "verb": verb, "record": str(state.sequence)}
        await self._desk.tell("custody.changed", asker, {**detail, "sha256": state.head})

    def _did(self, chain: Chain, decision: _Decision) -> str:
        if decision.row.kind is SignatureKind.REJECTION:
            return "rejected"
        if decision.record:
            return "changed"
        approvals = (*decision.one.approvals, decision.row.signature)
        phase = decision.one.as_open._replace(approvals=approvals).phase(chain.state, now=self._now())
        return "decided" if phase is Phase.APPROVED else "counted"

    def _now(self) -> int:
        return int(self._clock.now())


def _record(chain: Chain, one: Opened, approvals: tuple[bytes, ...], now: int) -> bytes:
    """Return the record by which a change comes into force. Raises StateRefusedError when it may not be after all."""
    document = write_document(
        Record(
            type="strongroom-record-v1",
            sequence=chain.state.sequence + 1,
            request=one.request,
            approvals=tuple(map(signature_to_base64, approvals)),
            at=max(now, chain.state.at),
        )
    )
    try:
        chain.extended(document)
    except ChainError as error:
        raise StateRefusedError(f"the change cannot come into force: {error.message}") from error
    return document


def _store(tx: Transaction, *, decision: _Decision) -> bool:
    """Store a signature and what it decides; False when anything is not as it was when that was decided."""
    one, row = decision.one, decision.row
    if tx.get_last_custody_sequence() != decision.sequence or tx.get_approval(one.record.id) != one.record:
        return False
    if not same_signatures(one, tx.list_approval_signatures(one.record.id)):
        return False
    tx.insert_approval_signature(row)
    if decision.record:
        now = float(int(row.at))
        if not tx.claim_approval(one.record.id, executed_at=now, by=row.officer):
            raise ApprovalOverError(one.record.id, _OVER[ApprovalStanding.EXPIRED])
        tx.append_custody_document(CustodyDocumentRecord(decision.sequence + 1, decision.record))
        tx.void_open_approvals(why=f"officers or rules changed: record {decision.sequence + 1}")
    elif decision.state is not ApprovalState.OPEN:
        by = row.officer if decision.state is ApprovalState.REJECTED else ""
        tx.end_approval(one.record.id, decision.state, by=by)
    return True
