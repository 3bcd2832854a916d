"""The condition keys: what a policy may ask about a request, and where the answer comes from.

Three kinds: keys that requests have, keys that no request to this service ever has (``NEVER_PRESENT``), and all
others, with which a document is refused. Names are compared without regard to case, as AWS does.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.policy._request import AccessRequest, Values

_CONTEXT_PREFIX: Final = "kms:encryptioncontext:"


class Kind(Enum):
    """What the values of a key are, and so which operators go with it."""

    TEXT = "text"
    ARN = "ARN"
    TRUTH = "truth"
    ADDRESS = "address"


class ConditionKey(NamedTuple):
    """A condition key that is understood."""

    name: str
    """In lower case."""
    kind: Kind
    values: Values
    is_set: bool = False
    """Whether a request may have several values of it: then only ``ForAllValues`` and ``ForAnyValue`` go with it."""
    is_never_present: bool = False


def _truth(value: bool) -> tuple[str, ...]:  # noqa: FBT001  # reads as a claim where it is called
    return ("true",) if value else ("false",)


def _username(request: AccessRequest) -> tuple[str, ...]:
    kind, _, name = request.principal_arn.rpartition(":")[2].partition("/")
    return (name,) if kind == "user" else ()


def _principal_type(request: AccessRequest) -> tuple[str, ...]:
    return ("User",) if _username(request) else ("AssumedRole",)


def _further(name: str, kind: Kind, *, is_set: bool = False) -> ConditionKey:
    """Make a key that only some actions have."""
    return ConditionKey(name, kind, lambda request: request.further.get(name, ()), is_set)


_KEYS: Final = (
    ConditionKey("aws:principalarn", Kind.ARN, lambda request: (request.principal_arn,)),
    ConditionKey("aws:principalaccount", Kind.TEXT, lambda request: (request.account_id,)),
    ConditionKey("aws:principaltype", Kind.TEXT, _principal_type),
    ConditionKey("aws:username", Kind.TEXT, _username),
    ConditionKey("aws:sourceip", Kind.ADDRESS, lambda request: (request.source_address,)),
    ConditionKey("aws:securetransport", Kind.TRUTH, lambda request: _truth(request.is_tls)),
    ConditionKey("aws:viaawsservice", Kind.TRUTH, lambda _request: ("false",)),
    ConditionKey("aws:principalisawsservice", Kind.TRUTH, lambda _request: ("false",)),
    ConditionKey("kms:calleraccount", Kind.TEXT, lambda request: (request.account_id,)),
    ConditionKey("kms:keyspec", Kind.TEXT, lambda request: (request.key.spec,)),
    ConditionKey("kms:customermasterkeyspec", Kind.TEXT, lambda request: (request.key.spec,)),
    ConditionKey("kms:keyusage", Kind.TEXT, lambda request: (request.key.usage,)),
    ConditionKey("kms:customermasterkeyusage", Kind.TEXT, lambda request: (request.key.usage,)),
    ConditionKey("kms:keyorigin", Kind.TEXT, lambda request: (request.key.origin,)),
    ConditionKey("kms:multiregion", Kind.TRUTH, lambda _request: ("false",)),
    ConditionKey(
        "kms:encryptioncontextkeys",
        Kind.TEXT,
        lambda request: tuple(request.context),
        is_set=True,
    ),
    ConditionKey("kms:grantisforawsresource", Kind.TRUTH, lambda _request: ("false",)),
    _further("kms:requestalias", Kind.TEXT),
    _further("kms:grantoperations", Kind.TEXT, is_set=True),
    _further("kms:granteeprincipal", Kind.ARN),
    _further("kms:retiringprincipal", Kind.ARN),
    _further("kms:grantconstrainttype", Kind.TEXT),
    _further("kms:bypasspolicylockoutsafetycheck", Kind.TRUTH),
    _further("kms:signingalgorithm", Kind.TEXT),
    _further("kms:messagetype", Kind.TEXT),
    _further("kms:macalgorithm", Kind.TEXT),
    _further("kms:keyagreementalgorithm", Kind.TEXT),
    _further("kms:datakeypairspec", Kind.TEXT),
)

NEVER_PRESENT: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "kms:viaservice": Kind.TEXT,
        "aws:calledvia": Kind.TEXT,
        "aws:calledviafirst": Kind.TEXT,
        "aws:calledvialast": Kind.TEXT,
        "aws:sourcearn": Kind.ARN,
        "aws:sourceaccount": Kind.TEXT,
        "aws:sourceorgid": Kind.TEXT,
        "aws:sourceorgpaths": Kind.TEXT,
        "aws:sourcevpc": Kind.TEXT,
        "aws:sourcevpce": Kind.TEXT,
        "aws:vpcsourceip": Kind.ADDRESS,
        "aws:principalorgid": Kind.TEXT,
        "aws:principalorgpaths": Kind.TEXT,
        "aws:principalservicename": Kind.TEXT,
        "aws:federatedprovider": Kind.TEXT,
        "aws:multifactorauthpresent": Kind.TRUTH,
    }
)
"""What only AWS itself could add to a request: that it came from another of its services, through a private network of
its own, from an organisation, with a second factor. A request to this service truly has none of them, and conditions on
them are decided accordingly, which is what AWS does with a request that lacks them. Nothing is left out of a
statement by that, so no statement allows more than at AWS."""

_NEVER_PREFIXES: Final = ("aws:principaltag/",)
_SETS_NEVER_PRESENT: Final = frozenset({"aws:calledvia", "aws:principalorgpaths", "aws:sourceorgpaths"})
_BY_NAME: Final[Mapping[str, ConditionKey]] = MappingProxyType({key.name: key for key in _KEYS})


def find_key(name: str) -> ConditionKey | None:
    """Return the condition key of a name in any case; None for one that is not understood."""
    lowered = name.casefold()
    known = _BY_NAME.get(lowered)
    if known is not None:
        return known
    if lowered.startswith(_CONTEXT_PREFIX) and len(lowered) > len(_CONTEXT_PREFIX):
        return _context_key(lowered)
    kind = NEVER_PRESENT.get(lowered)
    if kind is None and lowered.startswith(_NEVER_PREFIXES):
        kind = Kind.TEXT
    if kind is None:
        return None
    is_set = lowered in _SETS_NEVER_PRESENT
    return ConditionKey(lowered, kind, lambda _request: (), is_set=is_set, is_never_present=True)


def _context_key(lowered: str) -> ConditionKey:
    pair_name = lowered.removeprefix(_CONTEXT_PREFIX)
    return ConditionKey(lowered, Kind.TEXT, lambda request: request.context_values(pair_name))
