"""``EventType``: what is known of one name of an event, and the classes of PCI DSS that it belongs to."""

from enum import StrEnum
from typing import NamedTuple


class Pci(StrEnum):
    """What PCI DSS v4.0 wants logged, by the number of its requirement."""

    USE = "10.2.1.1"
    """Individual access to protected data: here each use of a key, and of what keys protect."""
    ADMINISTRATION = "10.2.1.2"
    """What anybody with administrative access does, and looks at."""
    LOG_ACCESS = "10.2.1.3"
    """Access to the audit log."""
    FAILED_ACCESS = "10.2.1.4"
    """Invalid logical access attempts. Also every refusal, and every outcome of ``DENIED``, whatever its event."""
    CREDENTIALS = "10.2.1.5"
    """Changes of credentials, and of who may do what: access keys, PINs, officers, policies, grants."""
    LOG_STATE = "10.2.1.6"
    """Beginning, end, pause and refusal of the audit log."""
    OBJECTS = "10.2.1.7"
    """Making and destroying what the system is made of: keys, domains, roots, members, backups."""


class EventType(NamedTuple):
    """One type of event."""

    name: str
    """As in ``Entry.event``."""
    meaning: str
    """What happened, in a few words."""
    classes: frozenset[Pci]
    details: frozenset[str]
    """Names that ``Entry.detail`` may have; one that ends in ``*`` stands for all that begin so."""


def event_type(name: str, meaning: str, *marks: Pci | str) -> EventType:
    """Make one; ``marks`` are its classes and its details in any order."""
    classes = frozenset(mark for mark in marks if isinstance(mark, Pci))
    details = frozenset(mark for mark in marks if not isinstance(mark, Pci))
    return EventType(name, meaning, classes, details)
