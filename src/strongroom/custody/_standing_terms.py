"""What a standing approval allows, and how often it was used: the values, without signatures.

A standing approval is an ordinary request for the verb ``AllowStanding`` whose parameters are ``StandingTerms``.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from strongroom.custody._documents import Seconds, Verb
from strongroom.custody._errors import ApprovalRefusedError, Refusal

STANDING_VERB: Final = "AllowStanding"
MAX_STANDING_S: Final = 400 * 86_400
MAX_USES: Final = 100_000
_MAX_RATE: Final = 1_000


class StandingTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a standing approval allows: the parameters of its request."""

    verb: Verb
    fixed: dict[str, Any]
    """Parameters that must have these values."""
    free: Annotated[tuple[str, ...], msgspec.Meta(max_length=50)]
    """Names of parameters that may have any value. A parameter that is in neither is refused."""
    uses: Annotated[int, msgspec.Meta(ge=1, le=MAX_USES)]
    """How often in all."""
    rate_uses: Annotated[int, msgspec.Meta(ge=1, le=_MAX_RATE)]
    """How often within any ``rate_s`` seconds."""
    rate_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_STANDING_S)]
    begins: Seconds
    ends: Seconds

    def require_use(self, number: int) -> None:
        """Refuse a use beyond the last one. ``number`` counts from 1. Raises ApprovalRefusedError."""
        if number > self.uses:
            raise ApprovalRefusedError(Refusal.USED_UP)


class UsesSoFar(NamedTuple):
    """How a standing approval was used so far: what its keeper has on disk."""

    total: int = 0
    latest: tuple[int, ...] = ()
    """When it was last used, oldest first: as many as ``rate_uses`` at most."""

    def with_one_more(self, terms: StandingTerms, *, now: int) -> "UsesSoFar":
        """Return the uses with one more, now. Raises ApprovalRefusedError when the terms do not allow it."""
        if self.total >= terms.uses:
            raise ApprovalRefusedError(Refusal.USED_UP)
        if self.latest and now < self.latest[-1]:
            raise ApprovalRefusedError(Refusal.TOO_OFTEN, "the clock went back")
        within = [at for at in self.latest if at > now - terms.rate_s]
        if len(within) >= terms.rate_uses:
            raise ApprovalRefusedError(Refusal.TOO_OFTEN)
        return UsesSoFar(self.total + 1, (*self.latest, now)[-terms.rate_uses :])


def standing_terms(parameters: Mapping[str, object]) -> StandingTerms:
    """Return what a request for ``AllowStanding`` asks for. Raises ApprovalRefusedError when that is malformed or unbounded."""
    try:
        terms = msgspec.convert(parameters, StandingTerms, strict=True)
    except msgspec.ValidationError as error:
        raise ApprovalRefusedError(Refusal.MALFORMED, str(error)) from error
    if (
        terms.verb == STANDING_VERB
        or set(terms.free) & terms.fixed.keys()
        or len(set(terms.free)) != len(terms.free)
    ):
        raise ApprovalRefusedError(Refusal.MALFORMED, "the terms contradict themselves")
    if not terms.begins < terms.ends <= terms.begins + MAX_STANDING_S:
        raise ApprovalRefusedError(Refusal.TOO_LONG)
    return terms
