"""An act that waits in a gate for the calls that it covers, and what those calls make or destroy."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from strongroom.custody._acts import LATE_ACTS, LATE_S, read_act
from strongroom.custody._canonical import Json, parse_canonical
from strongroom.custody._documents import MAX_REQUEST_BYTES, ApprovalRequest, read_document
from strongroom.custody._errors import ApprovalRefusedError, MalformedDocumentError, Refusal
from strongroom.custody._standing_terms import STANDING_VERB, standing_terms


class CalledObject(NamedTuple):
    """What a call makes or destroys."""

    kind: str
    """``key`` or ``root``."""
    cka_id: bytes

    @property
    def name(self) -> str:
        """As notes of it name it."""
        return f"{self.kind}:{self.cka_id.hex()}"


MAKES: Final = MappingProxyType(
    {"GenerateDirect": "key", "TakeInKey": "key", "GenerateRoot": "root", "TakeInRoot": "root"}
)
ENDS: Final = MappingProxyType({"DestroyDirect": "key", "DestroyRoot": "root"})


class Admitted(NamedTuple):
    """An act that waits for its calls."""

    request: ApprovalRequest
    signatures: tuple[bytes, ...]
    verb: str
    """Of the act: under a standing approval, of the one that it allows."""
    parameters: Mapping[str, Json]
    executed: int
    """When it was begun, of one that the member is told of afterwards; else 0."""

    @property
    def is_standing(self) -> bool:
        """Whether a standing approval covers it."""
        return self.request.verb == STANDING_VERB

    @property
    def ends(self) -> int:
        """When it can be used no more, as far as it knows itself."""
        return standing_terms(self.request.parameters).ends if self.is_standing else self.request.expires

    @property
    def until(self) -> int:
        """When it can be forgotten that it was spent."""
        return self.request.expires + (LATE_S if self.verb in LATE_ACTS else 0)


def act_of(request: bytes, signatures: Sequence[bytes], executed: int, parameters: bytes) -> Admitted:
    """Read what ``AdmitAct`` holds. Raises MalformedDocumentError, and ApprovalRefusedError for what covers no call."""
    approved = read_document(request, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
    verb, values = approved.verb, approved.parameters
    if verb == STANDING_VERB:
        told = parse_canonical(parameters, max_bytes=MAX_REQUEST_BYTES)
        if not isinstance(told, Mapping):
            raise MalformedDocumentError("the parameters of an act are an object")
        verb, values = standing_terms(approved.parameters).verb, dict(told)
    elif parameters:
        raise MalformedDocumentError("an act has the parameters that were approved")
    if read_act(verb, values) is None:
        raise ApprovalRefusedError(Refusal.OTHER_VERB, f"{verb} covers nothing inside a member")
    return Admitted(approved, tuple(signatures), verb, values, executed)


def object_of(verb: str, parameters: Mapping[str, object], verbs: Mapping[str, str]) -> CalledObject | None:
    """Return the object that a call makes (``MAKES``) or destroys (``ENDS``); None for other calls."""
    kind = verbs.get(verb)
    if kind is None:
        return None
    named: Any = parameters["root_id"] if kind == "root" else parameters["key"]
    return CalledObject(kind, bytes(named if kind == "root" else named.key_id))
