"""The transcript of a ceremony as it is printed: frozen, every time and hash already in words.

Field for field it is ``strongroom.ceremony.TranscriptView``, which ``read_view`` takes. Everything in it may be hostile: names
and notes are what somebody typed. A fact is a label and a value; ``members / alpha / serial`` is printed as a row of the table
of ``members / alpha``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    organisation: str
    location: str = ""
    key: str = ""
    initials: str = ""


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
    begun: str
    done: str
    is_found: bool = False
    facts: tuple[Fact, ...] = ()
    artefacts: tuple[tuple[str, str, str], ...] = ()
    deviations: tuple[str, ...] = ()
    notes: tuple[PrintedNote, ...] = ()
    confirmations: tuple[PrintedConfirmation, ...] = ()


class PrintedSignature(_Form, frozen=True, kw_only=True):
    """A witness, and whether their detached signature was verified."""

    name: str
    role: str
    organisation: str
    key: str
    state: str


class PrintedTranscript(_Form, frozen=True, kw_only=True):
    """A whole transcript."""

    title: str
    type: str
    ceremony: str
    script: str
    is_rehearsal: bool
    state: str
    begun: str
    ended: str
    reason: str
    script_hash: PrintedHash
    transcript_hash: PrintedHash
    """Stands in the footer of each page."""
    previous_hash: PrintedHash | None
    software: tuple[Fact, ...]
    participants: tuple[PrintedParticipant, ...]
    steps: tuple[PrintedStep, ...]
    events: tuple[PrintedNote, ...]
    audit_checkpoint: tuple[Fact, ...]
    signatures: tuple[PrintedSignature, ...]
    witnesses_needed: int
    spoken: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Words of hashes: where a fact has such a hash as its value, its words are printed beneath."""


def read_view(
    view: Mapping[str, Any], spoken: Callable[[str], Sequence[str]] | None = None
) -> PrintedTranscript:
    """Make a transcript to print of ``strongroom.ceremony.TranscriptView``. Raises PaperError: it has another form.

    ``spoken`` gives the words of a hash in hex (``strongroom.custody.spoken``); it is asked for each SHA-256 among the facts.
    """
    try:
        transcript = msgspec.convert(dict(view), PrintedTranscript)
    except msgspec.ValidationError as error:
        raise PaperError(f"this is no transcript to print: {error}") from error
    if spoken is None:
        return transcript
    words = {value: tuple(spoken(value)) for value in _hashes(transcript)}
    return msgspec.structs.replace(transcript, spoken={**words, **transcript.spoken})


def _hashes(transcript: PrintedTranscript) -> list[str]:
    facts = [*transcript.software, *transcript.audit_checkpoint]
    for step in transcript.steps:
        facts.extend(step.facts)
        for note in step.notes:
            facts.extend(note.facts)
    for event in transcript.events:
        facts.extend(event.facts)
    return [value for _, value in facts if len(value) == 64 and not value.strip("0123456789abcdef")]
