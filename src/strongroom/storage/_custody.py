"""Custody: reads and writes of the chain, of requests for approval, of signatures, and of uses of standing approvals.

Nothing here is believed: whoever acts verifies the documents from the genesis on (``custody``). What the database adds is
that each thing is there once: one document in each place of the chain, one signature of an officer on a request, one claim.
"""

from typing import Final

from sqlalchemy import bindparam, func, or_, select, update

from strongroom.core import StorageError
from strongroom.storage._changes import Changes
from strongroom.storage._custody_records import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    CustodyDocumentRecord,
    SignatureKind,
    StandingUseRecord,
)
from strongroom.storage._queries import AnyRow, Queries
from strongroom.storage._schema_custody import (
    approval_signatures,
    approvals,
    custody_documents,
    standing_uses,
)

_DOCUMENTS: Final = select(custody_documents).order_by(custody_documents.c.sequence)
_LAST: Final = select(func.max(custody_documents.c.sequence))
_APPROVAL: Final = select(approvals).where(approvals.c.id == bindparam("id"))
_PREFIXED: Final = (
    select(approvals)
    .where(approvals.c.id >= bindparam("first"), approvals.c.id < bindparam("behind"))
    .order_by(approvals.c.id)
    .limit(bindparam("limit"))
)
_NEWEST: Final = (
    select(approvals).order_by(approvals.c.created_at.desc(), approvals.c.id.desc()).limit(bindparam("limit"))
)
_IN_STATE: Final = approvals.c.state == bindparam("state")
_BEHIND: Final = or_(
    approvals.c.created_at < bindparam("before_at"),
    (approvals.c.created_at == bindparam("before_at")) & (approvals.c.id < bindparam("before_id")),
)
_OPEN_COUNT: Final = (
    select(func.count())
    .select_from(approvals)
    .where(
        approvals.c.state == ApprovalState.OPEN.value,
        approvals.c.expires_at > bindparam("now"),
    )
)
_OPEN_COUNT_OF: Final = _OPEN_COUNT.where(approvals.c.requester == bindparam("requester"))
_ASKING_FOR: Final = (
    select(approvals)
    .where(
        approvals.c.act == bindparam("act"),
        approvals.c.state == bindparam("state"),
        approvals.c.expires_at > bindparam("now"),
    )
    .order_by(approvals.c.created_at.desc(), approvals.c.id.desc())
    .limit(10)
)
_SIGNATURES: Final = (
    select(approval_signatures)
    .where(approval_signatures.c.request_id == bindparam("request_id"))
    .order_by(approval_signatures.c.at, approval_signatures.c.officer, approval_signatures.c.kind)
)
_REJECTIONS: Final = (
    select(approval_signatures)
    .where(approval_signatures.c.kind == SignatureKind.REJECTION.value)
    .order_by(approval_signatures.c.at.desc(), approval_signatures.c.request_id)
    .limit(bindparam("limit"))
)
_USES: Final = (
    select(standing_uses)
    .where(standing_uses.c.request_id == bindparam("request_id"))
    .order_by(standing_uses.c.number.desc())
    .limit(bindparam("limit"))
)
_USE: Final = select(standing_uses).where(
    standing_uses.c.request_id == bindparam("request_id"), standing_uses.c.number == bindparam("number")
)
_MOVE: Final = (
    update(approvals)
    .where(approvals.c.id == bindparam("of_id"), approvals.c.state == bindparam("was"))
    .values(
        state=bindparam("new_state"),
        executed_at=bindparam("new_executed_at"),
        ended_by=bindparam("new_ended_by"),
    )
)
_VOID_OPEN: Final = (
    update(approvals)
    .where(approvals.c.state == ApprovalState.OPEN.value)
    .values(state=ApprovalState.VOID.value, ended_by=bindparam("why"))
)
_CLAIM: Final = _MOVE.where(approvals.c.expires_at > bindparam("now"))


