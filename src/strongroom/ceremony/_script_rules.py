"""What a script must be beyond its form, so that a ceremony that follows it is worth its witnesses' signatures.

Who takes part:
  1. Ids, names, keys and recipients are nobody else's.
  2. Somebody is ceremony administrator, and at least two people are witnesses, one of them of another organisation than
     the administrator's (the external witness).
  3. A delivery is a custodian's; keys, recipients and cards are well-formed.
What they do:
  4. Each step has an id of its own; whoever acts or confirms is a participant; nobody confirms their own step.
  5. The first step is ``attend``, the last ``witness-signatures``; neither stands elsewhere.
  6. What the type of the ceremony is for is done, and nothing that belongs to another type.
  7. What touches an HSM, shares or bags is confirmed by a witness, and done by somebody who is none.
  8. Shares are collected right before the one step that uses them, for the same bundle.
  9. Shares go to and come from custodians, each once, and there are enough of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from strongroom.ceremony._errors import ScriptError
from strongroom.ceremony._form import CeremonyRole, CeremonyType, Delivery, Participant, Script, Step
from strongroom.ceremony._parameters import (
    Action,
    CollectShares,
    MakeBackupSet,
    OpenBackup,
    Restore,
    WitnessSignatures,
)
from strongroom.core import StrongroomError
from strongroom.custody import CardUri, OfficerKey, check_recipient

_EVERYWHERE: Final = frozenset(
    {
        Action.ATTEND,
        Action.READ_ALOUD,
        Action.CHECK_SOFTWARE,
        Action.CHECK_MEMBERS,
        Action.BAG_IN,
        Action.BAG_OUT,
        Action.WITNESS_SIGNATURES,
    }
)
_OPENING: Final = frozenset({Action.COLLECT_SHARES, Action.OPEN_BACKUP})
_SET: Final = frozenset({Action.MAKE_BACKUP_SET, Action.CREATE_BACKUP})

_REQUIRED: Final[Mapping[CeremonyType, tuple[frozenset[Action], ...]]] = MappingProxyType(
    {
        CeremonyType.ROOT_KEY: (frozenset({Action.INITIALISE}),),
        CeremonyType.BACKUP: (frozenset({Action.MAKE_BACKUP_SET}), frozenset({Action.CREATE_BACKUP})),
        CeremonyType.RECOVERY: (
            frozenset({Action.COLLECT_SHARES}),
            frozenset({Action.OPEN_BACKUP, Action.RESTORE}),
        ),
        CeremonyType.RESHARE: (
            frozenset({Action.MAKE_BACKUP_SET}),
            frozenset({Action.CREATE_BACKUP}),
            frozenset({Action.RETIRE_SET}),
        ),
        CeremonyType.OFFICER_CHANGE: (frozenset({Action.CHANGE_OFFICERS}),),
        CeremonyType.ROOT_CA: (frozenset({Action.MAKE_ROOT_CA}),),
        CeremonyType.MEMBER_JOIN: (frozenset({Action.JOIN_MEMBER}),),
    }
)
"""At least one of each."""
_ALSO: Final[Mapping[CeremonyType, frozenset[Action]]] = MappingProxyType(
    {
        CeremonyType.ROOT_KEY: _SET | _OPENING,
        CeremonyType.BACKUP: _OPENING,
        CeremonyType.RECOVERY: frozenset(),
        CeremonyType.RESHARE: _OPENING,
        CeremonyType.OFFICER_CHANGE: frozenset(),
        CeremonyType.ROOT_CA: frozenset({Action.CREATE_BACKUP}),
        CeremonyType.MEMBER_JOIN: frozenset(),
    }
)
_ONCE: Final = (Action.INITIALISE, Action.MAKE_BACKUP_SET, Action.CHANGE_OFFICERS, Action.MAKE_ROOT_CA)
"""What they keep has one name in the folder of a ceremony: the second would take the place of the first."""
_WATCHED: Final = frozenset(Action) - {
    Action.ATTEND,
    Action.READ_ALOUD,
    Action.CHECK_SOFTWARE,
    Action.WITNESS_SIGNATURES,
}
"""A witness confirms these."""


def check_rules(script: Script) -> None:
    """Raise ScriptError for the first rule that a script breaks."""
    _check_people(script.participants)
    for one in script.participants:
        _check_person(one)
    _check_steps(script)
    _check_type(script)
    _check_shares(script)


def _check_people(people: tuple[Participant, ...]) -> None:
    _each_once((one.id for one in people), "the id {} is two participants'")
    _each_once((one.name for one in people), "the name {} is two participants'")
    _each_once((one.key for one in people if one.key), "the key {} is two participants'")
    _each_once((one.recipient for one in people if one.recipient), "the recipient {} is two participants'")
    roles = [one.role for one in people]
    for role in (CeremonyRole.ADMINISTRATOR, CeremonyRole.EXTERNAL_WITNESS):
        if role not in roles:
            raise ScriptError(f"nobody takes part as {role}")
    if sum(one.is_witness for one in people) < 2:
        raise ScriptError("at least two people take part as witnesses")
    own = {one.organisation for one in people if one.role == CeremonyRole.ADMINISTRATOR}
    for one in people:
        if one.role == CeremonyRole.EXTERNAL_WITNESS and one.organisation in own:
            raise ScriptError(
                f"{one.id} is no external witness: the administrator is of the same organisation"
            )


def _check_person(one: Participant) -> None:
    _seen_on_one_line(one.name, one.organisation, one.location, one.recipient, of=one.id)
    if one.key:
        _well_formed(one.id, "key", lambda: _require_bare(one.key))
    is_custodian = one.role == CeremonyRole.CUSTODIAN
    if is_custodian != (one.delivery is not None):
        raise ScriptError(f"{one.id}: a custodian has a delivery, and nobody else has one")
    if one.recipient and one.delivery not in {Delivery.AGE, Delivery.CARD}:
        raise ScriptError(f"{one.id}: a recipient belongs to a delivery by age or on a card")
    if one.recipient:
        check = check_recipient if one.delivery == Delivery.AGE else CardUri.from_text
        _well_formed(one.id, "recipient", lambda: check(one.recipient))


def _require_bare(line: str) -> None:
    if OfficerKey.from_line(line).line != line:
        raise ScriptError("it stands without a comment: kind and base64")


def _well_formed(identifier: str, what: str, check: Callable[[], object]) -> None:
    try:
        check()
    except StrongroomError as error:
        raise ScriptError(f"the {what} of {identifier}: {error.message}", next_step=error.next_step) from None


def _check_steps(script: Script) -> None:
    _each_once((step.id for step in script.steps), "the id {} is two steps'")
    known = {one.id: one for one in script.participants}
    for step in script.steps:
        for identifier in (step.by, *step.witness):
            if identifier not in known:
                raise ScriptError(f"step {step.id}: nobody takes part as {identifier}")
        _each_once((step.by, *step.witness), f"step {step.id}: {{}} acts or confirms twice")
        if step.do == Action.READ_ALOUD and not step.say.strip():
            raise ScriptError(f"step {step.id}: what is read aloud (say) is missing")
        if step.do in _WATCHED:
            _check_watched(step, known)
    _check_ends(script)


def _check_watched(step: Step, known: Mapping[str, Participant]) -> None:
    if known[step.by].is_witness:
        raise ScriptError(f"step {step.id}: a witness watches it, and does not do it")
    if not any(known[one].is_witness for one in step.witness):
        raise ScriptError(f"step {step.id}: {step.do} is confirmed by a witness (witness)")


def _check_ends(script: Script) -> None:
    for place, action in ((0, Action.ATTEND), (-1, Action.WITNESS_SIGNATURES)):
        found = [step for step in script.steps if step.do == action]
        if len(found) != 1 or found[0] is not script.steps[place]:
            raise ScriptError(f"{action} is the {'last' if place else 'first'} step, and no other")
    parameters = script.steps[-1].parameters
    if isinstance(parameters, WitnessSignatures) and parameters.at_least > len(script.witnesses):
        raise ScriptError(
            f"{parameters.at_least} witnesses are to sign, and {len(script.witnesses)} take part"
        )


def _check_type(script: Script) -> None:
    done = {step.do for step in script.steps}
    required = _REQUIRED[script.type]
    for choice in required:
        if not done & choice:
            raise ScriptError(f"a ceremony of type {script.type} has a step {' or '.join(sorted(choice))}")
    for action in _ONCE:
        if sum(step.do == action for step in script.steps) > 1:
            raise ScriptError(f"{action} is one step of a ceremony: hold another ceremony for the next one")
    allowed = _EVERYWHERE.union(_ALSO[script.type], *required)
    for step in script.steps:
        if step.do not in allowed:
            raise ScriptError(f"step {step.id}: {step.do} has no place in a ceremony of type {script.type}")


def _check_shares(script: Script) -> None:
    before: Step | None = None
    for step in script.steps:
        parameters = step.parameters
        if isinstance(parameters, MakeBackupSet):
            _check_custodians(script, step, parameters.custodians, parameters.threshold)
        elif isinstance(parameters, CollectShares):
            _check_custodians(script, step, parameters.custodians, 2)
        _check_use_of_shares(before, step)
        before = step


def _check_use_of_shares(before: Step | None, step: Step) -> None:
    collected = before.parameters if before is not None else None
    used = step.parameters
    if isinstance(collected, CollectShares) != isinstance(used, OpenBackup | Restore):
        raise ScriptError(f"step {step.id}: open-backup or restore follows collect-shares, and nothing else")
    if isinstance(collected, CollectShares) and collected.bundle != getattr(used, "bundle", None):
        raise ScriptError(f"step {step.id}: the shares were collected for another bundle")


def _check_custodians(script: Script, step: Step, custodians: tuple[str, ...], needed: int) -> None:
    _each_once(custodians, f"step {step.id}: {{}} stands twice among the custodians")
    if len(custodians) < needed:
        raise ScriptError(f"step {step.id}: {needed} custodians are needed, and {len(custodians)} are named")
    custodian_ids = {one.id for one in script.participants if one.role == CeremonyRole.CUSTODIAN}
    for identifier in custodians:
        if identifier not in custodian_ids:
            raise ScriptError(f"step {step.id}: {identifier} takes part as no custodian")


def _each_once(values: Iterable[str], message: str) -> None:
    for double in _doubles(values):
        raise ScriptError(message.format(double))


def _doubles(values: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            yield value
        seen.add(value)


def _seen_on_one_line(*texts: str, of: str) -> None:
    for text in texts:
        if "\n" in text or text != text.strip():
            raise ScriptError(f"{of}: a name, place or recipient is one line, without blanks at its ends")
