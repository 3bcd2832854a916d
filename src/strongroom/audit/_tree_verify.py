"""Checking tree and checkpoints offline: the tree is built anew from the entries, and every checkpoint must be of it.

Since each checkpoint is compared with the root of the very tree at its size, each is consistent with the next. One pass over
the entries in the order of the tree, in constant memory.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._archive_readers import PrunedLeaves, SegmentReaders
from strongroom.audit._beside_pruning import read_beside_pruning
from strongroom.audit._checkpoint_files import CheckpointFiles, KeptCheckpoint
from strongroom.audit._checkpoint_keys import LogKey, cosigned_at, verify_checkpoint
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._entry import Entry, leaf_hash
from strongroom.audit._errors import AuditCorruptError, TreeDamagedError
from strongroom.audit._note import Signature
from strongroom.audit._read import list_writers
from strongroom.audit._retention_record import read_pruned
from strongroom.audit._tiles import TILE_WIDTH, TileRows, split_hashes, tile_path
from strongroom.audit._tree_files import TreeFiles
from strongroom.audit._tree_state import RUN_BYTES, Place, Run, read_run
from strongroom.audit._tree_times import TreeTimes
from strongroom.audit._witness_verify import Confirmed, WitnessedPass, Witnesses
from strongroom.core import StrongroomError

PROGRESS_EVERY = 10_000
MAX_WARNINGS = 1_000
"""A log with more is beyond listing."""


class TreeReport(NamedTuple):
    """What the tree and its checkpoints hold."""

    origin: str
    entries: int
    """Leaves that were built anew and fit."""
    root: bytes
    checkpoints: int
    """That are signed by the keys and are of this tree."""
    checkpointed: int
    """Entries that the newest of them covers."""
    warnings: tuple[str, ...]
    pruned: int = 0
    """Of ``entries``: their leaves were taken from the tree, for they are not in the log any more."""
    confirmed: tuple[Confirmed, ...] = ()
    """How far each witness that was asked for confirmed it."""


def verify_tree(
    directory: Path,
    keys: Sequence[LogKey],
    *,
    witnesses: Witnesses | None = None,
    progress: Callable[[int], None] | None = None,
) -> TreeReport:
    """Build the tree anew from the entries of all writers, and check every tile and checkpoint against it.

    Every checkpoint must be signed by one of ``keys``; what ``witnesses`` cosigned must be of this tree too. Raises AuditCorruptError, which names the first entry or file that is
    bad, and OSError. ``progress`` is called with the number of leaves, now and then.
    """

    def verify() -> TreeReport:
        check = _TreeCheck(directory, keys, witnesses or Witnesses(()), progress)
        try:
            return check.run()
        finally:
            check.close()

    return read_beside_pruning(directory, verify)


class _Leaf(NamedTuple):
    number: int
    writer: str
    run: Run


class _TreeCheck:
    """One pass. Leaves come one by one; tiles and checkpoints are compared as they are reached."""

    def __init__(
        self,
        directory: Path,
        keys: Sequence[LogKey],
        witnesses: Witnesses,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._witnesses = witnesses
        self._progress = progress
        self._files = TreeFiles(directory)
        self._checkpoints = CheckpointFiles(directory)
        self._origin = self._checkpoints.origin() or ""
        self._witnessed = WitnessedPass(witnesses, directory, self._origin)
        self._readers = SegmentReaders(directory)
        self._pruned = PrunedLeaves(read_pruned(directory), self._files)
        self._rows = TileRows(0, [])
        self._warnings: list[str] = []
        self._times = TreeTimes(self._warn)
        self._newest_file = max(self._checkpoints.numbers(), default=0)
        self._n_checkpoints = self._checkpointed = 0

    def run(self) -> TreeReport:
        state = self._files.state()
        waiting = self._checkpoints.read()
        due = self._reach(waiting, next(waiting, None))
        self._witnessed.reach(0, self._rows.root())
        last_number = -1
        streams = [_leaves(self._files, writer, place) for writer, place in state.writers.items()]
        for leaf in heapq.merge(*streams):
            if leaf.number != last_number + 1:
                raise TreeDamagedError(
                    f"the tree names no entry for leaf {last_number + 1}", writer=leaf.writer
                )
            for entry_hash in self._entries(leaf):
                self._rows.add(entry_hash, self._compare_tile)
                if due is not None and due.checkpoint.size == self._rows.size:
                    due = self._reach(waiting, due)
                if self._rows.size == self._pruned.checked_at:
                    self._pruned.check_root(self._rows.root())
                if self._rows.size == self._witnessed.due_at:
                    self._witnessed.reach(self._rows.size, self._rows.root())
                if self._progress is not None and self._rows.size % PROGRESS_EVERY == 0:
                    self._progress(self._rows.size)
            last_number = self._rows.size - 1
        self._require_nothing_beyond(due)
        root = self._rows.root()
        if (self._rows.size, root.hex()) != (state.size, state.root):
            raise TreeDamagedError("the entries make another tree than its position names")
        self._compare_edges()
        self._times.end()
        self._look_beside(state.writers)
        self._check_files()
        return TreeReport(
            self._origin,
            self._rows.size,
            root,
            self._n_checkpoints,
            self._checkpointed,
            tuple(self._warnings),
            self._pruned.n_leaves,
            self._witnesses.confirmed(),
        )

    def _require_nothing_beyond(self, due: KeptCheckpoint | None) -> None:
        size = self._files.state().size  # what is of a larger tree than we read may have come meanwhile
        if due is not None and due.checkpoint.size > size:
            raise TreeDamagedError(
                f"a checkpoint covers {due.checkpoint.size} entries, and the tree has {self._rows.size}"
            )
        self._witnessed.require_nothing_beyond(size)

    def close(self) -> None:
        self._readers.close()

    def _entries(self, leaf: _Leaf) -> Iterator[bytes]:
        """Yield the leaf hashes of a run: from its entries, and of those that were pruned from the tree itself."""
        run, times = leaf.run, self._times
        if self._pruned.holds(leaf.writer, run):
            yield from map(self._pruned.leaf, range(leaf.number, leaf.number + run.n_entries))
            return
        left = run.n_entries
        reader = self._segment(leaf.writer, run.segment)
        reader.enter(run.offset, run.first_seq)
        for located in reader:
            times.see(located.entry)
            if left in {1, run.n_entries}:
                times.see_ends(located.entry)
            yield leaf_hash(located.payload)
            left -= 1
            if not left:
                return
        raise reader.corrupt("an entry that is in the tree is not in the log any more")

    def _segment(self, writer: str, number: int) -> SegmentReader:
        try:
            return self._readers.of(writer, number)
        except FileNotFoundError as error:
            raise AuditCorruptError(
                "the segment is not there, though the tree goes over it", writer=writer, segment=number
            ) from error

    def _reach(self, waiting: Iterator[KeptCheckpoint], kept: KeptCheckpoint | None) -> KeptCheckpoint | None:
        """Check every checkpoint of the tree as it is now; return the first one of a larger tree."""
        while kept is not None and kept.checkpoint.size == self._rows.size:
            self._check(kept)
            kept = next(waiting, None)
        if kept is not None and kept.checkpoint.size < self._rows.size:
            raise _bad(kept, "it is of a smaller tree than the one before it")
        return kept

    def _check(self, kept: KeptCheckpoint) -> None:
        checkpoint = kept.checkpoint
        if checkpoint.origin != self._origin:
            raise _bad(kept, f"it is of another log, {checkpoint.origin}")
        if checkpoint.root != self._rows.root():
            raise _bad(kept, f"the first {checkpoint.size} entries make another tree")
        try:
            signatures = verify_checkpoint(kept.note, self._keys)
            at = self._signed_at(kept, signatures)
        except StrongroomError as error:
            raise _bad(kept, error.message) from error
        self._times.checkpoint(checkpoint.size, at, may_be_thinned=kept.file != self._newest_file)
        self._n_checkpoints += 1
        self._checkpointed = checkpoint.size

    def _signed_at(self, kept: KeptCheckpoint, signatures: Sequence[Signature]) -> int:
        """Return when the log's cosigner says that a checkpoint was made, or 0."""
        own = {key.key_id: key for key in self._keys if key.name == self._origin}
        signed = [(own[one.key_id], one) for one in signatures if one.name == self._origin]
        times = [cosigned_at(one.data) for key, one in signed if key.kind.is_cosigner]
        if not times and any(key.kind.is_cosigner for key in own.values()):
            self._warn(f"{_place(kept)} has no cosignature, which tells when it was made")
        return max(times, default=0)

    def _check_files(self) -> None:
        """Tell of what stands beside the checkpoints and is not what it should be."""
        numbers = self._checkpoints.numbers()
        for number in sorted(set(range(min(numbers, default=0), max(numbers, default=0))) - set(numbers)):
            self._warn(f"{self._checkpoints.path(number).name} is missing")
        if (unfinished := self._checkpoints.unfinished()) is not None:
            self._warn(unfinished)
        kept = self._checkpoints.keys()
        for key in self._keys:
            if key.name == self._origin and key not in kept:
                self._warn(f"the key {key.key_id.hex()} does not stand beside the checkpoints")

    def _look_beside(self, places: Mapping[str, Place]) -> None:
        """Look at the first entry of each writer that is not in the tree. What is damaged there is told by the chains."""
        for writer in list_writers(self._directory):
            with suppress(AuditCorruptError, FileNotFoundError):
                if (entry := self._entry_behind(writer, places.get(writer))) is not None:
                    self._times.beside(entry)

    def _entry_behind(self, writer: str, place: Place | None) -> Entry | None:
        number = place.segment if place and place.segment else 1
        for segment in (number, number + 1):
            with SegmentReader(self._directory / "wal" / writer, segment) as reader:
                if place is not None and segment == place.segment:
                    reader.resume(place.position)
                for located in reader:
                    return located.entry
        return None

    def _compare_tile(self, level: int, number: int, row: list[bytes]) -> None:
        if split_hashes(self._files.tile(level, number))[:TILE_WIDTH] != row:
            raise TreeDamagedError(f"{tile_path(level, number)} is not what the entries make")

    def _compare_edges(self) -> None:
        for level, row in enumerate(self._rows.rows):
            number = (self._rows.size >> 8 * level) // TILE_WIDTH
            if row and split_hashes(self._files.tile(level, number))[: len(row)] != row:
                raise TreeDamagedError(f"{tile_path(level, number, len(row))} is not what the entries make")

    def _warn(self, what: str) -> None:
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(what)


def _place(kept: KeptCheckpoint) -> str:
    return f"the checkpoint of {kept.checkpoint.size} entries (file {kept.file:08d}, byte {kept.offset})"


def _bad(kept: KeptCheckpoint, what: str) -> TreeDamagedError:
    return TreeDamagedError(f"{_place(kept)} is bad: {what}")


def _leaves(files: TreeFiles, writer: str, place: Place) -> Iterator[_Leaf]:
    """Yield the runs of a writer, each as its first leaf."""
    if not place.runs:
        return
    with files.runs_path(writer).open("rb") as file:
        before = 0
        for _ in range(place.runs):
            run = read_run(file.read(RUN_BYTES), writer)
            if before and run.first_seq != before:
                raise AuditCorruptError("the tree leaves entries out", writer=writer, seq=before)
            before = run.first_seq + run.n_entries
            yield _Leaf(run.first_leaf, writer, run)
    if before != place.seq:
        raise AuditCorruptError("the tree leaves entries out", writer=writer, seq=before)
