"""What a witness remembers, in a folder that one process holds at a time.

    lock
    known                        the origins that have a head, a line each; only ever added to
    heads/<SHA-256(origin)>      what was cosigned last of a log: the signed note, with the cosignatures
    refused/<SHA-256(text)>      requests whose checkpoint a log signed and that do not go on from it, by the checkpoint's text, 100 at most: evidence

A head counts as kept once file and names are on disk. A head that is missing although its log is known, or that cannot
be read, is an error and never a beginning: a witness that forgot would cosign another past. A folder that was brought back
from an old backup looks like any other; nothing here can tell.
"""

import fcntl
import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._checkpoint import Checkpoint, read_checkpoint, require_origin
from strongroom.audit._errors import AuditWriterInUseError, MalformedNoteError, TreeDamagedError
from strongroom.audit._note import Note, read_note
from strongroom.audit._tree import EMPTY_ROOT
from strongroom.audit._tree_files import TreeDisk

MAX_EVIDENCE = 100
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class Head(NamedTuple):
    """The tree that was cosigned last."""

    size: int
    root: bytes


class WitnessFiles:
    """Reads what a witness remembers. Safe beside the one that serves. Raises TreeDamagedError and OSError, everywhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def known(self) -> tuple[str, ...]:
        """Return the origins that have a head. Raises TreeDamagedError where the folder is none of a witness."""
        try:
            text = (self.folder / "known").read_text()
            origins = tuple(text.split("\n")[:-1])
            for origin in origins:
                require_origin(origin)
        except (FileNotFoundError, UnicodeDecodeError, MalformedNoteError) as error:
            raise TreeDamagedError(
                f"{self.folder / 'known'} cannot be read: without it nobody knows what this witness cosigned"
            ) from error
        return origins

    def note(self, origin: str) -> Note | None:
        """Return what was cosigned last of a log; None of one that is not known."""
        return self._read(origin)[1] if origin in self.known() else None

    def kept_at(self, origin: str) -> float:
        """Return when that was written, in seconds since the Unix epoch."""
        return self._head_path(origin).stat().st_mtime

    def _read(self, origin: str) -> tuple[Checkpoint, Note]:
        path = self._head_path(origin)
        try:
            note = read_note(path.read_bytes())
            found = read_checkpoint(note.text)
        except (FileNotFoundError, MalformedNoteError) as error:
            raise TreeDamagedError(
                f"{path} cannot be read: what this witness cosigned last of {origin} is not known"
            ) from error
        if found.origin != origin:
            raise TreeDamagedError(f"{path} is of another log")
        return found, note

    def _head_path(self, origin: str) -> Path:
        return self.folder / "heads" / hashlib.sha256(origin.encode()).hexdigest()


class WitnessStore(WitnessFiles):
    """Remembers. Holds its lock from construction to ``close``. ``head`` and ``keep`` of one log: one thread at a time."""

    @classmethod
    def make(cls, folder: Path, disk: TreeDisk | None = None) -> None:
        """Make the memory of a witness that never cosigned anything. Raises OSError; FileExistsError where there is one."""
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        if (folder / "known").exists():
            raise FileExistsError(f"{folder / 'known'} is there already")
        (disk or TreeDisk()).put(folder / "known", b"")

    def __init__(self, folder: Path, disk: TreeDisk | None = None) -> None:
        """Raises AuditWriterInUseError where another process holds the folder."""
        super().__init__(folder)
        self._disk = disk or TreeDisk()
        self._turn = threading.Lock()  # of whoever adds to ``known`` or ``refused``
        self._lock_fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._heads = self._loaded()
        except BlockingIOError as error:
            self.close()
            raise AuditWriterInUseError("another witness runs with this folder") from error
        except BaseException:
            self.close()
            raise

    def head(self, origin: str) -> Head:
        """Return what was cosigned last; the empty tree where nothing was."""
        return self._heads.get(origin) or Head(0, EMPTY_ROOT)

    def keep(self, checkpoint: Checkpoint, note: Note) -> None:
        """Remember what is cosigned now; durable on return. After an error it is not, and is tried anew by the next call."""
        origin, head = checkpoint.origin, Head(checkpoint.size, checkpoint.root)
        if self._heads.get(origin) == head:
            return
        path = self._head_path(origin)
        self._disk.put(path, note.encode())
        if origin not in self._heads:
            self._disk.sync(self.folder)
            with self._turn:
                lines = "".join(f"{one}\n" for one in (*self._heads, origin))
                self._disk.put(self.folder / "known", lines.encode())
                self._heads[origin] = head
        else:
            self._heads[origin] = head

    def keep_evidence(self, text: str, request: bytes) -> None:
        """Keep a request that shows what a log did, while there is room. A disk that refuses is no reason to answer otherwise.

        One for each checkpoint, whose text the log signed: what stands around it strangers can make without end.
        """
        path = self.folder / "refused" / hashlib.sha256(text.encode()).hexdigest()
        with self._turn, suppress(OSError):
            path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            if not path.exists() and sum(1 for _ in path.parent.iterdir()) < MAX_EVIDENCE:
                self._disk.put(path, request)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock_fd)

    def _loaded(self) -> dict[str, Head]:
        """Return every head. What a killed process renamed and did not sync is synced before anything is built on it."""
        heads: dict[str, Head] = {}
        self._disk.sync(self.folder)
        for origin in self.known():
            checkpoint, _ = self._read(origin)
            heads[origin] = Head(checkpoint.size, checkpoint.root)
        if (self.folder / "heads").is_dir():
            self._disk.sync(self.folder / "heads")
        return heads
