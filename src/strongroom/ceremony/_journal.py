"""The transcript while it is written: each entry is on disk before ``append`` returns, and one process writes at a time."""

import fcntl
import os
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from strongroom.ceremony._effects import Outcome
from strongroom.ceremony._entries import NO_HASH, Done, Entry, Header
from strongroom.ceremony._errors import CeremonyFolderError, TranscriptError
from strongroom.ceremony._progress import Progress
from strongroom.ceremony._transcript import (
    MAX_TRANSCRIPT_BYTES,
    Transcript,
    line_hash,
    outcome_of,
    read_transcript,
    write_entry,
)
from strongroom.core import Clock

TRANSCRIPT_NAME: Final = "transcript.jsonl"
EntryT = TypeVar("EntryT", bound=Entry)


class Journal:
    """An open transcript. Use it as a context manager; not for several threads."""

    def __init__(self, descriptor: int, transcript: Transcript | None, lost_bytes: int, clock: Clock) -> None:
        self._descriptor = descriptor
        self._clock = clock
        self._entries: list[Entry] = list(transcript.entries) if transcript is not None else []
        self._previous = transcript.last_hash if transcript is not None else NO_HASH
        self.is_sound = True
        """False once an entry could not be written."""
        self.progress = transcript.progress if transcript is not None else Progress()
        self.outcomes: dict[str, Outcome] = dict(transcript.outcomes) if transcript is not None else {}
        """What came of the steps, by their ids."""
        self.lost_bytes = lost_bytes
        """Of an entry that was not wholly on disk when the process before ended; they are cut off."""

    @classmethod
    def open(cls, folder: Path, clock: Clock) -> Self:
        """Open the transcript of a ceremony, or begin one. Raises CeremonyFolderError, TranscriptError and OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / TRANSCRIPT_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(descriptor, path)
            _sync_folder(folder)
            transcript, lost_bytes = _read(descriptor)
            return cls(descriptor, transcript, lost_bytes, clock)
        except BaseException:
            os.close(descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries so far."""
        return tuple(self._entries)

    @property
    def header(self) -> Header | None:
        """The beginning; None of a transcript that is not begun."""
        first = self._entries[0] if self._entries else None
        return first if isinstance(first, Header) else None

    def append(self, kind: type[EntryT], /, **fields: Any) -> EntryT:
        """Write an entry; it is on disk when this returns.

        Raises TranscriptError when it cannot stand there, and OSError: then nothing more can be appended, and the next
        process cuts off what was written of it.
        """
        if not self.is_sound:
            raise TranscriptError("the transcript could not be written before, and is left as it is")
        entry = kind(seq=len(self._entries), at=int(self._clock.now()), previous=self._previous, **fields)
        line = write_entry(entry)
        self.progress.follow(entry)
        self.is_sound = False
        _write_all(self._descriptor, line + b"\n")
        os.fsync(self._descriptor)
        self.is_sound = True
        self._entries.append(entry)
        if isinstance(entry, Done):
            self.outcomes[entry.step] = outcome_of(entry)
        self._previous = line_hash(line)
        return entry

    def transcript(self) -> Transcript:
        """Read back what is on disk. Raises TranscriptError and OSError."""
        size = os.fstat(self._descriptor).st_size
        return read_transcript(os.pread(self._descriptor, size, 0))


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CeremonyFolderError(
            "another process is holding this ceremony",
            name=str(path),
            next_step="end that one, or go on there",
        ) from None


def _read(descriptor: int) -> tuple[Transcript | None, int]:
    data = os.read(descriptor, MAX_TRANSCRIPT_BYTES + 1)
    whole = data.rfind(b"\n") + 1
    lost = len(data) - whole
    transcript = read_transcript(data[:whole]) if whole else None
    if lost:
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
    os.lseek(descriptor, whole, os.SEEK_SET)
    return transcript, lost


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    for one in (folder, folder.parent):
        descriptor = os.open(one, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
