"""Acts, which people approve, and the calls inside a member that each of them covers. Pure: a table and its reading.

An officer approves that *a key is made* or that *this key is destroyed*; a member worker is asked to generate an object with
some CKA_ID. The table says which call an act covers, by which of its parameters, and how often. What it does not name is
covered by nothing.

    act             covers at the worker                        how often, on each member
    CreateHsmKey    GenerateDirect of that spec, usage, leave   once
    DestroyHsmKey   DestroyDirect of each of the keys           each key once
    ReplaceHsmKey   the same, on the one member that it names   each key once
    RotateRoot      GenerateRoot                                once
    RetireRoot      DestroyRoot of that root                    once
    RotatePin       SetPin of that role, on that member         for one change, until it is made
    AddMember       what giving a member its keys takes         for an hour, from the first call

``ResetMember`` is judged where C_InitToken is called, which no worker does that serves. Acts of the service alone
(``ScheduleKeyDeletion``) and changes of officers and rules cover nothing here.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from strongroom.custody._canonical import Json
from strongroom.custody._documents import Words
from strongroom.custody._errors import ApprovalRefusedError, Refusal

MAX_HSM_KEYS: Final = 1500
"""Keys that one act may destroy: as many as fit into a request."""
SESSION_S: Final = 3600
"""For how long an act that covers a session does so, from its first call on a member."""
LATE_ACTS: Final = frozenset({"DestroyHsmKey", "RetireRoot", "RotatePin"})
"""Acts that a member may be told of after they expired, since it was away when they were begun."""
LATE_S: Final = 400 * 86_400
"""How long after it expired a member takes such an act."""

HsmKeyHex = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
MemberName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_HsmKeys = Annotated[tuple[HsmKeyHex, ...], msgspec.Meta(min_length=1, max_length=MAX_HSM_KEYS)]


class _Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of an act."""


class CreateHsmKey(_Act, frozen=True):
    """Make a Direct key of a kind, whatever it is named."""

    spec: Words
    """As ``core.KeySpec`` names it."""
    usage: Words
    may_leave: bool


class DestroyHsmKey(_Act, frozen=True):
    """Destroy Direct keys on every member."""

    key_id: Annotated[str, msgspec.Meta(max_length=200)]
    """The key of the service that they are versions of; empty for keys that belong to none."""
    hsm_keys: _HsmKeys
    """Their CKA_IDs: sorted, each once."""


class ReplaceHsmKey(_Act, frozen=True):
    """Destroy Direct keys on one member, where they are not the same as on the others, so that they are copied anew."""

    member: MemberName
    hsm_keys: _HsmKeys


class RotateRoot(_Act, frozen=True):
    """Make a new root."""

    root_id: HsmKeyHex
    """The current one."""


class RetireRoot(_Act, frozen=True):
    """Destroy an old root on every member."""

    root_id: HsmKeyHex


class RotatePin(_Act, frozen=True):
    """Change the PIN of a member's token."""

    member: MemberName
    role: Literal["user", "so"]


class AddMember(_Act, frozen=True):
    """Give a member what it needs to serve."""

    member: MemberName
    token_serial: Words


class ResetMember(_Act, frozen=True):
    """Erase a member's token."""

    member: MemberName
    token_serial: Words


ACTS: Final[Mapping[str, type[_Act]]] = MappingProxyType(
    {
        act.__name__: act
        for act in (
            CreateHsmKey,
            DestroyHsmKey,
            ReplaceHsmKey,
            RotateRoot,
            RetireRoot,
            RotatePin,
            AddMember,
            ResetMember,
        )
    }
)
"""The acts whose parameters have a form."""

FREE_CALLS: Final = frozenset({"WrapOut", "TakeInRoot", "TakeInKey"})
"""Calls that need no approval: they copy keys under transport keys to where they belong, and show none to anybody."""

_SESSION_CALLS: Final = frozenset(
    {
        "OfferTransport",
        "MakeTransportKeys",
        "TakeTransportKeys",
        "EndTransportOffer",
        "DestroyTransportKey",
        "GenerateImportPair",
        "ImportTrustedPublic",
        "DestroyImportPair",
        "DestroyTrustedPublic",
        "WrapOutRoot",
        "UnwrapInRoot",
    }
)


