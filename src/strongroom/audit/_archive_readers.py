"""What one pass over the tree reads leaves from: the entries themselves, and the tree where they were pruned."""

from pathlib import Path

from strongroom.audit._cursor import SegmentReader
from strongroom.audit._errors import AuditCorruptError, TreeDamagedError
from strongroom.audit._retention_record import PrunedHistory
from strongroom.audit._tiles import TILE_WIDTH, split_hashes, tile_path
from strongroom.audit._tree_files import TreeFiles
from strongroom.audit._tree_state import Run


class SegmentReaders:
    """Keeps the segment of each writer open that was read last: the runs of a writer are in the order of its log."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is that of the audit log."""
        self._directory = directory
        self._open: dict[str, tuple[int, SegmentReader]] = {}

    def of(self, writer: str, segment: int) -> SegmentReader:
        """Return the reader of a segment, good until another one of the writer is asked for. Raises as ``SegmentReader`` does."""
        found = self._open.get(writer)
        if found is not None and found[0] == segment:
            return found[1]
        if found is not None:
            del self._open[writer]
            found[1].__exit__()
        reader = SegmentReader(self._directory / "wal" / writer, segment)
        self._open[writer] = (segment, reader)
        return reader

    def close(self) -> None:
        """Close them all."""
        for _, reader in self._open.values():
            reader.__exit__()
        self._open.clear()


class PrunedLeaves:
    """Says which runs of the tree are of entries that were pruned, and has their leaf hashes from its lowest tiles."""

    def __init__(self, history: PrunedHistory, files: TreeFiles) -> None:
        self._history = history
        self._files = files
        self._tile = -1
        self._hashes: list[bytes] = []
        self.n_leaves = 0
        """So many leaves were taken from the tree."""

    @property
    def checked_at(self) -> int:
        """How many leaves the tree had at the root that the newest record names; -1 where there is no record."""
        return -1 if self._history.last is None else self._history.last.tree_size

    def check_root(self, root: bytes) -> None:
        """Check the root of the tree of that size. Raises TreeDamagedError."""
        if self._history.last is not None and root.hex() != self._history.last.tree_root:
            raise TreeDamagedError(
                f"the record of a pruning names another tree of {self._history.last.tree_size} entries"
            )

    def holds(self, writer: str, run: Run) -> bool:
        """Whether the entries of a run were pruned, by the records. Raises TreeDamagedError where the tree does not fit them."""
        end = self._history.end(writer)
        if end is None:
            return False
        is_gone, last = run.segment <= end.segment, run.first_seq + run.n_entries - 1
        is_covered = run.first_leaf + run.n_entries <= self.checked_at
        if is_gone != (last < end.seq) or (is_gone and not is_covered):
            raise TreeDamagedError(
                f"the tree has entries {run.first_seq} to {last} in segment {run.segment:08d},"
                " which does not fit what the record of a pruning says",
                writer=writer,
            )
        self.n_leaves += run.n_entries if is_gone else 0
        return is_gone

    def leaf(self, number: int) -> bytes:
        """Return the hash of a leaf. Raises TreeDamagedError and OSError."""
        tile, index = divmod(number, TILE_WIDTH)
        if tile != self._tile:
            self._tile, self._hashes = tile, split_hashes(self._files.tile(0, tile))
        if index >= len(self._hashes):
            raise TreeDamagedError(f"{tile_path(0, tile)} is too short")
        return self._hashes[index]


def require_told(history: PrunedHistory, told: set[str]) -> AuditCorruptError | None:
    """Return what is wrong where no entry tells of the newest record; ``told`` are the hashes that entries name."""
    if history.last is None or history.sha256 in told:
        return None
    return AuditCorruptError(
        f"no entry of the log tells of the record of a pruning, pruned/{history.last.number:08d}.json"
    )
