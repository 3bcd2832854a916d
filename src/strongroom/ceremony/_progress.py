"""How far a ceremony came, and which entry may follow: a state machine without I/O, for the runner and the verifier alike.

| Entry | May stand |
|---|---|
| header | at the beginning, and nowhere else |
| begun | of a new step: when every step before is confirmed; again: of a step that is not done, or of collected shares while the step that uses them is not done |
| done | of a step that is begun |
| confirmed | of a step that is done |
| noted | within a step that is begun or done |
| deviation, interrupted, resumed | anywhere before the end |
| ended | complete: when every step is confirmed; abandoned: at any time; nothing follows |
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from strongroom.ceremony._entries import (
    Begun,
    Confirmed,
    Done,
    Ended,
    Entry,
    Header,
    Noted,
)
from strongroom.ceremony._errors import TranscriptError
from strongroom.ceremony._parameters import Action


class StepState(StrEnum):
    """How far a step came."""

    NEW = "new"
    BEGUN = "begun"
    """It may have done something."""
    DONE = "done"
    """What it did stands in the transcript; nobody has confirmed it yet."""
    CONFIRMED = "confirmed"


_TAKEN_AGAIN: Final[Mapping[StepState, frozenset[str]]] = MappingProxyType(
    {
        StepState.BEGUN: frozenset(Action),
        StepState.DONE: frozenset({Action.COLLECT_SHARES, Action.ATTEND}),
        StepState.CONFIRMED: frozenset({Action.COLLECT_SHARES}),
    }
)
"""What may be begun again, by how far it came: shares and initials that were not written yet are lost with their process."""


class Progress:
    """What the entries so far amount to. ``follow`` takes the next one."""

    def __init__(self) -> None:
        self._states: dict[str, StepState] = {}
        self._actions: dict[str, str] = {}
        self._has_header = False
        self.is_ended = False

    def state_of(self, step: str) -> StepState:
        """How far a step came."""
        return self._states.get(step, StepState.NEW)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that were begun, in the order in which they first were."""
        return tuple(self._states)

    def follow(self, entry: Entry) -> None:
        """Take an entry. Raises TranscriptError when it cannot follow what was before."""
        if self.is_ended:
            raise TranscriptError("it stands behind the end", entry=entry.seq)
        if isinstance(entry, Header) == self._has_header:
            raise TranscriptError("a transcript has one header, at its beginning", entry=entry.seq)
        self._has_header = True
        if isinstance(entry, Begun):
            self._begin(entry)
        elif isinstance(entry, Done):
            self._advance(entry.step, (StepState.BEGUN,), StepState.DONE, entry.seq)
        elif isinstance(entry, Confirmed):
            self._advance(entry.step, (StepState.DONE,), StepState.CONFIRMED, entry.seq)
        elif isinstance(entry, Noted) and self.state_of(entry.step) not in {StepState.BEGUN, StepState.DONE}:
            raise TranscriptError(f"the step {entry.step} is not under way", entry=entry.seq)
        elif isinstance(entry, Ended):
            self._end(entry)

    def _begin(self, entry: Begun) -> None:
        state = self.state_of(entry.step)
        if entry.is_again != (state != StepState.NEW):
            raise TranscriptError(
                f"the step {entry.step} was {'not ' if entry.is_again else ''}begun before", entry=entry.seq
            )
        if self._actions.setdefault(entry.step, entry.action) != entry.action:
            raise TranscriptError(f"the step {entry.step} had another action before", entry=entry.seq)
        self._require_earlier(entry.step, entry.seq)
        later = self._later(entry.step)
        if state != StepState.NEW and entry.action not in _TAKEN_AGAIN[state]:
            raise TranscriptError(f"the step {entry.step} was done already", entry=entry.seq)
        if any(one != StepState.BEGUN for one in later) or len(later) > 1:
            raise TranscriptError(f"a step after {entry.step} was done already", entry=entry.seq)
        self._states[entry.step] = StepState.BEGUN

    def _advance(self, step: str, come_from: tuple[StepState, ...], to: StepState, seq: int) -> None:
        if self.state_of(step) not in come_from:
            raise TranscriptError(
                f"the step {step} is {self.state_of(step)}, and cannot be {to} now", entry=seq
            )
        self._require_earlier(step, seq)
        self._states[step] = to

    def _require_earlier(self, step: str, seq: int) -> None:
        for name, state in self._states.items():
            if name == step:
                return
            if state != StepState.CONFIRMED:
                raise TranscriptError(f"the step {name} before it is not confirmed", entry=seq)

    def _later(self, step: str) -> list[StepState]:
        names = list(self._states)
        return [self._states[name] for name in names[names.index(step) + 1 :]] if step in names else []

    def _end(self, entry: Ended) -> None:
        if entry.state == "complete":
            for name, state in self._states.items():
                if state != StepState.CONFIRMED:
                    raise TranscriptError(f"it ends before the step {name} is confirmed", entry=entry.seq)
        self.is_ended = True
