"""What the log holds of each requirement of PCI DSS v4.0, 10.2.1.1 to 10.2.1.7, and of the fields that 10.2.2 asks for."""

from typing import Final

from msgspec import Struct

from strongroom.audit._catalogue import classes_of, find_event
from strongroom.audit._entry import Entry
from strongroom.audit._event_type import Pci
from strongroom.audit._report_counts import Tallies, Tally

TITLES: Final = {
    Pci.USE: "individual access to protected data: here each use of a key",
    Pci.ADMINISTRATION: "actions with administrative access",
    Pci.LOG_ACCESS: "access to audit logs",
    Pci.FAILED_ACCESS: "invalid logical access attempts",
    Pci.CREDENTIALS: "changes of credentials and of who may do what",
    Pci.LOG_STATE: "start, stop and pause of the audit log",
    Pci.OBJECTS: "creation and deletion of system-level objects",
}
"""The requirements in our words."""
_MOST_EVENTS: Final = 1_000
_NOBODY: Final = frozenset(("", "-"))


class PciEvents(Struct, frozen=True):
    """Entries of one event."""

    event: str
    tally: Tally


class PciRequirement(Struct, frozen=True):
    """What the log holds of one requirement; ``tally.entries`` is 0 where it holds nothing."""

    requirement: str
    title: str
    tally: Tally
    events: list[PciEvents]


class PciField(Struct):
    """One detail that 10.2.2 asks for, in the entries that count for a requirement."""

    field: str
    filled: int = 0
    by_itself: int = 0
    """Entries of what the service did or met by itself, which nobody asked for and which has no outcome to tell."""
    missing: int = 0
    example: str = ""
    """The first entry where it is missing, as WRITER/NUMBER."""


class PciReport(Struct, frozen=True):
    """All of it."""

    entries: int
    """That were of the time."""
    requirements: list[PciRequirement]
    fields: list[PciField]
    unclassified: list[PciEvents]
    """Events that count for no requirement."""
    unknown: list[PciEvents]
    """Events that this program does not know, such as of a later version."""
    left_out: int
    """Entries of events for which there was no room in these lists."""


class PciCount:
    """Counts entry by entry, in bounded memory."""

    def __init__(self) -> None:
        self._entries = 0
        self._tallies = {one: Tally() for one in TITLES}
        self._events = {one: Tallies[str](_MOST_EVENTS) for one in TITLES}
        self._unclassified, self._unknown = Tallies[str](_MOST_EVENTS), Tallies[str](_MOST_EVENTS)
        names = ("user identification", "success or failure", "origination", "affected data or resource")
        self._user, self._outcome, self._origin, self._affected = (PciField(name) for name in names)
        self._type, self._when = PciField("type of event"), PciField("date and time")

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self._entries += 1
        classes = classes_of(entry)
        if not classes:
            tallies = self._unknown if find_event(entry.event) is None else self._unclassified
            tallies.add(entry.event, entry.at)
            return
        for one in classes:
            self._tallies[one].add(entry.at)
            self._events[one].add(entry.event, entry.at)
        self._look_at_fields(entry)

    def _look_at_fields(self, entry: Entry) -> None:
        is_event = entry.kind == "event"
        told = entry.detail  # of sums it holds whose requests they are, and from where
        is_named = bool(entry.principal) or entry.access_key_id not in _NOBODY or "access_keys" in told
        _count(self._user, entry, is_filled=is_named, is_by_itself=is_event)
        _count(self._type, entry, is_filled=bool(entry.event))
        _count(self._when, entry, is_filled=entry.at > 0)
        has_outcome = bool(entry.outcome) or entry.kind == "refusal"
        _count(self._outcome, entry, is_filled=has_outcome, is_by_itself=is_event or entry.kind == "intent")
        is_local = entry.principal.startswith(("local/", "strongroom"))
        _count(
            self._origin,
            entry,
            is_filled=bool(entry.source_address) or is_local or "sources" in told,
            is_by_itself=is_event,
        )
        is_told = bool(entry.key_id or entry.member or told)
        _count(self._affected, entry, is_filled=is_told or bool(entry.event.partition(".")[2].strip("-")))

    def report(self) -> PciReport:
        """Return what was counted."""
        tables = (*self._events.values(), self._unclassified, self._unknown)
        return PciReport(
            self._entries,
            [
                PciRequirement(one.value, title, self._tallies[one], _listed(self._events[one]))
                for one, title in TITLES.items()
            ],
            [self._user, self._type, self._when, self._outcome, self._origin, self._affected],
            _listed(self._unclassified),
            _listed(self._unknown),
            sum(table.left_out for table in tables),
        )


def _count(field: PciField, entry: Entry, *, is_filled: bool, is_by_itself: bool = False) -> None:
    if is_filled:
        field.filled += 1
    elif is_by_itself:
        field.by_itself += 1
    else:
        field.missing += 1
        field.example = field.example or f"{entry.writer}/{entry.seq}"


def _listed(tallies: Tallies[str]) -> list[PciEvents]:
    return [PciEvents(event, tally) for event, tally in tallies.items()]
