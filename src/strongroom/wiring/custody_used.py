"""What a member remembers of approved acts: which were done, how often standing ones were used, what it made lately.

One file for each member, ``custody/used/<member>`` (mode 0600), of lines that are only ever added to
(``custody._used_lines`` tells their form). A line is on disk (fsync) before the act is done. What was cut off at the end by a
crash never counted, and is cut off before the next line; a line that is damaged elsewhere closes the gate, for nobody knows what
it said. Where the file is not there a new one begins now, and approvals of before count no longer: taking it away gives nobody a
second use. Who puts an *older* copy in its place can have what was spent since then done once more, if its request has not
expired.

Several processes of a member share it, each behind a lock (flock), and read what the others wrote before they decide.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from strongroom.core import Clock, StrongroomError
from strongroom.custody import (
    MAX_CLOCK_SKEW_S,
    UNDO_S,
    ApprovalRefusedError,
    Refusal,
    StandingTerms,
    UsedLines,
    UsesSoFar,
    has_form,
    head_line,
    with_checksum,
)

MAX_USED_BYTES: Final = 16 << 20
_REWRITE_BYTES: Final = 1 << 20


class UsedRecordError(StrongroomError):
    """What a member remembers of approved acts cannot be read or written: then nothing is done that needs an approval."""


class UsedActs:
    """``custody.SpentActs`` of one member, in a file. Safe to use from several threads and processes."""

    def __init__(
        self, path: Path, *, clock: Clock, not_kept: Callable[[str], None] = lambda _cause: None
    ) -> None:
        """Open the file; make it where it is not there. ``not_kept`` is told why a note could not be kept.

        Raises UsedRecordError.
        """
        self._path = path
        self._clock = clock
        self._not_kept = not_kept
        self._known = UsedLines()
        self._file: int | None = None  # held open, so that another file cannot get its number
        self._read_to = 0
        self._made: dict[str, int] = {}  # besides those of the file, which may not be writable
        with self._alone():
            pass

    @classmethod
    def begin(cls, path: Path) -> None:
        """Make the file of a member that is new, on which nothing can have been done; one that is there stays.

        Raises UsedRecordError.
        """
        with _locked(path):
            if not path.exists():
                _write_anew(path, [head_line(0)])

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def begins(self) -> int:
        """From when on it knows, in seconds since the epoch."""
        return self._known.begins or 0

    def require_unspent(self, nonce: str, part: str) -> None:
        """Raise ApprovalRefusedError when this part of a request was spent, and UsedRecordError."""
        with self._alone():
            self._require_unspent(nonce, part or "-")

    def spend_part(self, nonce: str, part: str, *, until: int) -> None:
        """Note durably that it is spent. Raises ApprovalRefusedError when it was before, and UsedRecordError."""
        with self._alone():
            self._require_unspent(nonce, part or "-")
            self._add(f"spent {nonce} {part or '-'} {until}")

    def begin_change(self, nonce: str, change: str, *, until: int) -> None:
        """Note durably that one change goes on under a request. Raises ApprovalRefusedError for another one, and UsedRecordError."""
        with self._alone():
            begun = {part for one, part in self._known.spent if one == nonce}
            if not begun:
                self._add(f"spent {nonce} {change} {until}")
            elif begun != {change}:
                raise ApprovalRefusedError(Refusal.ALREADY_USED)

    def spend(self, nonce: str, terms: StandingTerms, *, now: int) -> None:
        """Note durably one more use of a standing approval. Raises ApprovalRefusedError and UsedRecordError."""
        with self._alone():
            self._require_unspent(nonce, "-")
            so_far, _ = self._known.uses.get(nonce, (UsesSoFar(), 0))
            so_far.with_one_more(terms, now=now)
            self._add(f"used {nonce} {now} {terms.ends}")

    def last_use(self, nonce: str) -> int | None:
        """Return when a standing approval was last used; None if it never was. Raises UsedRecordError."""
        with self._alone():
            so_far, _ = self._known.uses.get(nonce, (UsesSoFar(), 0))
        return so_far.latest[-1] if so_far.latest else None

    def begin_session(self, nonce: str, *, until: int, now: int) -> int:
        """Return when a session was first begun; noted durably if that is now. Raises UsedRecordError."""
        with self._alone():
            begun = self._known.sessions.get(nonce)
            if begun is not None:
                return begun[0]
            self._add(f"session {nonce} {now} {until}")
            return now

    def began(self, nonce: str) -> int | None:
        """Return when a session was first begun; None if none was. Raises UsedRecordError."""
        with self._alone():
            begun = self._known.sessions.get(nonce)
        return None if begun is None else begun[0]

    def note_made(self, name: str, *, now: int) -> None:
        """Note that an object is about to be that was not. Never raises."""
        line = f"made {name} {now}"
        if not has_form(line):
            return  # no token makes an object of such an id
        self._made = {one: at for one, at in self._made.items() if at > now - UNDO_S}
        self._made[name] = now
        try:
            with self._alone():
                self._add(line)
        except UsedRecordError as error:
            self._not_kept(error.message)

    def was_made(self, name: str, *, now: int) -> bool:
        """Whether it was noted within ``UNDO_S``. Raises UsedRecordError."""
        with self._alone():
            found = [at for at in (self._known.made.get(name), self._made.get(name)) if at is not None]
        return any(at <= now <= at + UNDO_S for at in found)

    def _require_unspent(self, nonce: str, part: str) -> None:
        if (nonce, part) in self._known.spent:
            raise ApprovalRefusedError(Refusal.ALREADY_USED)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock, and know what every process wrote. Raises UsedRecordError."""
        with _locked(self._path):
            try:
                self._open()
                self._read()
            except OSError as error:
                raise _unusable(self._path, error.strerror or "unknown") from error
            yield

    def _open(self) -> None:
        """See that the file that is read is the one at its path: another process may have written it anew."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            if self._file is not None:
                raise _unusable(self._path, "it was taken away while the member served") from None
            # Of what was approved before nothing counts; a request may be dated as far in the future as clocks may differ.
            _write_anew(self._path, [head_line(int(self._clock.now()) + MAX_CLOCK_SKEW_S + 1)])
            found = self._path.stat()
        held = None if self._file is None else os.fstat(self._file)
        if held is None or (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino):
            self.close()
            self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            self._known, self._read_to = UsedLines(), 0
        elif held.st_size < self._read_to:
            raise _unusable(self._path, "it became shorter while the member served")

    def _read(self) -> None:
        file = self._held()
        size = os.fstat(file).st_size
        if size > MAX_USED_BYTES:
            raise _unusable(self._path, f"it is longer than {MAX_USED_BYTES} bytes")
        data = os.pread(file, size - self._read_to, self._read_to)
        whole = data[: data.rfind(b"\n") + 1]
        known = UsedLines() if not self._read_to else self._known
        try:
            for line in whole.split(b"\n")[:-1]:
                known.take_written(line)
        except ValueError as error:
            self.close()  # whoever asks next reads all of it again, and is refused again
            raise _unusable(self._path, f"a line of it is damaged: {error}") from error
        if known.begins is None:
            raise _unusable(self._path, "its first line is not there")
        self._known, self._read_to = known, self._read_to + len(whole)

    def _add(self, line: str) -> None:
        """Add a line durably; where the file has become long, write anew what of it counts."""
        data = with_checksum(line)
        try:
            if self._read_to + len(data) > _REWRITE_BYTES and self._write_what_counts():
                self._open()
                self._read()
            file = self._held()
            os.ftruncate(file, self._read_to)  # what was cut off by a crash
            written = os.pwrite(file, data, self._read_to)
            os.fsync(file)
        except OSError as error:
            raise _unusable(self._path, error.strerror or "unknown") from error
        if written != len(data):
            raise _unusable(self._path, "the disk is full")
        self._known.take(line)
        self._read_to += written

    def _write_what_counts(self) -> bool:
        lines = list(self._known.lines(int(self._clock.now())))
        if sum(len(with_checksum(line)) for line in lines) > self._read_to // 2:
            return False
        _write_anew(self._path, lines)
        return True

    def _held(self) -> int:
        if self._file is None:
            raise _unusable(self._path, "it is not open")
        return self._file


def _write_anew(path: Path, lines: list[str]) -> None:
    """Put a file durably in its place, whole or not at all. Raises UsedRecordError."""
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(map(with_checksum, lines)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unusable(path, error.strerror or "unknown") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a member's file, which is made with its folder. Raises UsedRecordError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error.strerror or "unknown") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _unusable(path: Path, why: str) -> UsedRecordError:
    return UsedRecordError(
        f"what was done under approvals cannot be told: {path} ({why})",
        next_step="look at the disk and the file; if it is moved away, approvals that were given before count no longer",
    )
