"""A transcript as plain data, for whoever prints it: dictionaries, lists and texts, every time and hash already in words.

``strongroom.paper`` stands below this room and knows none of its types: it gets this. Times are UTC, ``2026-11-22 14:05:09``.
A fact is a label and a value; what was a list or an object became several, with labels such as ``members / alpha / serial``.
"""

from typing import TypedDict


class ViewParticipant(TypedDict):
    """A person."""

    id: str
    name: str
    role: str
    """``ceremony administrator``."""
    organisation: str
    location: str
    key: str
    """Fingerprint (``SHA256:…``) of the key that they sign with; empty: none."""
    initials: str
    """As they gave them when they attended; empty: they were not there."""


class ViewHash(TypedDict):
    """A hash, as people compare it."""

    hex: str
    words: list[str]


class ViewConfirmation(TypedDict):
    """Initials."""

    name: str
    role: str
    initials: str
    at: str


class ViewNote(TypedDict):
    """Something that happened within a step: part of it, a deviation, or an interruption."""

    at: str
    kind: str
    """``note``, ``deviation``, ``interruption`` or ``resumed``."""
    who: str
    text: str
    facts: list[tuple[str, str]]


class ViewStep(TypedDict):
    """A step of the script, and what became of it."""

    number: int
    id: str
    action: str
    who: str
    role: str
    say: str
    expect: str
    state: str
    """``done``, ``begun``, ``not confirmed`` or ``not begun``."""
    begun: str
    done: str
    """When it was confirmed; empty: never."""
    is_found: bool
    """It had been done by a process that ended before it could say so."""
    facts: list[tuple[str, str]]
    artefacts: list[tuple[str, str, str]]
    """Name, SHA-256, where it is kept if not in the folder."""
    deviations: list[str]
    notes: list[ViewNote]
    confirmations: list[ViewConfirmation]


class ViewSignature(TypedDict):
    """A witness, and what they signed."""

    name: str
    role: str
    organisation: str
    key: str
    """Fingerprint."""
    state: str
    """``signed`` (the signature was verified), or ``not signed``."""


class TranscriptView(TypedDict):
    """A whole transcript."""

    title: str
    type: str
    """``root-key``."""
    ceremony: str
    script: str
    is_rehearsal: bool
    state: str
    """``complete``, ``abandoned`` or ``unfinished``."""
    begun: str
    ended: str
    reason: str
    """Why it was abandoned."""
    script_hash: ViewHash
    transcript_hash: ViewHash
    previous_hash: ViewHash | None
    software: list[tuple[str, str]]
    participants: list[ViewParticipant]
    steps: list[ViewStep]
    events: list[ViewNote]
    """Deviations and interruptions of the whole ceremony, in the order of time."""
    audit_checkpoint: list[tuple[str, str]]
    signatures: list[ViewSignature]
    witnesses_needed: int