class Often(Enum):
    """How often an act may be done on one member."""

    ONCE = "once"
    EACH_ONCE = "each key once"
    CHANGE = "for one change"
    SESSION = "for an hour"


class Part(NamedTuple):
    """The part of an act that a call is."""

    often: Often
    name: str = ""
    """What of the act it is, where parts are spent one by one: the key, or the id of the change, in hex."""


def read_act(verb: str, parameters: Mapping[str, Json]) -> _Act | None:
    """Return the parameters of an act in their form; None for a verb whose parameters have none.

    Raises ApprovalRefusedError (MALFORMED). Whoever makes a request for such an act calls this first: what is malformed
    would be signed, and then cover nothing.
    """
    kind = ACTS.get(verb)
    if kind is None:
        return None
    try:
        act = msgspec.convert(parameters, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ApprovalRefusedError(Refusal.MALFORMED, f"{verb}: {error}") from error
    keys = getattr(act, "hsm_keys", ())
    if list(keys) != sorted(set(keys)):
        raise ApprovalRefusedError(Refusal.MALFORMED, f"{verb}: hsm_keys are not sorted, or one stands twice")
    return act


def acts_covering(call: str) -> frozenset[str]:
    """Return the acts that could cover a call, whatever its parameters; none for a call that nobody can approve."""
    return frozenset(act for act, calls in _COVERED.items() if call in calls)


def part_covered(
    verb: str, parameters: Mapping[str, Json], call: str, values: Mapping[str, object], *, member: str
) -> Part | None:
    """Return which part of an act a call is; None if it is none. ``values`` are the parameters of the call as the gate sees them.

    Only what the table names is looked at: a new PIN is not. Raises ApprovalRefusedError for parameters of an act without
    their form.
    """
    covers = _COVERED.get(verb, {}).get(call)
    act = read_act(verb, parameters)
    return None if covers is None or act is None else covers(act, values, member)


def _create_key(act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    key: Any = values.get("key")
    asked = (str(key.spec), str(key.usage), values.get("may_leave"))
    return Part(Often.ONCE) if asked == (act.spec, act.usage, act.may_leave) else None


def _destroy_key(act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    key: Any = values.get("key")
    name = bytes(key.key_id).hex()
    return Part(Often.EACH_ONCE, name) if name in act.hsm_keys else None


def _replace_key(act: Any, values: Mapping[str, object], member: str) -> Part | None:
    return _destroy_key(act, values, member) if act.member == member else None


def _make_root(_act: Any, _values: Mapping[str, object], _member: str) -> Part | None:
    return Part(Often.ONCE)  # which root is the current one, main alone knows


def _destroy_root(act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    root_id: Any = values.get("root_id")
    return Part(Often.EACH_ONCE, act.root_id) if bytes(root_id).hex() == act.root_id else None


def _set_pin(act: Any, values: Mapping[str, object], member: str) -> Part | None:
    is_meant = (member, values.get("role")) == (act.member, act.role)
    return Part(Often.CHANGE, str(values.get("change"))) if is_meant else None


def _session(_act: Any, _values: Mapping[str, object], _member: str) -> Part | None:
    return Part(Often.SESSION)


_Covers = Callable[[Any, Mapping[str, object], str], Part | None]
_COVERED: Final[Mapping[str, Mapping[str, _Covers]]] = MappingProxyType(
    {
        "CreateHsmKey": {"GenerateDirect": _create_key},
        "DestroyHsmKey": {"DestroyDirect": _destroy_key},
        "ReplaceHsmKey": {"DestroyDirect": _replace_key},
        "RotateRoot": {"GenerateRoot": _make_root},
        "RetireRoot": {"DestroyRoot": _destroy_root},
        "RotatePin": {"SetPin": _set_pin},
        "AddMember": dict.fromkeys(_SESSION_CALLS, _session),
    }
)
