"""Standing approvals: for work on a schedule, signed beforehand, bounded in what, how often and until when.

A standing approval is an ordinary request for the verb ``AllowStanding`` whose parameters say what it allows. The rule of the
*allowed* verb decides who must sign, and whether there may be one at all (``standing``). At each use the signatures are
counted again under the state in force: an officer who was revoked, a role that was taken, a rule that was made stricter ends
it. Other changes do not.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from strongroom.custody._canonical import Json
from strongroom.custody._documents import ApprovalRequest
from strongroom.custody._errors import ApprovalRefusedError, Refusal
from strongroom.custody._quorum import require_standing
from strongroom.custody._requests import Granted, same_value
from strongroom.custody._standing_terms import StandingTerms
from strongroom.custody._state import CustodyState


class StandingUses(Protocol):
    """Keeps the uses of standing approvals, durably and for every process that executes."""

    def spend(self, nonce: str, terms: StandingTerms, *, now: int) -> None:
        """Note one more use on disk (``UsesSoFar.with_one_more``), then return. Raises ApprovalRefusedError.

        Also (ALREADY_USED) when the request was rejected after all: that is how a standing approval is taken back.
        """
        ...


class _NoUses:
    """``StandingUses`` that keeps nothing: for whoever looks whether a use would be covered, or was."""

    def spend(self, nonce: str, terms: StandingTerms, *, now: int) -> None:
        """Do nothing."""


NO_USES: Final[StandingUses] = _NoUses()


def use_standing(
    state: CustodyState,
    request: ApprovalRequest,
    signatures: Sequence[bytes],
    *,
    verb: str,
    parameters: Mapping[str, Json],
    now: int,
    uses: StandingUses,
) -> Granted:
    """Let an act be done under a standing approval. The use is noted before this returns. Raises ApprovalRefusedError."""
    approvers, terms = require_standing(state, request, signatures)
    require_covered(terms, verb, parameters, now=now)
    uses.spend(request.nonce, terms, now=now)
    return Granted(request, approvers)


def require_covered(terms: StandingTerms, verb: str, parameters: Mapping[str, Json], *, now: int) -> None:
    """Return if the terms allow an act at this moment. Raises ApprovalRefusedError (NOT_COVERED, NOT_YET, EXPIRED)."""
    if terms.verb != verb or not _covers(terms, parameters):
        raise ApprovalRefusedError(Refusal.NOT_COVERED)
    if now < terms.begins:
        raise ApprovalRefusedError(Refusal.NOT_YET)
    if now >= terms.ends:
        raise ApprovalRefusedError(Refusal.EXPIRED)


def _covers(terms: StandingTerms, parameters: Mapping[str, Json]) -> bool:
    if not terms.fixed.keys() <= parameters.keys():
        return False
    return all(
        same_value(terms.fixed[name], value) if name in terms.fixed else name in terms.free
        for name, value in parameters.items()
    )
