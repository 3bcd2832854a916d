"""Requests for approval as the database has them: read, checked against their own ids, and shown to people."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from strongroom.core import StorageError
from strongroom.custody import (
    MAX_REQUEST_BYTES,
    STANDING_VERB,
    ApprovalRefusedError,
    ApprovalRequest,
    Chain,
    CustodyError,
    CustodyState,
    Json,
    OpenRequest,
    Phase,
    QuorumRule,
    canonical_json,
    describe_request,
    document_hash,
    key_of_signature,
    make_evidence,
    make_use_evidence,
    parse_canonical,
    read_document,
    rule_of,
    standing_terms,
)
from strongroom.service._approval_errors import ApprovalNotFoundError, CustodyBrokenError, NotExecutedError
from strongroom.service._approval_values import ApprovalInfo, ApprovalStanding, SignatureInfo
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    Reader,
    SignatureKind,
)

MIN_ID = 8
"""Digits of an id that are enough to name a request, if no other begins so."""
_ID = 64
_OF_STATE = {
    ApprovalState.REJECTED: ApprovalStanding.REJECTED,
    ApprovalState.EXECUTED: ApprovalStanding.EXECUTED,
    ApprovalState.VOID: ApprovalStanding.VOID,
}
_OF_PHASE = {
    Phase.PENDING: ApprovalStanding.OPEN,
    Phase.APPROVED: ApprovalStanding.APPROVED,
    Phase.REJECTED: ApprovalStanding.REJECTED,
    Phase.VOID: ApprovalStanding.VOID,
}


class Opened(NamedTuple):
    """A request of the database whose document is the one that its id names, with its signatures."""

    record: ApprovalRecord
    request: ApprovalRequest
    rows: tuple[ApprovalSignatureRecord, ...]

    @property
    def approvals(self) -> tuple[bytes, ...]:
        """The signatures that approve, in the order in which they came."""
        return tuple(row.signature for row in self.rows if row.kind is SignatureKind.APPROVAL)

    @property
    def as_open(self) -> OpenRequest:
        """The request with its approvals, as the rules judge it."""
        return OpenRequest(self.request, self.approvals)

    def stands(self, state: CustodyState, *, now: int) -> ApprovalStanding:
        """Return how it stands, under the rules in force."""
        if self.record.state in _OF_STATE:
            return _OF_STATE[self.record.state]
        phase = self.as_open.phase(state, now=now)
        if self.record.state is ApprovalState.STANDING:
            return ApprovalStanding.STANDING if phase is Phase.APPROVED else ApprovalStanding.ENDED
        if now >= self.record.expires_at:
            return ApprovalStanding.EXPIRED
        return _OF_PHASE[phase]


def act_digest(verb: str, parameters: Mapping[str, Json], requester: str) -> str:
    """Return what is the same for two requests if they ask for the same. Raises MalformedDocumentError."""
    act: Json = {"verb": verb, "parameters": parameters, "requester": requester}
    return hashlib.sha256(canonical_json(act)).hexdigest()


def find(reader: Reader, approval: str) -> ApprovalRecord:
    """Return a request by its id, or by the beginning of it that no other has. Raises ApprovalNotFoundError."""
    if len(approval) == _ID:
        record = reader.get_approval(approval)
        if record is None:
            raise ApprovalNotFoundError(approval)
        return record
    if len(approval) < MIN_ID:
        raise ApprovalNotFoundError(approval)
    found = reader.find_approvals(approval, limit=2)
    if len(found) != 1:
        raise ApprovalNotFoundError(approval, n_found=len(found))
    return found[0]


def opened(reader: Reader, record: ApprovalRecord) -> Opened:
    """Return a request with its signatures. Raises CustodyBrokenError when the row was changed since it was made."""
    try:
        request = read_document(record.document, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
    except CustodyError as error:
        raise _changed(record) from error
    columns = (record.id, record.verb, record.requester, record.act)
    act = act_digest(request.verb, request.parameters, request.requester)
    if columns != (document_hash(record.document), request.verb, request.requester, act):
        raise _changed(record)
    return Opened(record, request, tuple(reader.list_approval_signatures(record.id)))


def shown(reader: Reader, chain: Chain, one: Opened, *, now: int) -> ApprovalInfo:
    """Return a request as people are shown it."""
    request, record = one.request, one.record
    uses = reader.list_standing_uses(record.id, limit=1) if request.verb == STANDING_VERB else []
    stands = one.stands(chain.state, now=now)
    if (
        stands is ApprovalStanding.STANDING
        and uses
        and uses[0].number >= standing_terms(request.parameters).uses
    ):
        stands = ApprovalStanding.ENDED
    return ApprovalInfo(
        record.id,
        request.verb,
        request.parameters,
        request.requester,
        request.created,
        request.expires,
        stands,
        tuple(describe_request(request, chain.state)),
        record.document,
        _rule(chain.state, request),
        tuple(_signature(chain.state, row) for row in one.rows),
        record.executed_at,
        record.ended_by,
        uses[0].number if uses else 0,
    )


def evidence_of(reader: Reader, chain: Chain, one: Opened, *, use: int) -> bytes:
    """Return the evidence of what was done under a request, or by one use of a standing approval (from 1).

    Raises NotExecutedError, CustodyBrokenError.
    """
    try:
        if use:
            return _evidence_of_use(reader, chain, one, use)
        if one.record.state is not ApprovalState.EXECUTED or one.record.executed_at is None:
            raise NotExecutedError(one.record.id)
        return make_evidence(chain, one.request, one.approvals, executed=int(one.record.executed_at))
    except CustodyError as error:
        raise CustodyBrokenError(f"what was done cannot be proved any more: {error.message}") from error


def missing_of(state: CustodyState, one: Opened) -> str:
    """Say whose approval a request waits for."""
    rule = _rule(state, one.request)
    if rule is None:
        return "a rule"
    left = max(rule.m - len(one.approvals), 1)
    return f"{left} more {rule.role}{'' if left == 1 else 's'}"


def _evidence_of_use(reader: Reader, chain: Chain, one: Opened, number: int) -> bytes:
    use = reader.get_standing_use(one.record.id, number)
    if use is None:
        raise NotExecutedError(one.record.id)
    parameters = parse_canonical(use.parameters)
    if not isinstance(parameters, Mapping):
        raise StorageError("the parameters of a use of a standing approval cannot be read")
    return make_use_evidence(
        chain,
        one.request,
        one.approvals,
        parameters=parameters,
        use=number,
        used=int(use.used_at),
        sequence=use.sequence,
    )


def _rule(state: CustodyState, request: ApprovalRequest) -> QuorumRule | None:
    try:
        return rule_of(state, request.verb, request.parameters)
    except ApprovalRefusedError:
        return None


def _signature(state: CustodyState, row: ApprovalSignatureRecord) -> SignatureInfo:
    officer = state.officers.get(row.officer)
    name = "" if officer is None else officer.name
    try:
        key = key_of_signature(row.signature).fingerprint
    except CustodyError:
        key = ""
    return SignatureInfo(row.officer, name, row.kind.value, key, row.at)


def _changed(record: ApprovalRecord) -> CustodyBrokenError:
    return CustodyBrokenError(f"the request {record.id[:12]} in the database is not the one that was made")


def same_signatures(one: Opened, rows: Sequence[ApprovalSignatureRecord]) -> bool:
    """Whether nobody signed since the request was read."""
    return one.rows == tuple(rows)
