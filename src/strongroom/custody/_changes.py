"""What the verbs of custody change: from one state, and parameters that officers approved, to the next state."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from strongroom.custody._documents import (
    Id,
    KeyLine,
    Person,
    QuorumRule,
    Recipient,
    Role,
    Verb,
    Words,
)
from strongroom.custody._errors import StateRefusedError
from strongroom.custody._recipients import check_recipient
from strongroom.custody._state import (
    CUSTODY_VERBS,
    CustodyState,
    Officer,
    check_roles,
    check_state,
    key_from_line,
    officer_from,
)


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a verb."""


class AddOfficer(_Change, frozen=True):
    """Somebody becomes an officer."""

    person: Person


class RevokeOfficer(_Change, frozen=True):
    """Somebody is an officer no longer, for good."""

    officer: Id
    reason: Words


class AddOfficerKey(_Change, frozen=True):
    """An officer gets one more key."""

    officer: Id
    key: KeyLine


class RevokeOfficerKey(_Change, frozen=True):
    """A key counts no longer, for good."""

    officer: Id
    key: KeyLine
    reason: Words


class ChangeOfficerRecipient(_Change, frozen=True):
    """Deliveries to an officer are encrypted to this from now on."""

    officer: Id
    recipient: Recipient


class ChangeOfficerRoles(_Change, frozen=True):
    """An officer's roles are these from now on."""

    officer: Id
    roles: tuple[Role, ...]


class SetQuorumRule(_Change, frozen=True):
    """A verb has this rule from now on."""

    verb: Verb
    rule: QuorumRule


class RemoveQuorumRule(_Change, frozen=True):
    """A verb has no rule any more, so nobody can have it done."""

    verb: Verb


ChangeT = TypeVar("ChangeT", bound=_Change)


def changed_state(
    state: CustodyState, verb: str, parameters: Mapping[str, object], *, head: str, at: int
) -> CustodyState:
    """Return the state after a change. Raises StateRefusedError and OfficerKeyError for changes that may not be."""
    if verb not in _CHANGES:
        raise StateRefusedError(f"{verb} changes neither officers nor rules")
    officers, rules, reachable = dict(state.officers), dict(state.rules), _CHANGES[verb]
    to_reach = reachable(officers, rules, parameters)
    changed = state._replace(
        head=head,
        history=state.history | {head},
        sequence=state.sequence + 1,
        at=at,
        officers=MappingProxyType(officers),
        rules=MappingProxyType(rules),
    )
    check_state(changed, reachable=to_reach)
    return changed


_Officers = dict[str, Officer]
_Rules = dict[str, QuorumRule]


def _read(parameters: Mapping[str, object], kind: type[ChangeT]) -> ChangeT:
    try:
        return msgspec.convert(parameters, kind, strict=True)
    except msgspec.ValidationError as error:
        raise StateRefusedError(f"the parameters are not those of {kind.__name__}: {error}") from error


def _active(officers: _Officers, officer_id: str) -> Officer:
    officer = officers.get(officer_id)
    if officer is None or officer.is_revoked:
        raise StateRefusedError(f"there is no officer {officer_id}, or it was revoked")
    return officer


def _add_officer(officers: _Officers, _rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    officer = officer_from(_read(parameters, AddOfficer).person)
    if officer.id in officers:
        raise StateRefusedError(f"the id {officer.id} is or was somebody's")
    officers[officer.id] = officer
    return set()


def _revoke_officer(officers: _Officers, _rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    change = _read(parameters, RevokeOfficer)
    officers[change.officer] = _active(officers, change.officer)._replace(is_revoked=True)
    return set()


def _add_key(officers: _Officers, _rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    change = _read(parameters, AddOfficerKey)
    officer, key = _active(officers, change.officer), key_from_line(change.key)
    if key.point in officer.points:
        raise StateRefusedError(f"{officer.id} has or had that key already")
    officers[officer.id] = officer._replace(keys=officer.keys | {key})
    return set()


def _revoke_key(officers: _Officers, _rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    change = _read(parameters, RevokeOfficerKey)
    officer, key = _active(officers, change.officer), key_from_line(change.key)
    if key not in officer.keys:
        raise StateRefusedError(f"{officer.id} has no such key")
    officers[officer.id] = officer._replace(
        keys=officer.keys - {key}, revoked_keys=officer.revoked_keys | {key}
    )
    return set()


def _change_recipient(officers: _Officers, _rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    change = _read(parameters, ChangeOfficerRecipient)
    check_recipient(change.recipient)
    officer = _active(officers, change.officer)
    officers[officer.id] = officer._replace(recipient=change.recipient)
    return set()


def _change_roles(officers: _Officers, _rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    change = _read(parameters, ChangeOfficerRoles)
    if not change.roles or list(change.roles) != sorted(set(change.roles)):
        raise StateRefusedError("the roles are not sorted, one stands twice, or there are none")
    check_roles(change.officer, change.roles)
    officer = _active(officers, change.officer)
    officers[officer.id] = officer._replace(roles=frozenset(change.roles))
    return set()


def _set_rule(_officers: _Officers, rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    change = _read(parameters, SetQuorumRule)
    rules[change.verb] = change.rule
    return {change.verb}


def _remove_rule(_officers: _Officers, rules: _Rules, parameters: Mapping[str, object]) -> set[str]:
    change = _read(parameters, RemoveQuorumRule)
    if change.verb not in rules or change.verb in CUSTODY_VERBS:
        raise StateRefusedError(f"{change.verb} has no rule, or one that it must have")
    del rules[change.verb]
    return set()


_Apply = Callable[[dict[str, Officer], dict[str, QuorumRule], Mapping[str, Any]], set[str]]
_CHANGES: Final[Mapping[str, _Apply]] = MappingProxyType(
    {
        "AddOfficer": _add_officer,
        "AddOfficerKey": _add_key,
        "ChangeOfficerRecipient": _change_recipient,
        "ChangeOfficerRoles": _change_roles,
        "RemoveQuorumRule": _remove_rule,
        "RevokeOfficer": _revoke_officer,
        "RevokeOfficerKey": _revoke_key,
        "SetQuorumRule": _set_rule,
    }
)
"""Each changes officers or rules in place, and returns the verbs whose rule must be reachable afterwards."""
