"""Small stand-ins for what rooms report to and ask: events and the approval gate."""

from collections.abc import Mapping
from typing import NamedTuple


class Event(NamedTuple):
    """One event as it was emitted."""

    name: str
    fields: dict[str, object]


class RecordingEvents:
    """A ``core.EventSink`` that keeps what it is told, in order. Safe to use from any thread."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: str, **fields: object) -> None:
        """Keep one event."""
        self.events.append(Event(event, fields))

    def named(self, name: str) -> list[dict[str, object]]:
        """Return the fields of every event of this name."""
        return [event.fields for event in self.events if event.name == name]


class OpenGate:
    """A ``core.ApprovalGate`` that lets everything through."""

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:
        """Allow."""