class CustodyReads(Queries):
    """See ``Reader``, which has them."""

    def get_custody_documents(self) -> list[CustodyDocumentRecord]:
        """Return the documents of the chain in order; none where the home has no custody. They prove nothing unverified."""
        return [CustodyDocumentRecord(row[0], _bytes(row[1])) for row in self._all(_DOCUMENTS, {})]

    def get_last_custody_sequence(self) -> int | None:
        """Return the sequence of the last document of the chain; None where there is none."""
        row = self._first(_LAST, {})
        return None if row is None or row[0] is None else int(row[0])

    def get_approval(self, approval_id: str) -> ApprovalRecord | None:
        """Return a request for approval by its whole id."""
        row = self._first(_APPROVAL, {"id": approval_id})
        return None if row is None else _approval(row)

    def find_approvals(self, prefix: str, *, limit: int) -> list[ApprovalRecord]:
        """Return up to ``limit`` requests whose ids begin with ``prefix``, which is lower-case hexadecimal digits."""
        values = {"first": prefix, "behind": f"{prefix}g", "limit": limit}
        return [_approval(row) for row in self._all(_PREFIXED, values)]

    def list_approvals(
        self, *, state: ApprovalState | None = None, after: ApprovalRecord | None = None, limit: int
    ) -> list[ApprovalRecord]:
        """Return up to ``limit`` requests, in one state or in any, the newest first."""
        statement, values = _NEWEST, dict[str, object](limit=limit)
        if state is not None:
            statement, values = statement.where(_IN_STATE), {**values, "state": state.value}
        if after is not None:
            statement = statement.where(_BEHIND)
            values |= {"before_at": after.created_at, "before_id": after.id}
        return [_approval(row) for row in self._all(statement, values)]

    def list_approvals_asking_for(
        self, act: str, *, now: float, state: ApprovalState = ApprovalState.OPEN
    ) -> list[ApprovalRecord]:
        """Return the requests for one act that are in a state and have not expired, the newest first; ten at most."""
        values = {"act": act, "now": now, "state": state.value}
        return [_approval(row) for row in self._all(_ASKING_FOR, values)]

    def count_open_approvals(self, *, now: float, requester: str | None = None) -> int:
        """Return how many requests are open and not expired: of one requester, or of all."""
        if requester is None:
            row = self._first(_OPEN_COUNT, {"now": now})
        else:
            row = self._first(_OPEN_COUNT_OF, {"now": now, "requester": requester})
        return 0 if row is None else int(row[0])

    def list_approval_signatures(self, request_id: str) -> list[ApprovalSignatureRecord]:
        """Return the signatures on a request, approvals and rejections, in the order in which they came."""
        return [_signature(row) for row in self._all(_SIGNATURES, {"request_id": request_id})]

    def list_rejections(self, *, limit: int) -> list[ApprovalSignatureRecord]:
        """Return up to ``limit`` signatures that reject a request, the last one that came first."""
        return [_signature(row) for row in self._all(_REJECTIONS, {"limit": limit})]

    def list_standing_uses(self, request_id: str, *, limit: int) -> list[StandingUseRecord]:
        """Return up to ``limit`` uses of a standing approval, the last one first."""
        rows = self._all(_USES, {"request_id": request_id, "limit": limit})
        return [StandingUseRecord(*row) for row in rows]

    def get_standing_use(self, request_id: str, number: int) -> StandingUseRecord | None:
        """Return one use of a standing approval."""
        row = self._first(_USE, {"request_id": request_id, "number": number})
        return None if row is None else StandingUseRecord(*row)


class CustodyWrites(CustodyReads, Changes):
    """See ``Transaction``, which has them."""

    def append_custody_document(self, record: CustodyDocumentRecord) -> None:
        """Add the next document of the chain.

        Raises DuplicateError when its place is taken (somebody was faster), and StorageError when it would leave a gap.
        """
        last = self.get_last_custody_sequence()
        if record.sequence > (0 if last is None else last + 1):
            raise StorageError(f"document {record.sequence} of the custody chain would leave a gap")
        self._add(custody_documents, record)

    def insert_approval(self, record: ApprovalRecord) -> None:
        """Add a request for approval. Raises DuplicateError when it is there already."""
        self._add(approvals, record._replace(state=record.state.value))  # type: ignore[arg-type]  # text in SQL

    def insert_approval_signature(self, record: ApprovalSignatureRecord) -> None:
        """Add a signature; its request must exist. Raises DuplicateError when the officer signed that already."""
        self._add(approval_signatures, record._replace(kind=record.kind.value))  # type: ignore[arg-type]

    def claim_approval(self, approval_id: str, *, executed_at: float, by: str) -> bool:
        """Spend a request: it is executed from now on. False when it is not open, or has expired.

        Of any number of processes that call this for one request one gets True. Whether its signatures suffice is the
        caller's to judge, in the same work.
        """
        values = {
            "of_id": approval_id,
            "was": ApprovalState.OPEN.value,
            "new_state": ApprovalState.EXECUTED.value,
            "new_executed_at": executed_at,
            "new_ended_by": by,
            "now": executed_at,
        }
        return self._changed(_CLAIM, values) == 1

    def release_approval(self, approval_id: str) -> bool:
        """Open a request anew whose act failed without effect. False when it is not executed."""
        return self._moved(approval_id, ApprovalState.EXECUTED, ApprovalState.OPEN, "")

    def end_approval(self, approval_id: str, state: ApprovalState, *, by: str) -> bool:
        """Reject a request, or make it void, or a standing one, for good; ``by``: who, or why. False when it is over already."""
        return any(
            self._moved(approval_id, was, state, by) for was in (ApprovalState.OPEN, ApprovalState.STANDING)
        )

    def void_open_approvals(self, *, why: str) -> int:
        """Make every open request void, and return how many there were: officers or rules have changed."""
        return self._changed(_VOID_OPEN, {"why": why})

    def insert_standing_use(self, record: StandingUseRecord) -> None:
        """Note a use of a standing approval. Raises DuplicateError when that number is taken (somebody was faster)."""
        self._add(standing_uses, record)

    def _moved(self, approval_id: str, was: ApprovalState, state: ApprovalState, by: str) -> bool:
        values = {"of_id": approval_id, "was": was.value, "new_state": state.value}
        return self._changed(_MOVE, {**values, "new_executed_at": None, "new_ended_by": by}) == 1


def _bytes(value: object) -> bytes:
    """Return what a column of bytes holds; whoever edited the database may have left something else there."""
    if not isinstance(value, bytes):
        raise StorageError("a document or signature of custody in the database is not what was stored")
    return value


def _signature(row: AnyRow) -> ApprovalSignatureRecord:
    return ApprovalSignatureRecord(row[0], row[1], _bytes(row[2]), row[3], SignatureKind(row[4]))


def _approval(row: AnyRow) -> ApprovalRecord:
    record = ApprovalRecord(*row)
    return record._replace(state=ApprovalState(record.state), document=_bytes(record.document))
