"""The transcript of a ceremony as it is printed: frozen, every time and hash already in words.

``wiring.ceremony_view`` makes it. Everything in it may be hostile: names and notes are what somebody typed. Times are UTC,
``2026-11-22 14:05:09``. A fact is a label and a value; ``members / alpha / serial`` is printed as a row of the table
of ``members / alpha``.
"""

from collections.abc import Mapping

import msgspec

from strongroom.core import StrongroomError

Fact = tuple[str, str]


class PaperError(StrongroomError):
    """What is to be printed is not of the form that is printed, or does not fit its page."""


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frozen; nothing unknown, so that nothing is left out silently."""


class PrintedHash(_Form, frozen=True, kw_only=True):
    """A hash, as people compare it."""

    hex: str
    words: tuple[str, ...] = ()


class PrintedParticipant(_Form, frozen=True, kw_only=True):
    """A person. They get a line to sign on."""

    id: str
    name: str
    role: str
    """``ceremony administrator``."""
    organisation: str
    location: str = ""
    key: str = ""
    """Fingerprint (``SHA256:…``) of the key that they sign with; empty: none."""
    initials: str = ""
    """As they gave them when they attended; empty: they were not there."""


class PrintedConfirmation(_Form, frozen=True, kw_only=True):
    """Initials that somebody typed."""

    name: str
    role: str
    initials: str
    at: str


class PrintedNote(_Form, frozen=True, kw_only=True):
    """A part of a step, a deviation or an interruption."""

    at: str
    kind: str
    """``note``, ``deviation``, ``interruption`` or ``resumed``."""
    who: str
    text: str
    facts: tuple[Fact, ...] = ()


class PrintedStep(_Form, frozen=True, kw_only=True):
    """A step, and what became of it."""

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
    is_found: bool = False
    """It had been done by a process that ended before it could say so."""
    facts: tuple[Fact, ...] = ()
    artefacts: tuple[tuple[str, str, str], ...] = ()
    """Name, SHA-256, where it is kept if not in the folder."""
    deviations: tuple[str, ...] = ()
    notes: tuple[PrintedNote, ...] = ()
    confirmations: tuple[PrintedConfirmation, ...] = ()


class PrintedSignature(_Form, frozen=True, kw_only=True):
    """A witness, and whether their detached signature was verified."""

    name: str
    role: str
    organisation: str
    key: str
    """Fingerprint."""
    state: str
    """``signed`` (the signature was verified), or ``not signed``."""


class PrintedTranscript(_Form, frozen=True, kw_only=True):
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
    script_hash: PrintedHash
    transcript_hash: PrintedHash
    """Stands in the footer of each page."""
    previous_hash: PrintedHash | None
    software: tuple[Fact, ...]
    participants: tuple[PrintedParticipant, ...]
    steps: tuple[PrintedStep, ...]
    events: tuple[PrintedNote, ...]
    """Deviations and interruptions of the whole ceremony, in the order of time."""
    audit_checkpoint: tuple[Fact, ...]
    signatures: tuple[PrintedSignature, ...]
    witnesses_needed: int
    spoken: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Words of hashes: where a fact has such a hash as its value, its words are printed beneath."""
