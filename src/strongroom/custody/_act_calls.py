"""The calls inside a member that acts cover, which people approve. Pure: a table and its reading.

An officer approves that *a key is made* or that *this key is destroyed*; a member worker is asked to generate an object with
some CKA_ID. The table says which call an act covers, by which of its parameters, and how often. What it does not name is
covered by nothing.

    act             covers at the worker                        how often, on each member
    CreateHsmKey    GenerateDirect of that spec, usage, leave   once
    MakeAuditKey    GenerateDirect of that spec, which may     once
                    leave, signs, and has the label of
                    the key of the audit log
    DestroyHsmKey   DestroyDirect of each of the keys           each key once
    ReplaceHsmKey   the same, on the one member that it names   each key once
    RotateRoot      GenerateRoot                                once
    RetireRoot      DestroyRoot of that root                    once
    RotatePin       SetPin of that role, on that member         for one change, until it is made
    AddMember       what giving a member its keys takes         for an hour, from the first call
    MakeBackupSet   MakeBackupPair, keys of the set, the one    for an hour, from the first call
                    that signs; undoing all that
    CreateBackup    WrapOut under a transport key of that set   for an hour, also on members that serve
    RestoreBackup   OfferBackup, and what takes keys in         for an hour, from the first call
    RetireBackupSet DestroyTransportKey of that set's           for an hour, also on members that serve

A call "of that set" is one whose transport key is named after it (``core.is_backup_transport``). ``WrapOut`` under another transport
key copies a key between members and is free.

``ResetMember`` is judged where C_InitToken is called, which no worker does that serves. Acts of the service alone
(``ScheduleKeyDeletion``, ``PruneAuditLog``) and changes of officers and rules cover nothing here.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from strongroom.core import AUDIT_KEY_LABEL, KeySpec, KeyUsage, is_backup_transport
from strongroom.custody._acts import read_act
from strongroom.custody._canonical import Json

_FREE_CALLS: Final = frozenset({"TakeInRoot", "TakeInKey"})
"""Calls that need no approval: they copy keys under transport keys to where they belong, and show none to anybody.

``WrapOut`` is a third, unless it wraps for a backup (``is_free``).
"""

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
    RUN = "for an hour, also on members that serve"
    """Under a standing approval each such hour is one use."""


class Part(NamedTuple):
    """The part of an act that a call is."""

    often: Often
    name: str = ""
    """What of the act it is, where parts are spent one by one: the key, or the id of the change, in hex."""


def is_free(call: str, values: Mapping[str, object]) -> bool:
    """Whether a call needs no approval. ``values`` as ``part_covered`` takes them."""
    return call in _FREE_CALLS or (call == "WrapOut" and not _is_of_backup(values))


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


def _audit_key(act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    key: Any = values.get("key")
    asked = (str(key.spec), key.usage, values.get("may_leave"), values.get("label"))
    is_meant = asked == (act.spec, KeyUsage.SIGN_VERIFY, True, AUDIT_KEY_LABEL)
    return Part(Often.ONCE) if is_meant else None


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


def _is_of_backup(values: Mapping[str, object], set_id: str | None = None) -> bool:
    transport_id: Any = values.get("transport_id")
    return is_backup_transport(bytes(transport_id), None if set_id is None else bytes.fromhex(set_id))


def _member_transport(_act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    """Destroy a transport key between members; those of backups are no business of it."""
    return None if _is_of_backup(values) else Part(Often.SESSION)


def _names_transports(values: Mapping[str, object], *, of_backup: bool) -> bool:
    names: Any = values.get("names")
    return all(is_backup_transport(bytes(name.cka_id)) is of_backup for name in names)


def _member_transports(_act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    return Part(Often.SESSION) if _names_transports(values, of_backup=False) else None


def _of_backup(act: Any, values: Mapping[str, object], member: str) -> Part | None:
    is_meant = member in act.members and _is_of_backup(values)
    return Part(Often.SESSION) if is_meant else None


def _make_backup_transports(act: Any, values: Mapping[str, object], member: str) -> Part | None:
    targets: Any = values.get("targets")
    is_meant = member in act.members and _names_transports(values, of_backup=True)
    return Part(Often.SESSION) if is_meant and len(targets) == 1 else None


def _member_of_set(act: Any, _values: Mapping[str, object], member: str) -> Part | None:
    return Part(Often.SESSION) if member in act.members else None


def _signing_key(act: Any, values: Mapping[str, object], member: str) -> Part | None:
    key: Any = values.get("key")
    asked = (key.spec, key.usage, values.get("may_leave"))
    is_meant = asked == (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY, True)
    return Part(Often.SESSION) if is_meant and member in act.members else None


def _opened_transports(_act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    return Part(Often.SESSION) if _names_transports(values, of_backup=True) else None


def _opened_transport(_act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    return Part(Often.SESSION) if _is_of_backup(values) else None


def _of_this_set(act: Any, values: Mapping[str, object], _member: str) -> Part | None:
    return Part(Often.RUN) if _is_of_backup(values, act.set_id) else None


_Covers = Callable[[Any, Mapping[str, object], str], Part | None]
_COVERED: Final[Mapping[str, Mapping[str, _Covers]]] = MappingProxyType(
    {
        "CreateHsmKey": {"GenerateDirect": _create_key},
        "MakeAuditKey": {"GenerateDirect": _audit_key},
        "DestroyHsmKey": {"DestroyDirect": _destroy_key},
        "ReplaceHsmKey": {"DestroyDirect": _replace_key},
        "RotateRoot": {"GenerateRoot": _make_root},
        "RetireRoot": {"DestroyRoot": _destroy_root},
        "RotatePin": {"SetPin": _set_pin},
        "AddMember": {
            **dict.fromkeys(_SESSION_CALLS, _session),
            "MakeTransportKeys": _member_transports,
            "DestroyTransportKey": _member_transport,
        },
        "MakeBackupSet": {
            "MakeBackupPair": _member_of_set,
            "MakeTransportKeys": _make_backup_transports,
            "DestroyTransportKey": _of_backup,
            "GenerateDirect": _signing_key,
        },
        "CreateBackup": {"WrapOut": _of_this_set},
        "RestoreBackup": {
            "OfferBackup": _session,
            "EndTransportOffer": _session,
            "TakeTransportKeys": _opened_transports,
            "DestroyTransportKey": _opened_transport,
        },
        "RetireBackupSet": {"DestroyTransportKey": _of_this_set},
    }
)
