"""The transcript: reading it, strictly, and what it amounts to. Anything that does not hold together names its entry.

A file of lines, each a canonical JSON object and a line feed (``_entries``). The SHA-256 of the whole file is the name of the
transcript; the witnesses sign these bytes as they are, so ``sha256sum`` and ``ssh-keygen -Y verify`` are enough to check them.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from strongroom.ceremony._effects import Artefact, Outcome
from strongroom.ceremony._entries import (
    NO_HASH,
    Done,
    Ended,
    Entry,
    Header,
)
from strongroom.ceremony._errors import TranscriptError
from strongroom.ceremony._progress import Progress
from strongroom.custody import CustodyError, canonical_json, parse_canonical

MAX_TRANSCRIPT_BYTES: Final = 16 * 1024 * 1024
MAX_ENTRY_BYTES: Final = 256 * 1024
MAX_ENTRIES: Final = 20_000
MAX_FACTS_DEPTH: Final = 8


class Transcript(NamedTuple):
    """A transcript that holds together."""

    entries: tuple[Entry, ...]
    sha256: str
    """Of the whole file, in hex."""
    last_hash: str
    """Of the last line: what the next entry names."""
    progress: Progress

    @property
    def header(self) -> Header:
        """Its beginning."""
        first = self.entries[0]
        if not isinstance(first, Header):
            raise TranscriptError("the first entry is no header", entry=0)
        return first

    @property
    def end(self) -> Ended | None:
        """Its end; None when the ceremony is not over."""
        last = self.entries[-1]
        return last if isinstance(last, Ended) else None

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What came of each step that is done; of one that was done twice, the later."""
        return {entry.step: outcome_of(entry) for entry in self.entries if isinstance(entry, Done)}


def outcome_of(entry: Done) -> Outcome:
    """Return what came of a step, as effects know it."""
    artefacts = tuple(Artefact(one.name, one.sha256, one.elsewhere) for one in entry.artefacts)
    return Outcome(entry.facts, artefacts, entry.deviations)


def write_entry(entry: Entry) -> bytes:
    """Return the line of an entry, without its line feed. Raises TranscriptError for what has no place in a transcript."""
    try:
        line = canonical_json(msgspec.to_builtins(entry))
    except CustodyError as error:
        raise TranscriptError(
            f"what should be written is no JSON: {error.message}", entry=entry.seq
        ) from error
    read_entry(line, entry.seq)  # what could not be read back is not written
    return line


def read_entry(line: bytes, seq: int) -> Entry:
    """Return the entry of a line. Raises TranscriptError, which names ``seq``."""
    try:
        value = parse_canonical(line, max_bytes=MAX_ENTRY_BYTES)
        entry: Entry = msgspec.convert(value, Entry, strict=True)
    except CustodyError as error:
        raise TranscriptError(error.message, entry=seq) from error
    except msgspec.ValidationError as error:
        raise TranscriptError(f"it is no entry of a transcript: {error}", entry=seq) from error
    _check_facts(msgspec.to_builtins(entry), seq, 0)
    return entry


def line_hash(line: bytes) -> str:
    """Return what the next entry names a line by."""
    return hashlib.sha256(line).hexdigest()


def read_transcript(data: bytes) -> Transcript:
    """Return the transcript that the bytes are. Raises TranscriptError, which names the first bad entry."""
    if len(data) > MAX_TRANSCRIPT_BYTES:
        raise TranscriptError(f"the transcript is longer than {MAX_TRANSCRIPT_BYTES} bytes")
    lines = data.split(b"\n")
    if lines.pop():
        raise TranscriptError("the last line is cut off", entry=len(lines))
    if not 0 < len(lines) <= MAX_ENTRIES:
        raise TranscriptError(f"a transcript has 1 to {MAX_ENTRIES} entries")
    entries, progress, previous = [], Progress(), NO_HASH
    for seq, line in enumerate(lines):
        entry = read_entry(line, seq)
        if entry.seq != seq:
            raise TranscriptError(f"its number is {entry.seq}", entry=seq)
        if entry.previous != previous:
            raise TranscriptError(
                "it does not name the hash of the entry before: one of the two was changed", entry=seq
            )
        progress.follow(entry)
        entries.append(entry)
        previous = line_hash(line)
    return Transcript(tuple(entries), hashlib.sha256(data).hexdigest(), previous, progress)


def _check_facts(value: Any, seq: int, depth: int) -> None:
    """Refuse numbers that are not whole, and what is nested too deep."""
    if isinstance(value, float):
        raise TranscriptError("a number is not whole", entry=seq)
    if depth > MAX_FACTS_DEPTH:
        raise TranscriptError("what was found is nested too deep", entry=seq)
    if isinstance(value, Mapping):
        for inner in value.values():
            _check_facts(inner, seq, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_facts(inner, seq, depth + 1)
