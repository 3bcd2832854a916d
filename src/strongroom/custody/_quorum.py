"""Whether approvals suffice: the rules, without clock, disk or network.

1. The request names this cluster, and the state that is in force.
2. Its verb has a rule, and it lives no longer than the rule allows; it has begun and has not expired.
3. Each signature verifies over the very bytes of the request, by a key that an officer has now.
4. That officer holds the rule's role, did not ask for the act, and signed no more than once.
5. There are at least ``m``.

One signature that breaks a rule spoils the whole set: whoever collects approvals takes in none that does.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.custody._documents import (
    MAX_APPROVALS,
    ApprovalRequest,
    QuorumRule,
    Role,
    write_document,
)
from strongroom.custody._errors import (
    ApprovalRefusedError,
    MalformedDocumentError,
    Refusal,
    SignatureRefusedError,
)
from strongroom.custody._officer_keys import OfficerKey
from strongroom.custody._ssh_signatures import NAMESPACE_APPROVAL, verify_signature
from strongroom.custody._standing_terms import STANDING_VERB, StandingTerms, standing_terms
from strongroom.custody._state import CustodyState, Officer

MAX_CLOCK_SKEW_S: Final = 300
"""How far in the future a request may be dated."""


class Approver(NamedTuple):
    """Who approved, and with which key."""

    officer: str
    name: str
    role: Role
    key: str
    """Fingerprint, as OpenSSH shows it."""


def rule_of(state: CustodyState, verb: str, parameters: Mapping[str, object]) -> QuorumRule:
    """Return the rule of a request. Raises ApprovalRefusedError when there is none: then nobody can have it done.

    A standing approval is given by the rule of the verb that it allows, if that rule allows any.
    """
    is_standing = verb == STANDING_VERB
    ruled = standing_terms(parameters).verb if is_standing else verb
    rule = state.rules.get(ruled)
    if rule is None:
        raise ApprovalRefusedError(Refusal.NO_RULE, ruled)
    if is_standing and not rule.standing:
        raise ApprovalRefusedError(Refusal.NO_RULE, f"{ruled} allows no standing approvals")
    return rule


def check_request(state: CustodyState, request: ApprovalRequest, *, now: int) -> QuorumRule:
    """Check a request as such and return its rule. Raises ApprovalRefusedError."""
    if request.cluster != state.cluster:
        raise ApprovalRefusedError(Refusal.OTHER_CLUSTER)
    rule = rule_of(state, request.verb, request.parameters)
    if request.state != state.head:
        raise ApprovalRefusedError(Refusal.POLICY_CHANGED)
    if request.expires <= request.created or request.expires - request.created > rule.expires_s:
        raise ApprovalRefusedError(Refusal.TOO_LONG)
    if now < request.created - MAX_CLOCK_SKEW_S:
        raise ApprovalRefusedError(Refusal.NOT_YET)
    if now >= request.expires:
        raise ApprovalRefusedError(Refusal.EXPIRED)
    return rule


def check_standing(state: CustodyState, request: ApprovalRequest) -> tuple[QuorumRule, StandingTerms]:
    """Check a standing approval as such, and return the rule that says who gives it, and what it allows.

    It may have been asked for under any earlier state, and long ago: what ends it are its terms, not ``expires``, which is for
    gathering signatures. Raises ApprovalRefusedError.
    """
    if request.cluster != state.cluster:
        raise ApprovalRefusedError(Refusal.OTHER_CLUSTER)
    if request.state not in state.history:
        raise ApprovalRefusedError(Refusal.POLICY_CHANGED, "this chain never was in the state that it names")
    if request.verb != STANDING_VERB:
        raise ApprovalRefusedError(Refusal.OTHER_VERB, f"{request.verb}, not {STANDING_VERB}")
    return rule_of(state, request.verb, request.parameters), standing_terms(request.parameters)


def require_standing(
    state: CustodyState, request: ApprovalRequest, signatures: Sequence[bytes]
) -> tuple[tuple[Approver, ...], StandingTerms]:
    """Return who gave a standing approval, when that is enough under the state in force. Raises ApprovalRefusedError."""
    rule, terms = check_standing(state, request)
    approvers = count_approvals(state, request, rule, signatures)
    _require_enough(approvers, rule)
    return approvers, terms


def signer_of(
    state: CustodyState, request: ApprovalRequest, signature: bytes, namespace: str
) -> tuple[Officer, OfficerKey]:
    """Return the officer who signed a request for a purpose. Raises ApprovalRefusedError."""
    try:
        key = verify_signature(signature, write_document(request), namespace)
    except MalformedDocumentError as error:
        raise ApprovalRefusedError(Refusal.MALFORMED, error.message) from error
    except SignatureRefusedError as error:
        raise ApprovalRefusedError(Refusal.BAD_SIGNATURE, error.message) from error
    officer = state.officer_of(key)
    if officer is None:
        raise ApprovalRefusedError(Refusal.UNKNOWN_KEY, key.fingerprint)
    if officer.is_revoked or key in officer.revoked_keys:
        raise ApprovalRefusedError(Refusal.REVOKED, officer.id)
    return officer, key


def approver_of(
    state: CustodyState, request: ApprovalRequest, rule: QuorumRule, signature: bytes
) -> Approver:
    """Return who approved by a signature. Raises ApprovalRefusedError when this officer's approval does not count."""
    officer, key = signer_of(state, request, signature, NAMESPACE_APPROVAL)
    if not officer.may_sign(rule.role):
        raise ApprovalRefusedError(Refusal.WRONG_ROLE, f"{officer.id} is no {rule.role}")
    if officer.is_known_as(request.requester):
        raise ApprovalRefusedError(Refusal.OWN_REQUEST, officer.id)
    return Approver(officer.id, officer.name, rule.role, key.fingerprint)


def count_approvals(
    state: CustodyState, request: ApprovalRequest, rule: QuorumRule, signatures: Sequence[bytes]
) -> tuple[Approver, ...]:
    """Return who approved, one entry a person. Raises ApprovalRefusedError for any signature that does not count."""
    if len(signatures) > MAX_APPROVALS:
        raise ApprovalRefusedError(Refusal.MALFORMED, f"there are more than {MAX_APPROVALS} signatures")
    approvers: list[Approver] = []
    for signature in signatures:
        approver = approver_of(state, request, rule, signature)
        if any(approver.officer == earlier.officer for earlier in approvers):
            raise ApprovalRefusedError(Refusal.TWICE, approver.officer)
        approvers.append(approver)
    return tuple(approvers)


def require_quorum(
    state: CustodyState, request: ApprovalRequest, signatures: Sequence[bytes], *, now: int
) -> tuple[Approver, ...]:
    """Return who approved, when that is enough. Raises ApprovalRefusedError.

    Whether the request was executed before is not looked at: ``execute`` does.
    """
    rule = check_request(state, request, now=now)
    approvers = count_approvals(state, request, rule, signatures)
    _require_enough(approvers, rule)
    return approvers


def _require_enough(approvers: Sequence[Approver], rule: QuorumRule) -> None:
    if len(approvers) < rule.m:
        raise ApprovalRefusedError(Refusal.TOO_FEW, f"{len(approvers)} of {rule.m}")
