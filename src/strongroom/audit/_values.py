"""What goes into an audit log and what it counts, for its callers."""

from typing import NamedTuple, TypedDict

from msgspec import Struct


class EntryFields(TypedDict, total=False):
    """What the caller may say of an entry, besides kind and event; see ``Entry``."""

    principal: str
    access_key_id: str
    source_address: str
    request_id: str
    key_id: str
    key_version: str
    outcome: str
    member: str
    detail: dict[str, str]


class AuditStats(NamedTuple):
    """Counters since the log was opened, for metrics."""

    entries: int
    """Entries made durable."""
    groups: int
    """Group commits, that is fdatasync calls, that worked."""
    failed_groups: int
    refused: int
    """Appends refused because the log could not be written."""


class UseEntry(Struct, frozen=True):
    """The entry of one use of a key that went well: an ``outcome`` entry whose outcome is ``ok``; see ``Entry``."""

    event: str
    principal: str
    access_key_id: str
    source_address: str
    request_id: str
    key_id: str
    key_version: str
    detail: dict[str, str]
