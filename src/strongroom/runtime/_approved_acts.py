"""Requests as the database has them, and what officers have approved by them."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from strongroom.custody import (
    STANDING_VERB,
    ApprovalRefusedError,
    ApprovalRequest,
    CustodyState,
    Json,
    Refusal,
    canonical_json,
    read_document,
    require_covered,
    require_quorum,
    require_standing,
)
from strongroom.hsm.wire import AdmitAct
from strongroom.storage import ApprovalRecord, ApprovalState, SignatureKind, Store

_ID_LEN: Final = 64
_OVER: Final = frozenset({ApprovalState.REJECTED, ApprovalState.VOID})


class ApprovedAct(NamedTuple):
    """An act as members are handed it."""

    approval: str
    """Id of its request."""
    admission: AdmitAct


def request_named(store: Store, approval: str) -> ApprovalRecord | None:
    """Return a request by its id, or by the beginning of it, if that is of one alone. Raises StorageError."""
    if len(approval) in {0, _ID_LEN}:
        return store.get_approval(approval) if approval else None
    found = store.find_approvals(approval, limit=2)
    return found[0] if len(found) == 1 else None


def signatures_of(store: Store, approval: str) -> list[bytes]:
    """Return what approves a request; nobody has verified it. Raises StorageError."""
    rows = store.list_approval_signatures(approval)
    return [row.signature for row in rows if row.kind is SignatureKind.APPROVAL]


def approved_act(
    store: Store,
    record: ApprovalRecord,
    verb: str,
    parameters: Mapping[str, Json],
    *,
    state: CustodyState,
    now: int,
) -> ApprovedAct:
    """Return the act if a request approves just this, now (seconds since the epoch). Raises CustodyError and StorageError."""
    request = read_document(record.document, ApprovalRequest)
    signatures = signatures_of(store, record.id)
    if record.state in _OVER:
        raise ApprovalRefusedError(Refusal.REJECTED, record.ended_by)
    if request.verb == STANDING_VERB:
        _, terms = require_standing(state, request, signatures)
        require_covered(terms, verb, parameters, now=now)
        admission = AdmitAct(record.document, signatures, 0, canonical_json(parameters))
        return ApprovedAct(record.id, admission)
    if request.verb != verb:
        raise ApprovalRefusedError(Refusal.OTHER_VERB, request.verb)
    if canonical_json(request.parameters) != canonical_json(parameters):
        raise ApprovalRefusedError(Refusal.OTHER_PARAMETERS)
    require_quorum(state, request, signatures, now=now)
    return ApprovedAct(record.id, AdmitAct(record.document, signatures))
