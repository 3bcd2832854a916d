"""The tree on disk: tiles, runs and position, written so that a crash at any moment leaves the tree of before or of after.

    tree/
    ├─ lock               flock: one process at a time makes the tree grow
    ├─ position           how far everything below counts; what stands behind that was never finished
    ├─ tile/<L>/<N>       full tiles, 8,192 bytes, at the paths of C2SP tlog-tiles; never written again
    ├─ tile/<L>/<N>.part  the last tile of a level, which grows; its first W hashes are the partial tile ``.p/W``
    └─ runs/<writer>      which entries the leaves are

Each change writes and syncs tiles and runs, then replaces ``position``. Opening takes ``position`` at its word, cuts back
what goes on behind it, and checks that the last tiles have the root that it names.
"""

import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._errors import AuditWriterInUseError, TreeDamagedError
from strongroom.audit._tiles import (
    MAX_LEVEL,
    TILE_BYTES,
    TileRows,
    last_tile,
    nodes_of_tiles,
    number_path,
    split_hashes,
    tile_path,
)
from strongroom.audit._tree import HASH_BYTES, NodeReader
from strongroom.audit._tree_state import (
    RUN_BYTES,
    Place,
    Run,
    TreeState,
    decode_state,
    encode_state,
    read_run,
)

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


class NewRun(NamedTuple):
    """Entries of one writer that are to become leaves, one after the other."""

    writer: str
    first_seq: int
    segment: int
    offset: int
    leaves: Sequence[bytes]
    """Leaf hashes."""


class TreeDisk:
    """The few system calls that the tree's durability rests on. Tests put subclasses in its place."""

    def write(self, path: Path, offset: int, data: bytes) -> None:
        """Write all of ``data``, making the file and the folders above it where they are not there."""
        if not path.parent.is_dir():
            path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            left = memoryview(data)
            while left:
                written = os.pwrite(fd, left, offset)
                left, offset = left[written:], offset + written
        finally:
            os.close(fd)

    def cut(self, path: Path, length: int) -> None:
        """Make a file ``length`` bytes long."""
        os.truncate(path, length)

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name."""
        path.rename(target)

    def sync(self, path: Path) -> None:
        """Return when a file's bytes, or a folder's names, would survive a power loss."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def put(self, path: Path, data: bytes) -> None:
        """Have a file hold ``data`` and nothing else: whole, or as it was before. Durable on return."""
        draft = path.with_name(f"{path.name}.new")
        self.write(draft, 0, data)
        self.cut(draft, len(data))
        self.sync(draft)
        self.rename(draft, path)
        self.sync(path.parent)


