"""The catalogue of events: every type that our code writes, what it means, and which details it may have.

One type per event: the shape of all entries is ``Entry`` of a version, and what its ``event`` adds to that (which names its
``detail`` may have, and which classes of PCI DSS it belongs to) is written here once. Tests compare it with the source, with what
services write, and with docs/audit-events.md.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from strongroom.audit._catalogue_calls import call_types
from strongroom.audit._catalogue_events import SERVICE_TYPES
from strongroom.audit._entry import DETAIL_CUT, Entry
from strongroom.audit._event_type import EventType, Pci

CATALOGUE: Final[Mapping[str, EventType]] = MappingProxyType(
    {one.name: one for one in (*call_types(), *SERVICE_TYPES)}
)
"""All types of events by name."""
DENIED: Final = frozenset(
    {
        *("AccessDeniedError", "InactiveAccessKeyError", "InvalidGrantTokenError"),
        *("ApprovalRefusedError", "NoRuleError"),
    }
)
"""Outcomes of calls that somebody may not make (``Pci.FAILED_ACCESS``), beside refusals."""


def find_event(event: str) -> EventType | None:
    """Return the type of an event; None for one that this program does not know, such as of a later version."""
    return CATALOGUE.get(event)


def classes_of(entry: Entry) -> frozenset[Pci]:
    """Return the classes of PCI DSS 10.2.1 that an entry belongs to: those of its event, and failed access."""
    known = CATALOGUE.get(entry.event)
    classes = frozenset[Pci]() if known is None else known.classes
    is_failed = entry.kind == "refusal" or entry.outcome in DENIED
    return classes | {Pci.FAILED_ACCESS} if is_failed else classes


def unknown_details(entry: Entry) -> frozenset[str]:
    """Return the names in an entry's detail that the type of its event does not have; all where there is no such type."""
    known = CATALOGUE.get(entry.event)
    if known is None:
        return frozenset(entry.detail)
    prefixes = tuple(name[:-1] for name in known.details if name.endswith("*"))
    return frozenset(
        name
        for name in entry.detail
        if name not in known.details and name != DETAIL_CUT and not (prefixes and name.startswith(prefixes))
    )
