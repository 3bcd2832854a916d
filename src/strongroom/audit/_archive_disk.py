"""How a segment moves into the archive, so that at any moment one whole copy of it has its name.

    copy of .torn, draft, fsync, rename, fsync of the folder      where recovery once cut something off
    draft of .wal.xz, fsync, read back and compared, rename, fsync of the folder
    removal of .wal and .torn, fsync of the folder

A crash leaves a draft, which is written anew, or both copies: then the archived one is compared again, and the other goes.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from strongroom.audit._archive_file import BLOCK_BYTES, MAX_SEGMENT_BYTES, ArchivedSegment, pack
from strongroom.audit._archive_names import archive_folder, archived_name
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import DRAFT_ENDING
from strongroom.audit._format import segment_name, torn_name
from strongroom.audit._tree_files import TreeDisk

MAX_TORN_BYTES: Final = 2 * 1024 * 1024
_FOLDER_MODE: Final = 0o700


class ArchiveDisk(TreeDisk):
    """The few system calls that moving and removing segments rest on. Tests put subclasses in its place."""

    def remove(self, path: Path) -> None:
        """Take a file away; what is not there is away."""
        path.unlink(missing_ok=True)


class SegmentMover:
    """Moves segments of one writer. For one thread, in the one process that keeps the tree. Raises OSError everywhere."""

    def __init__(self, folder: Path, disk: ArchiveDisk, pace: Callable[[int], None]) -> None:
        """``folder`` is that of the hot segments; ``pace`` is called with the bytes that were worked on, and may sleep."""
        self._folder, self._archive = folder, archive_folder(folder)
        self._disk, self._pace = disk, pace

    def move(self, number: int) -> None:
        """Archive a segment that nobody writes any more; in the archive, durably, and nowhere else on return.

        Raises AuditCorruptError when what was written cannot be read back.
        """
        self._make_folder()
        source, target = self._folder / segment_name(number), self._archive / archived_name(number)
        torn = self._folder / torn_name(number)
        if torn.exists():
            data = torn.read_bytes()
            if len(data) > MAX_TORN_BYTES:
                raise AuditCorruptError(
                    "its .torn file is longer than one can be", writer=self._folder.name, segment=number
                )
            self._put(self._archive / torn.name, iter([data]))
        digest = self._digest(source)
        if not (target.exists() and self._holds(target, number, digest)):
            self._write(source, target)
            if not self._holds(target.with_name(f"{target.name}{DRAFT_ENDING}"), number, digest):
                raise AuditCorruptError(
                    "what was archived cannot be read back", writer=self._folder.name, segment=number
                )
            self._publish(target)
        self._disk.remove(source)
        self._disk.remove(torn)
        self._disk.sync(self._folder)

    def remove_archived(self, number: int) -> None:
        """Remove an archived segment for good; durable after ``sync_archive``."""
        self._disk.remove(self._archive / torn_name(number))
        self._disk.remove(self._archive / archived_name(number))  # last: by it a crash is made up for

    def sync_archive(self) -> None:
        """Make removals durable."""
        if self._archive.is_dir():
            self._disk.sync(self._archive)

    def remove_drafts(self) -> None:
        """Remove what an unfinished ``move`` left."""
        if self._archive.is_dir():
            for draft in self._archive.glob(f"*{DRAFT_ENDING}"):
                self._disk.remove(draft)

    def _make_folder(self) -> None:
        if not self._archive.is_dir():
            self._archive.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._disk.sync(self._archive.parent)
            self._disk.sync(self._archive.parent.parent)

    def _write(self, source: Path, target: Path) -> None:
        draft = target.with_name(f"{target.name}{DRAFT_ENDING}")
        self._fill(draft, pack(self._blocks(source)))

    def _put(self, target: Path, parts: Iterator[bytes]) -> None:
        self._fill(target.with_name(f"{target.name}{DRAFT_ENDING}"), parts)
        self._publish(target)

    def _fill(self, draft: Path, parts: Iterator[bytes]) -> None:
        self._disk.remove(draft)
        self._disk.write(draft, 0, b"")
        at = 0
        for part in parts:
            self._disk.write(draft, at, part)
            at += len(part)
        self._disk.sync(draft)

    def _publish(self, target: Path) -> None:
        self._disk.rename(target.with_name(f"{target.name}{DRAFT_ENDING}"), target)
        self._disk.sync(self._archive)

    def _blocks(self, source: Path) -> Iterator[bytes]:
        left = MAX_SEGMENT_BYTES
        with source.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    raise AuditCorruptError("the segment is larger than one can be", writer=self._folder.name)
                yield block
                self._pace(len(block))

    def _digest(self, source: Path) -> str:
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _holds(self, archived: Path, number: int, digest: str) -> bool:
        """Whether an archived file makes the segment with this hash."""
        try:
            return (
                archived_digest(archived, writer=self._folder.name, segment=number, pace=self._pace)[0]
                == digest
            )
        except AuditCorruptError:
            return False


def archived_digest(
    path: Path, *, writer: str, segment: int, pace: Callable[[int], None] = lambda _n: None
) -> tuple[str, int]:
    """Return the SHA-256 of an archived segment as its writer left it, and its length. Raises AuditCorruptError and OSError."""
    archived = ArchivedSegment(path, writer=writer, segment=segment)
    try:
        digest = hashlib.sha256()
        for offset in range(0, archived.size, BLOCK_BYTES):
            digest.update(archived.pread(BLOCK_BYTES, offset))
            pace(BLOCK_BYTES)
        return digest.hexdigest(), archived.size
    finally:
        archived.close()