class TreeFiles:
    """Reads a tree. Safe beside a process that makes it grow: what ``state`` names is there for good.

    Raises TreeDamagedError and OSError, everywhere.
    """

    def __init__(self, directory: Path) -> None:
        """``directory`` is that of the audit log."""
        self.folder = directory / "tree"

    def state(self) -> TreeState:
        """Return what is durable now; an empty tree where there is none."""
        try:
            return decode_state((self.folder / "position").read_bytes())
        except FileNotFoundError:
            return TreeState()

    def nodes(self) -> NodeReader:
        """Return what reads nodes of the tree."""
        return nodes_of_tiles(self.tile)

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile, full or not."""
        full = self.folder / tile_path(level, number)
        part = self.part_path(level, number)
        for path in (
            part,
            full,
            part,
        ):  # it may become full, or begin, meanwhile; a full one behind the end is nobody's
            with suppress(FileNotFoundError):
                return path.read_bytes()
        raise TreeDamagedError(f"{tile_path(level, number)} is not there")

    def part_path(self, level: int, number: int) -> Path:
        """Return where a tile is while it grows."""
        return self.folder / "tile" / str(level) / f"{number_path(number)}.part"

    def runs_path(self, writer: str) -> Path:
        """Return where the runs of a writer are."""
        return self.folder / "runs" / writer

    def run(self, writer: str, number: int) -> Run:
        """Return a run of a writer, counted from 0."""
        with self.runs_path(writer).open("rb") as file:
            file.seek(number * RUN_BYTES)
            return read_run(file.read(RUN_BYTES), writer)


class TreeWriter(TreeFiles):
    """Makes a tree grow; holds its lock from construction to ``close``. For one thread at a time.

    Raises AuditWriterInUseError when another process holds the lock. After an error in ``append`` only ``close`` may follow.
    """

    def __init__(self, directory: Path, disk: TreeDisk | None = None) -> None:
        super().__init__(directory)
        self._disk = disk or TreeDisk()
        self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self._lock_fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._state = self.state()
            self._rows = self._recovered_rows()
        except BlockingIOError as error:
            self.close()
            raise AuditWriterInUseError("another process makes the tree of the audit log") from error
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """How many leaves are durable."""
        return self._state.size

    @property
    def root(self) -> bytes:
        """The root over them."""
        return bytes.fromhex(self._state.root)

    @property
    def places(self) -> Mapping[str, Place]:
        """To where each writer's log has been taken in."""
        return self._state.writers

    def append(self, runs: Sequence[NewRun], places: Mapping[str, Place]) -> None:
        """Add leaves, durable on return. ``places``: where the logs that they come from go on; ``runs`` in them is not looked at."""
        n_runs = {writer: place.runs for writer, place in self._state.writers.items()}
        self._write_tiles([leaf for run in runs for leaf in run.leaves])
        first_leaf = self._state.size
        added: dict[str, list[bytes]] = {}
        for new in runs:
            run = Run(first_leaf, new.first_seq, new.segment, new.offset, len(new.leaves))
            added.setdefault(new.writer, []).append(run.encode())
            first_leaf += run.n_entries
        for writer, records in added.items():
            path, before = self.runs_path(writer), n_runs.get(writer, 0)
            self._disk.write(path, before * RUN_BYTES, b"".join(records))
            self._disk.sync(path)
            if not before:
                self._sync_names(path)
            n_runs[writer] = before + len(records)
        writers = dict(self._state.writers)
        for writer, place in places.items():
            writers[writer] = Place(
                segment=place.segment,
                offset=place.offset,
                seq=place.seq,
                chain=place.chain,
                group=place.group,
                boot=place.boot,
                runs=n_runs.get(writer, 0),
            )
        self._replace_state(TreeState(size=self._rows.size, root=self._rows.root().hex(), writers=writers))

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock_fd)

    def _write_tiles(self, leaves: Sequence[bytes]) -> None:
        """Write and sync the tiles that these leaves change, lower levels first."""
        old_size, full = self._state.size, []
        for leaf in leaves:
            self._rows.add(leaf, lambda level, number, row: full.append((level, number, b"".join(row))))
        for level, number, row in full:
            self._write_part(level, number, old_size, row)
            path = self.folder / tile_path(level, number)
            self._disk.rename(self.part_path(level, number), path)
            self._disk.sync(path.parent)
        for level in range(MAX_LEVEL + 1):
            number, width = last_tile(self._rows.size, level)
            if width and (number, width) != last_tile(old_size, level):
                self._write_part(level, number, old_size, b"".join(self._rows.rows[level]))

    def _write_part(self, level: int, number: int, old_size: int, row: bytes) -> None:
        """Write a tile from where it ended before."""
        old_number, old_width = last_tile(old_size, level)
        start = old_width * HASH_BYTES if number == old_number else 0
        path = self.part_path(level, number)
        self._disk.write(path, start, row[start:])
        self._disk.sync(path)
        if not start:
            self._sync_names(path)

    def _sync_names(self, path: Path) -> None:
        """Make a new file's name durable, and those of the folders above it."""
        for folder in path.parents:
            self._disk.sync(folder)
            if folder == self.folder.parent:
                return

    def _replace_state(self, state: TreeState) -> None:
        self._disk.put(self.folder / "position", encode_state(state))
        self._state = state

    def _recovered_rows(self) -> TileRows:
        """Return the right edge, and cut back what goes on behind it in the files of its tiles."""
        rows = [split_hashes(self._recovered_part(level)) for level in range(MAX_LEVEL + 1)]
        found = TileRows(self._state.size, rows)
        if found.root() != self.root:
            raise TreeDamagedError("the last tiles of the tree have another root than its position names")
        return found

    def _recovered_part(self, level: int) -> bytes:
        number, width = last_tile(self._state.size, level)
        full, part = self.folder / tile_path(level, number), self.part_path(level, number)
        if not width:
            return b""
        if not part.exists() and full.exists():  # it became full, and nothing came of it
            self._disk.rename(full, part)
        length = width * HASH_BYTES
        try:
            data = part.read_bytes()
        except FileNotFoundError as error:
            raise TreeDamagedError(f"{tile_path(level, number)} is not there") from error
        if not length <= len(data) <= TILE_BYTES:
            raise TreeDamagedError(f"{tile_path(level, number)} is too short or too long")
        if len(data) > length:
            self._disk.cut(part, length)
        return data[:length]
