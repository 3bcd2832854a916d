"""Evidence: one file that proves an approved act to somebody who has nothing else, and does not trust us.

It holds the genesis, the chain up to the record that was in force, the request, and the signatures. What it cannot hold is
why the reader should believe the genesis: its hash must come from elsewhere (the officers, a print-out, the member's pin).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.custody._chain import Chain
from strongroom.custody._documents import (
    ApprovalRequest,
    Evidence,
    document_hash,
    read_document,
    write_document,
)
from strongroom.custody._errors import ChainError
from strongroom.custody._quorum import Approver, require_quorum
from strongroom.custody._ssh_signatures import signature_from_base64, signature_to_base64
from strongroom.custody._state import CustodyState

MAX_EVIDENCE_BYTES: Final = 4 * 1024 * 1024


class VerifiedEvidence(NamedTuple):
    """What is proved, given that the genesis is the right one."""

    genesis_sha256: str
    state: CustodyState
    """Officers and rules as they were then."""
    request: ApprovalRequest
    approvers: tuple[Approver, ...]
    executed: int
    """When the act was begun, by the word of the service: officers do not sign it. It lies within the request's life."""


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


def verify_evidence(data: bytes, *, genesis_sha256: str | None = None) -> VerifiedEvidence:
    """Verify evidence from its bytes alone, and return what it proves.

    ``genesis_sha256``: the hash of the genesis as the reader knows it; without it the caller must compare the one returned.
    Raises MalformedDocumentError, ChainError (with the place), ApprovalRefusedError, SignatureRefusedError.
    """
    evidence = read_document(data, Evidence, max_bytes=MAX_EVIDENCE_BYTES)
    found = document_hash(write_document(evidence.genesis))
    if genesis_sha256 is not None and found != genesis_sha256:
        raise ChainError("genesis", f"its hash is {found}, not the one that was expected")
    chain = Chain.from_parts(evidence.genesis, evidence.records)
    if evidence.request.state != chain.state.head:
        raise ChainError(
            f"record {len(chain.records)}", "the chain does not end in the state that the request names"
        )
    signatures = [signature_from_base64(text) for text in evidence.approvals]
    approvers = require_quorum(chain.state, evidence.request, signatures, now=evidence.executed)
    return VerifiedEvidence(found, chain.state, evidence.request, approvers, evidence.executed)
