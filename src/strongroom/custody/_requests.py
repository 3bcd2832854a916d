"""A request on its way: from asked for, by approvals, to executed once, or rejected, or expired."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol, Self

from strongroom.custody._canonical import Json, canonical_json
from strongroom.custody._documents import ApprovalRequest, write_document
from strongroom.custody._errors import ApprovalRefusedError, MalformedDocumentError, Refusal
from strongroom.custody._quorum import (
    Approver,
    check_request,
    check_standing,
    count_approvals,
    require_quorum,
    require_standing,
    rule_of,
    signer_of,
)
from strongroom.custody._ssh_signatures import NAMESPACE_REJECTION
from strongroom.custody._standing_terms import STANDING_VERB
from strongroom.custody._state import CustodyState


class UsedNonces(Protocol):
    """Remembers which requests are over, durably and for every process that executes."""

    def spend(self, nonce: str, *, until: int) -> None:
        """Note a nonce on disk, then return. Raises ApprovalRefusedError (ALREADY_USED) if it was noted before.

        Of two callers at the same moment one gets the error. It may be forgotten after ``until`` (seconds since the epoch).
        """
        ...


class Phase(Enum):
    """How far a request has come."""

    PENDING = "waits for approvals"
    APPROVED = "has approvals enough"
    REJECTED = "was rejected"
    VOID = "can come to nothing any more"


class Granted(NamedTuple):
    """An act that may be done now, this once."""

    request: ApprovalRequest
    approvers: tuple[Approver, ...]


def new_request(
    state: CustodyState,
    verb: str,
    parameters: Mapping[str, Json],
    *,
    requester: str,
    nonce: bytes,
    now: int,
    lifetime_s: int | None = None,
) -> ApprovalRequest:
    """Make a request under the state in force. ``nonce``: 16 random bytes.

    Raises ApprovalRefusedError when the verb has no rule or the lifetime is too long, MalformedDocumentError for parameters
    that cannot be signed.
    """
    if len(nonce) != 16:
        raise MalformedDocumentError("a nonce has 16 bytes")
    expires = now + (rule_of(state, verb, parameters).expires_s if lifetime_s is None else lifetime_s)
    request = ApprovalRequest(
        type="strongroom-request-v1",
        cluster=state.cluster,
        state=state.head,
        verb=verb,
        parameters=dict(parameters),
        requester=requester,
        nonce=nonce.hex(),
        created=now,
        expires=expires,
    )
    write_document(request)
    check_request(state, request, now=now)
    return request


class OpenRequest(NamedTuple):
    """A request with the signatures that it has so far. Each step gives a new value; what is not allowed raises."""

    request: ApprovalRequest
    approvals: tuple[bytes, ...] = ()
    rejected_by: str | None = None

    def phase(self, state: CustodyState, *, now: int) -> Phase:
        """Return how far it has come, under the state in force."""
        if self.rejected_by is not None:
            return Phase.REJECTED
        if self._is_in_use(state, now):
            return Phase.APPROVED
        try:
            require_quorum(state, self.request, self.approvals, now=now)
        except ApprovalRefusedError as error:
            return Phase.PENDING if error.reason is Refusal.TOO_FEW else Phase.VOID
        return Phase.APPROVED

    def approved(self, state: CustodyState, signature: bytes, *, now: int) -> Self:
        """Take an approval in. Raises ApprovalRefusedError when it does not count, or nothing can come of the request."""
        self._require_open()
        rule = check_request(state, self.request, now=now)
        count_approvals(state, self.request, rule, (*self.approvals, signature))
        return self._replace(approvals=(*self.approvals, signature))

    def rejected(self, state: CustodyState, signature: bytes, *, now: int, used: UsedNonces) -> Self:
        """Take a rejection in, by an officer whose approval would count, or by whoever asked. It is final.

        A standing approval is taken back by it until its terms end, whatever has changed since. Raises ApprovalRefusedError.
        """
        self._require_open()
        until = self.request.expires
        if self.request.verb == STANDING_VERB:
            rule, terms = check_standing(state, self.request)
            until = max(until, terms.ends)
            if now >= until:
                raise ApprovalRefusedError(Refusal.EXPIRED)
        else:
            rule = check_request(state, self.request, now=now)
        officer, _ = signer_of(state, self.request, signature, NAMESPACE_REJECTION)
        if not officer.may_sign(rule.role) and not officer.is_known_as(self.request.requester):
            raise ApprovalRefusedError(Refusal.WRONG_ROLE, f"{officer.id} is no {rule.role}")
        used.spend(self.request.nonce, until=until)
        return self._replace(rejected_by=officer.id)

    def _is_in_use(self, state: CustodyState, now: int) -> bool:
        """Whether it is a standing approval that can be used, now or once it begins."""
        if self.request.verb != STANDING_VERB:
            return False
        try:
            _, terms = require_standing(state, self.request, self.approvals)
        except ApprovalRefusedError:
            return False
        return now < terms.ends

    def _require_open(self) -> None:
        if self.rejected_by is not None:
            raise ApprovalRefusedError(Refusal.REJECTED, self.rejected_by)


def execute(
    state: CustodyState,
    request: ApprovalRequest,
    signatures: Sequence[bytes],
    *,
    verb: str,
    parameters: Mapping[str, Json],
    now: int,
    used: UsedNonces,
) -> Granted:
    """Let an act be done, once: the verb with just these parameters. Raises ApprovalRefusedError.

    The nonce is spent before this returns. Whoever calls and then dies has spent it: the act needs a new request, and is
    looked for first.
    """
    require_same(request, verb, parameters)
    if verb == STANDING_VERB:
        raise ApprovalRefusedError(Refusal.OTHER_VERB, "a standing approval is used, not executed")
    approvers = require_quorum(state, request, signatures, now=now)
    used.spend(request.nonce, until=request.expires)
    return Granted(request, approvers)


def require_same(request: ApprovalRequest, verb: str, parameters: Mapping[str, Json]) -> None:
    """Refuse an act that is another than the approved one. Raises ApprovalRefusedError."""
    if request.verb != verb:
        raise ApprovalRefusedError(Refusal.OTHER_VERB, f"{request.verb}, not {verb}")
    if not same_value(request.parameters, parameters):
        raise ApprovalRefusedError(Refusal.OTHER_PARAMETERS)


def same_value(one: Json, other: Json) -> bool:
    """Whether two values have the same canonical bytes. True and 1 have not."""
    try:
        return canonical_json(one) == canonical_json(other)
    except MalformedDocumentError:
        return False
