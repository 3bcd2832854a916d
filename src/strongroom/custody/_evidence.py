"""Evidence: one file that proves an approved act to somebody who has nothing else, and does not trust us.

It holds the genesis, the chain up to the record that was in force, the request, and the signatures. What it cannot hold is
why the reader should believe the genesis: its hash must come from elsewhere (the officers, a print-out, the member's pin).

There are two kinds. Evidence of an act that was approved itself holds the chain as it was when the request was made. Evidence
of a *use* of a standing approval holds the chain as it was at the use, since the signatures are counted anew at each.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from strongroom.custody._canonical import Json, parse_canonical
from strongroom.custody._chain import Chain
from strongroom.custody._documents import (
    MAX_APPROVALS,
    ApprovalRequest,
    Evidence,
    Genesis,
    Record,
    Seconds,
    Signature,
    check_request_form,
    document_hash,
    read_document,
    write_document,
)
from strongroom.custody._errors import ChainError, MalformedDocumentError
from strongroom.custody._quorum import Approver, require_quorum
from strongroom.custody._ssh_signatures import signature_from_base64, signature_to_base64
from strongroom.custody._standing import NO_USES, use_standing
from strongroom.custody._standing_terms import MAX_USES, standing_terms
from strongroom.custody._state import CustodyState

MAX_EVIDENCE_BYTES: Final = 4 * 1024 * 1024


class UseEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that proves that one use of a standing approval was allowed."""

    type: Literal["strongroom-use-evidence-v1"]
    genesis: Genesis
    records: Annotated[tuple[Record, ...], msgspec.Meta(max_length=10_000)]
    """The chain up to the record that was in force at the use."""
    request: ApprovalRequest
    """The request for ``AllowStanding``."""
    approvals: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=MAX_APPROVALS)]
    parameters: dict[str, Any]
    """Of the act that was done."""
    use: Annotated[int, msgspec.Meta(ge=1, le=MAX_USES)]
    """Which use it was, from 1, by the word of the service."""
    used: Seconds
    """When the act was begun, by the clock of the service."""


class VerifiedEvidence(NamedTuple):
    """What is proved, given that the genesis is the right one."""

    genesis_sha256: str
    state: CustodyState
    """Officers and rules as they were then."""
    request: ApprovalRequest
    approvers: tuple[Approver, ...]
    executed: int
    """When the act was begun, by the word of the service: officers do not sign it. It lies within the request's life, or
    within the terms of a standing approval."""
    use: int = 0
    """Which use of a standing approval it was, by the word of the service; 0 for an act that was approved itself."""
    parameters: Mapping[str, Json] | None = None
    """Of the act, for a use of a standing approval; None where those of the request are the act's."""


def make_evidence(
    chain: Chain, request: ApprovalRequest, signatures: Sequence[bytes], *, executed: int
) -> bytes:
    """Return the evidence of an act. Raises ChainError, ApprovalRefusedError when it would not verify."""
    in_force = chain.state_named(request.state)
    require_quorum(in_force, request, signatures, now=executed)
    return write_document(
        Evidence(
            type="strongroom-evidence-v1",
            genesis=chain.genesis,
            records=chain.records[: in_force.sequence],
            request=request,
            approvals=tuple(map(signature_to_base64, signatures)),
            executed=executed,
        )
    )


def make_use_evidence(
    chain: Chain,
    request: ApprovalRequest,
    signatures: Sequence[bytes],
    *,
    parameters: Mapping[str, Json],
    use: int,
    used: int,
    sequence: int,
) -> bytes:
    """Return the evidence of a use of a standing approval, under the rules after record ``sequence``.

    Raises ChainError, ApprovalRefusedError when it would not verify.
    """
    evidence = UseEvidence(
        type="strongroom-use-evidence-v1",
        genesis=chain.genesis,
        records=chain.records[:sequence],
        request=request,
        approvals=tuple(map(signature_to_base64, signatures)),
        parameters=dict(parameters),
        use=use,
        used=used,
    )
    _check_use(chain.state_at(sequence), evidence)
    return write_document(evidence)


def verify_evidence(data: bytes, *, genesis_sha256: str | None = None) -> VerifiedEvidence:
    """Verify evidence of either kind from its bytes alone, and return what it proves.

    ``genesis_sha256``: the hash of the genesis as the reader knows it; without it the caller must compare the one returned.
    Raises MalformedDocumentError, ChainError (with the place), ApprovalRefusedError, SignatureRefusedError.
    """
    value = parse_canonical(data, max_bytes=MAX_EVIDENCE_BYTES)
    if isinstance(value, Mapping) and value.get("type") == "strongroom-use-evidence-v1":
        return _verify_use(_read_use(value), genesis_sha256)
    evidence = read_document(data, Evidence, max_bytes=MAX_EVIDENCE_BYTES)
    found = _hash_of(evidence.genesis, genesis_sha256)
    chain = Chain.from_parts(evidence.genesis, evidence.records)
    if evidence.request.state != chain.state.head:
        raise ChainError(
            f"record {len(chain.records)}", "the chain does not end in the state that the request names"
        )
    signatures = [signature_from_base64(text) for text in evidence.approvals]
    approvers = require_quorum(chain.state, evidence.request, signatures, now=evidence.executed)
    return VerifiedEvidence(found, chain.state, evidence.request, approvers, evidence.executed)


def _read_use(value: object) -> UseEvidence:
    try:
        evidence = msgspec.convert(value, UseEvidence, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedDocumentError(f"the document is not a UseEvidence: {error}") from error
    for request in (evidence.request, *(record.request for record in evidence.records)):
        check_request_form(request)
    check_request_form(msgspec.structs.replace(evidence.request, parameters=evidence.parameters))
    return evidence


def _verify_use(evidence: UseEvidence, genesis_sha256: str | None) -> VerifiedEvidence:
    found = _hash_of(evidence.genesis, genesis_sha256)
    state = Chain.from_parts(evidence.genesis, evidence.records).state
    approvers = _check_use(state, evidence)
    return VerifiedEvidence(
        found, state, evidence.request, approvers, evidence.used, evidence.use, evidence.parameters
    )


def _check_use(state: CustodyState, evidence: UseEvidence) -> tuple[Approver, ...]:
    """Return who gave the standing approval, if it covers the act. Raises ApprovalRefusedError."""
    terms = standing_terms(evidence.request.parameters)
    signatures = [signature_from_base64(text) for text in evidence.approvals]
    granted = use_standing(
        state,
        evidence.request,
        signatures,
        verb=terms.verb,
        parameters=evidence.parameters,
        now=evidence.used,
        uses=NO_USES,
    )
    terms.require_use(evidence.use)
    return granted.approvers


def _hash_of(genesis: Genesis, expected: str | None) -> str:
    found = document_hash(write_document(genesis))
    if expected is not None and found != expected:
        raise ChainError("genesis", f"its hash is {found}, not the one that was expected")
    return found
