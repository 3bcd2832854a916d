"""Steps that need no HSM: who is there, what is read aloud, which software runs, bags, and the end."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.ceremony._console import Page, Question
from strongroom.ceremony._effects import Outcome
from strongroom.ceremony._entries import Confirmation, Software
from strongroom.ceremony._form import Participant, Script, Step
from strongroom.ceremony._parameters import (
    Action,
    Bag,
    Bags,
    CheckSoftware,
    MakeBackupSet,
    WitnessSignatures,
)
from strongroom.ceremony._talk import Talk, words_of_role
from strongroom.custody import Json

ABSENT: Final = "-"


class OwnDesk(NamedTuple):
    """What these steps work with."""

    talk: Talk
    script: Script
    software: Software
    page: Page
    """The page of the step, to be shown anew with what was found."""


async def attend(desk: OwnDesk) -> tuple[Outcome, tuple[Confirmation, ...]]:
    """Ask everybody for initials; whoever acts in no step may be absent."""
    needed = people_needed(desk.script)
    given: list[Confirmation] = []
    absent: list[Participant] = []
    for one in desk.script.participants:
        text = f"{one.name}, {words_of_role(one.role)}, {one.organisation}: initials ({ABSENT} if absent)"
        while True:
            answer = (await desk.talk.ask(Question("attend", one.id, text))).upper()
            if answer == ABSENT and one.id not in needed:
                absent.append(one)
                break
            trouble = desk.talk.trouble_with(answer, one.id)
            if trouble is None:
                desk.talk.initials[one.id] = answer
                given.append(Confirmation(who=one.id, initials=answer, at=desk.talk.now()))
                break
            if answer == ABSENT:
                trouble = (
                    f"{one.name} acts or confirms in a step, so without them there is no ceremony: /pause."
                )
            await desk.talk.say(trouble)
    facts = {"present": [one.who for one in given], "absent": [one.id for one in absent]}
    missing = tuple(f"{one.name} ({words_of_role(one.role)}) is not here" for one in absent)
    return Outcome(facts, deviations=missing), tuple(given)


def people_needed(script: Script) -> frozenset[str]:
    """Who acts or confirms somewhere, or gets a share: nobody gives it to them later."""
    needed = {one for step in script.steps for one in (step.by, *step.witness)}
    for step in script.steps:
        if isinstance(step.parameters, MakeBackupSet):
            needed.update(step.parameters.custodians)
    return frozenset(needed)


async def read_aloud(_desk: OwnDesk, _step: Step) -> Outcome:
    """What is said stands on the page on which it is confirmed by initials."""
    return Outcome()


async def check_software(desk: OwnDesk, step: Step) -> Outcome:
    """Find out what runs, and say where it is not what the script expects."""
    found = desk.software
    facts: dict[str, Json] = {
        "version": found.version,
        "sha256": found.sha256,
        "files": found.files,
        "python": found.python,
    }
    deviations = []
    if isinstance(step.parameters, CheckSoftware):
        expected = {"version": step.parameters.version, "sha256": step.parameters.sha256}
        deviations = [
            f"the {name} of the software is {facts[name]}, and the script expects {value}"
            for name, value in expected.items()
            if value and value != facts[name]
        ]
    return Outcome(facts, deviations=tuple(deviations))


async def bag_in(desk: OwnDesk, step: Step) -> Outcome:
    """Ask for the number of each bag that was closed, twice: it is read off the bag by two people."""
    return await _bags(desk, step, is_out=False)


async def bag_out(desk: OwnDesk, step: Step) -> Outcome:
    """Ask for the number of each bag that is opened, and whether it was whole."""
    return await _bags(desk, step, is_out=True)


async def _bags(desk: OwnDesk, step: Step, *, is_out: bool) -> Outcome:
    await desk.talk.show(desk.page)
    found: list[dict[str, str | bool]] = []
    deviations = []
    bags = step.parameters.bags if isinstance(step.parameters, Bags) else ()
    for bag in bags:
        number = await _number(desk.talk, step, bag, frozenset(str(one["number"]) for one in found))
        if bag.number and number != bag.number:
            deviations.append(
                f"the bag with {bag.contents} has the number {number}, and the script says {bag.number}"
            )
        facts: dict[str, str | bool] = {"contents": bag.contents, "number": number}
        if is_out:
            question = Question(
                "bag-intact", step.witness[0], f"{bag.contents}: is the seal whole? (yes, no)"
            )
            facts["seal-whole"] = await desk.talk.ask_choice(question, ("yes", "no")) == "yes"
            if not facts["seal-whole"]:
                deviations.append(f"the seal of the bag with {bag.contents} is not whole")
        found.append(facts)
    return Outcome({"bags": found}, deviations=tuple(deviations))


async def _number(talk: Talk, step: Step, bag: Bag, taken: frozenset[str]) -> str:
    while True:
        text = f"Number of the bag: {bag.contents}"
        first = await talk.ask_words(Question("bag-number", step.by, text, bag.number))
        again = Question("bag-number-again", step.witness[0], f"{text}, read by a witness", bag.number)
        if await talk.ask_words(again) != first:
            await talk.say("The two numbers are not the same. Read it again, both of you.")
        elif first in taken:
            await talk.say("This is the number of another bag. Read it again, both of you.")
        else:
            return first


async def witness_signatures(desk: OwnDesk, step: Step) -> Outcome:
    """Say who is to sign; the transcript is closed right after this."""
    needed = step.parameters.at_least if isinstance(step.parameters, WitnessSignatures) else 2
    return Outcome({"witnesses": [one.id for one in desk.script.witnesses], "at-least": needed})


OWN_STEPS: Final[Mapping[Action, Callable[[OwnDesk, Step], Awaitable[Outcome]]]] = MappingProxyType(
    {
        Action.READ_ALOUD: read_aloud,
        Action.CHECK_SOFTWARE: check_software,
        Action.BAG_IN: bag_in,
        Action.BAG_OUT: bag_out,
        Action.WITNESS_SIGNATURES: witness_signatures,
    }
)
"""All but ``attend``, which confirms as it goes."""
