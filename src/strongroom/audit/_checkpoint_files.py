"""All checkpoints of a log, one after the other, and the keys that signed them.

    checkpoints/
    ├─ origin                 what the log calls itself, one line; never changed
    ├─ keys                   public keys that have signed, a line each; only ever added to
    └─ 00000001.checkpoints   signed notes, an empty line behind each; a new file once one has 4 MiB; old ones are thinned

A note that a crash left unfinished at the very end is cut off by the next opening: nobody was shown it.
"""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._checkpoint import Checkpoint, read_checkpoint, require_origin
from strongroom.audit._checkpoint_keys import LogKey, read_log_key
from strongroom.audit._cursor import SETTLE_S
from strongroom.audit._errors import MalformedNoteError, TreeDamagedError
from strongroom.audit._note import Note, read_note
from strongroom.audit._tree_files import TreeDisk

FILE_BYTES = 4 * 1024 * 1024
_NAME = re.compile(r"(\d{8})\.checkpoints", re.ASCII)
_END = b"\n\n"
_MAX_KEYS_BYTES = 1024 * 1024


class KeptCheckpoint(NamedTuple):
    """A checkpoint, as it was signed, and where it is kept."""

    checkpoint: Checkpoint
    note: Note
    file: int
    offset: int


class CheckpointFiles:
    """Reads checkpoints. Safe beside the process that adds them.

    Raises TreeDamagedError and OSError, everywhere.
    """

    def __init__(self, directory: Path, *, below: str = "") -> None:
        """``directory`` is that of the audit log; ``below``: which folder inside that of the checkpoints."""
        self.folder = directory / "checkpoints" / below

    def origin(self) -> str | None:
        """Return what the log calls itself; None before its first start."""
        try:
            line, end, rest = (self.folder / "origin").read_bytes().decode().partition("\n")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise TreeDamagedError("the name of the log cannot be read") from error
        if not end or rest:
            raise TreeDamagedError("the name of the log cannot be read")
        return line

    def keys(self) -> tuple[LogKey, ...]:
        """Return the keys that stand beside the checkpoints. Who does not trust the host has them from elsewhere."""
        try:
            data = (self.folder / "keys").read_bytes()[:_MAX_KEYS_BYTES]
        except FileNotFoundError:
            return ()
        try:
            return tuple(read_log_key(line) for line in data.decode().split("\n")[:-1])
        except (UnicodeDecodeError, MalformedNoteError) as error:
            raise TreeDamagedError("the keys of the checkpoints cannot be read") from error

    def numbers(self) -> list[int]:
        """Return the numbers of the files, in order."""
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def path(self, number: int) -> Path:
        """Return where a file is."""
        return self.folder / f"{number:08d}.checkpoints"

    def read(self) -> Iterator[KeptCheckpoint]:
        """Yield every checkpoint, oldest first; what was never finished at the end is left out."""
        numbers = self.numbers()
        for number in numbers[:-1]:
            yield from self.read_closed(number)
        for number in numbers[-1:]:
            yield from self._read_file(number)[0]

    def read_closed(self, number: int) -> list[KeptCheckpoint]:
        """Return the checkpoints of a file that is not the newest one: all of it must be whole."""
        found, end, length = self._read_file(number)
        if end != length:
            raise self._damaged(number, end)
        return found

    def last(self) -> KeptCheckpoint | None:
        """Return the newest checkpoint."""
        for number in reversed(self.numbers()):
            found, _, _ = self._read_file(number)
            if found:
                return found[-1]
        return None

    def first_covering(self, size: int) -> KeptCheckpoint | None:
        """Return the first checkpoint of a tree of so many entries or more."""
        numbers = self.numbers()
        first, end = 0, len(numbers)
        while end - first > 1:
            middle = (first + end) // 2
            found = self._read_file(numbers[middle])[0]
            if found and found[0].checkpoint.size < size:
                first = middle
            else:
                end = middle
        for number in numbers[first : first + 2]:
            for kept in self._read_file(number)[0]:
                if kept.checkpoint.size >= size:
                    return kept
        return None

    def unfinished(self) -> str | None:
        """Say where bytes at the very end are no checkpoint, if there are any that stand still."""
        numbers = self.numbers()
        if not numbers:
            return None
        seen = self._read_file(numbers[-1])[1:]
        if seen[0] != seen[1]:
            time.sleep(SETTLE_S)
            if self._read_file(numbers[-1])[1:] == seen:
                return (
                    f"the last {seen[1] - seen[0]} bytes of {self.path(numbers[-1]).name}, from byte {seen[0]} on, are no"
                    " checkpoint: one that was never finished, or one that was damaged"
                )
        return None

    def _read_file(self, number: int) -> tuple[list[KeptCheckpoint], int, int]:
        """Return the whole checkpoints of a file, where the last of them ends, and the length of the file.

        One that cannot be read is the unfinished end, if nothing stands behind it.
        """
        data = self.path(number).read_bytes()
        found: list[KeptCheckpoint] = []
        start = 0
        while (text_end := data.find(_END, start)) >= 0 and (end := data.find(_END, text_end + 2)) >= 0:
            try:
                note = read_note(data[start : end + 1])
                found.append(KeptCheckpoint(read_checkpoint(note.text), note, number, start))
            except MalformedNoteError as error:
                if data.find(_END, end + 2) >= 0:
                    raise self._damaged(number, start) from error
                break
            start = end + 2
        return found, start, len(data)

    def _damaged(self, number: int, offset: int) -> TreeDamagedError:
        return TreeDamagedError(f"the checkpoint at byte {offset} of {self.path(number).name} cannot be read")


class CheckpointWriter(CheckpointFiles):
    """Adds checkpoints. For the process that holds the lock of the tree."""

    def __init__(self, directory: Path, disk: TreeDisk | None = None, *, below: str = "") -> None:
        """Cut off what was never finished."""
        super().__init__(directory, below=below)
        self._directory = directory
        self._disk = disk or TreeDisk()
        self._number, self._end = 1, 0
        if numbers := self.numbers():
            self._number = numbers[-1]
            _, self._end, length = self._read_file(self._number)
            if length > self._end:
                self._disk.cut(self.path(self._number), self._end)
                self._disk.sync(self.path(self._number))

    def name(self, origin: str) -> str:
        """Return what the log calls itself: ``origin``, if it has no name yet. Raises MalformedNoteError."""
        require_origin(origin)
        if (found := self.origin()) is not None:
            return found
        self._disk.put(self.folder / "origin", f"{origin}\n".encode())
        return origin

    def trust(self, *keys: LogKey) -> None:
        """Note public keys, durably, before anything is signed by them."""
        known = self.keys()
        if added := [key for key in keys if key not in known]:
            lines = "".join(f"{key.text()}\n" for key in (*known, *added))
            self._disk.put(self.folder / "keys", lines.encode())

    def append(self, note: Note) -> None:
        """Add a checkpoint; it is durable on return."""
        if self._end >= FILE_BYTES:
            self._number, self._end = self._number + 1, 0
        path, data = self.path(self._number), note.encode() + b"\n"
        self._disk.write(path, self._end, data)
        self._disk.sync(path)
        if not self._end:
            for folder in self.path(self._number).parents:
                self._disk.sync(folder)
                if folder == self._directory:
                    break
        self._end += len(data)

    def rewrite(self, number: int, stay: Sequence[KeptCheckpoint]) -> None:
        """Put in the place of a file that is not the newest one what stays of it, at once."""
        self._disk.put(self.path(number), b"".join(kept.note.encode() + b"\n" for kept in stay))
