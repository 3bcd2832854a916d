"""The pages that the runner puts up."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from strongroom.ceremony._console import Page
from strongroom.ceremony._effects import Outcome
from strongroom.ceremony._entries import Entry, Software
from strongroom.ceremony._facts import fact_rows, with_words
from strongroom.ceremony._form import Participant, Script, Step
from strongroom.ceremony._parameters import Action
from strongroom.ceremony._talk import facts_of_people, words_of_role
from strongroom.core import StrongroomError

_SAID_AT_THE_END: Final = frozenset({Action.READ_ALOUD, Action.CHECK_SOFTWARE, Action.WITNESS_SIGNATURES})
"""Steps that ask nothing before they are confirmed: they have one page."""


def opening_page(
    script: Script, software: Software, initials: Mapping[str, str], _entries: tuple[Entry, ...]
) -> Page:
    """Which script, and who."""
    return Page(
        script.title,
        who=_person(script.participant(script.steps[0].by)),
        aloud="I read the hash of the script. Everybody compares it with their copy.",
        facts=(
            *with_words((("script", script.sha256),)),
            ("software", f"Strongroom {software.version}"),
            *facts_of_people(script, initials),
        ),
    )


def resumed_page(
    script: Script, software: Software, initials: Mapping[str, str], entries: tuple[Entry, ...]
) -> Page:
    """Where the ceremony was interrupted."""
    return opening_page(script, software, initials, entries)._replace(
        title=f"{script.title}: resumed",
        aloud="The ceremony was interrupted, and goes on. I read the hash of the script. Everybody compares it with their copy.",
    )


def before_page(script: Script, step: Step) -> Page:
    """A step that is about to be done."""
    return Page(
        action_words(step.do),
        position=_position(script, step),
        who=_person(script.participant(step.by)),
        aloud=step.say.strip(),
        lines=_expected(step),
        facts=parameter_rows(step),
    )


def done_page(script: Script, step: Step, outcome: Outcome, rows: tuple[tuple[str, str], ...]) -> Page:
    """What came of a step: everybody looks at it, and gives initials."""
    artefacts = tuple((f"file {one.name}", one.sha256) for one in outcome.artefacts)
    return Page(
        action_words(step.do) if step.do in _SAID_AT_THE_END else f"{action_words(step.do)}: done",
        position=_position(script, step),
        who=", ".join(script.participant(one).name for one in (step.by, *step.witness)),
        aloud=step.say.strip() if step.do in _SAID_AT_THE_END else "",
        lines=_expected(step),
        facts=with_words((*rows, *artefacts)),
        warning="; ".join(outcome.deviations),
    )


def trouble_page(script: Script, step: Step, error: StrongroomError) -> Page:
    """A step that failed."""
    return Page(
        f"{action_words(step.do)}: not done",
        position=_position(script, step),
        who=_person(script.participant(step.by)),
        lines=(f"What to do: {error.next_step}",) if error.next_step else (),
        warning=error.message,
    )


def action_words(action: str) -> str:
    """Return an action as it is said: ``Make backup set``."""
    return action.replace("-", " ").capitalize().replace(" ca", " CA")


def parameter_rows(step: Step) -> tuple[tuple[str, str], ...]:
    """Return what the script says with a step, as rows; what is left empty is not shown."""
    parameters: dict[str, Any] = msgspec.to_builtins(step.parameters)
    return tuple((label, value) for label, value in fact_rows(parameters) if value and value != "none")


def _expected(step: Step) -> tuple[str, ...]:
    return (f"Expected: {step.expect.strip()}",) if step.expect.strip() else ()


def _position(script: Script, step: Step) -> str:
    return f"Step {script.steps.index(step) + 1} of {len(script.steps)}"


def _person(one: Participant) -> str:
    return f"{one.name}, {words_of_role(one.role)}"
