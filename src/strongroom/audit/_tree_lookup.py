"""Finding entries in the tree and proving them: from the files alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._checkpoint import Checkpoint
from strongroom.audit._checkpoint_files import CheckpointFiles, KeptCheckpoint
from strongroom.audit._checkpoint_proof import EntryProof, GrowthProof
from strongroom.audit._cursor import Located, SegmentReader
from strongroom.audit._entry import leaf_hash
from strongroom.audit._errors import AuditCorruptError, ProofError
from strongroom.audit._format import is_writer_name
from strongroom.audit._retention_record import pruned_end, read_pruned
from strongroom.audit._tiles import TILE_WIDTH, split_hashes
from strongroom.audit._tree import (
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    tree_root,
)
from strongroom.audit._tree_files import TreeFiles
from strongroom.audit._tree_state import Place, Run


class FoundEntry(NamedTuple):
    """An entry, and which leaf of the tree it is."""

    leaf: int
    located: Located


class TreeLookup:
    """Looks entries up. For one thread. Raises TreeDamagedError, AuditCorruptError and OSError."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is that of the audit log."""
        self._directory = directory
        self._files = TreeFiles(directory)
        self._state = self._files.state()
        self._checkpoints = CheckpointFiles(directory)

    def find(self, writer: str, seq: int) -> FoundEntry:
        """Return an entry by its writer and number. Raises ProofError when the tree does not hold it (yet)."""
        place = self._place(writer, seq)
        pruned = pruned_end(self._directory, writer)
        if pruned is not None and seq < pruned.seq:
            told = read_pruned(self._directory).approvals.get(writer, ())
            raise ProofError(
                f"entry {seq} of {writer} was pruned: {'; '.join(told)}",
                next_step="a proof that was made before still verifies",
            )
        run = self._run_of(writer, seq, place.runs)
        for located in entries_of_run(self._directory, writer, run):
            if located.entry.seq == seq:
                return FoundEntry(run.first_leaf + seq - run.first_seq, located)
        raise AuditCorruptError(
            "the entry is not in the log any more", writer=writer, segment=run.segment, seq=seq
        )

    def is_taken(self, writer: str, segment: int) -> bool:
        """Whether a segment was taken in whole: the log of its writer goes on in a later one."""
        place = self._state.writers.get(writer)
        return place is not None and place.segment > segment

    def leaf_of(self, writer: str, seq: int) -> int:
        """Return which leaf an entry is, counted from 0, by the tree alone. Raises ProofError when it does not hold it (yet)."""
        run = self.run_of(writer, seq)
        return run.first_leaf + seq - run.first_seq

    def run_of(self, writer: str, seq: int) -> Run:
        """Return the run that holds an entry. Raises ProofError when the tree does not hold it (yet)."""
        return self._run_of(writer, seq, self._place(writer, seq).runs)

    def prove(self, writer: str, seq: int, *, size: int | None = None) -> EntryProof:
        """Return the proof of an entry under a checkpoint: that of ``size`` entries, or the newest.

        Raises ProofError when no checkpoint covers it, or the tree does not hold what is in the log.
        """
        found = self.find(writer, seq)
        kept = self.checkpoint(size)
        if found.leaf >= kept.checkpoint.size:
            raise ProofError(
                f"entry {seq} of {writer} is number {found.leaf} in the tree; the checkpoint covers {kept.checkpoint.size}",
                next_step="a checkpoint follows within 5 s while a member serves",
            )
        path = inclusion_path(found.leaf, kept.checkpoint.size, self._files.nodes())
        leaf = leaf_hash(found.located.payload)
        check_inclusion(leaf, found.leaf, kept.checkpoint.size, kept.checkpoint.root, path)
        return EntryProof(found.leaf, path, kept.note, found.located.payload)

    def prove_growth(self, old: Checkpoint, *, size: int | None = None) -> GrowthProof:
        """Return the proof that a checkpoint goes on from ``old``: that of ``size`` entries, or the newest.

        Raises ProofError when it does not.
        """
        kept = self.checkpoint(size)
        new = kept.checkpoint
        if old.origin != new.origin:
            raise ProofError(f"the checkpoint is of the log {old.origin}, this log is {new.origin}")
        path = consistency_path(old.size, new.size, self._files.nodes())
        check_consistency(old.size, old.root, new.size, new.root, path)
        return GrowthProof(old.size, path, kept.note)

    def root_at(self, size: int) -> bytes:
        """Return the root of the first ``size`` entries, which the tree must have."""
        return tree_root(size, self._files.nodes())

    def path_between(self, old_size: int, new: Checkpoint) -> tuple[bytes, ...]:
        """Return the proof that ``new`` goes on from the first ``old_size`` entries. Raises ProofError when it is not of this tree."""
        nodes = self._files.nodes()
        path = consistency_path(old_size, new.size, nodes)
        check_consistency(old_size, tree_root(old_size, nodes), new.size, new.root, path)
        return path

    def checkpoint(self, size: int | None = None) -> KeptCheckpoint:
        """Return the newest checkpoint, or that of a tree of ``size`` entries. Raises ProofError when there is none."""
        if size is None:
            found = self._checkpoints.last()
        else:
            found = next((kept for kept in self._checkpoints.read() if kept.checkpoint.size == size), None)
        if found is None:
            raise ProofError(
                "there is no such checkpoint" if size is not None else "there is no checkpoint yet",
                next_step="a checkpoint follows within 5 s of an entry while a member serves",
            )
        return found

    def _place(self, writer: str, seq: int) -> Place:
        place = self._state.writers.get(writer)
        if not is_writer_name(writer) or place is None:
            raise ProofError(f"the tree holds no entries of a writer {writer!r}")
        if not 1 <= seq < place.seq:
            raise ProofError(
                f"the tree holds entries 1 to {place.seq - 1} of {writer}, not {seq}",
                next_step="entries are taken in within two seconds; see the last ones with 'strongroom audit tail'",
            )
        return place

    def _run_of(self, writer: str, seq: int, n_runs: int) -> Run:
        """Return the run that holds an entry: runs of a writer are in the order of its numbers."""
        first, end = 0, n_runs
        while end - first > 1:
            middle = (first + end) // 2
            if self._files.run(writer, middle).first_seq <= seq:
                first = middle
            else:
                end = middle
        return self._files.run(writer, first)


class LeafCheck:
    """Compares entries of one writer, in their order, with the leaves that the tree has of them."""

    def __init__(self, directory: Path, writer: str) -> None:
        """``directory`` is that of the audit log."""
        self._lookup, self._files, self._writer = TreeLookup(directory), TreeFiles(directory), writer
        self._run: Run | None = None
        self._tile, self._hashes = -1, list[bytes]()

    def check(self, located: Located) -> None:
        """Raise AuditCorruptError where the tree holds another entry, ProofError where it holds none, TreeDamagedError and OSError."""
        seq, run = located.entry.seq, self._run
        if run is None or not run.first_seq <= seq < run.first_seq + run.n_entries:
            run = self._run = self._lookup.run_of(self._writer, seq)
        tile, index = divmod(run.first_leaf + seq - run.first_seq, TILE_WIDTH)
        if tile != self._tile:
            self._tile, self._hashes = tile, split_hashes(self._files.tile(0, tile))
        if self._hashes[index : index + 1] != [leaf_hash(located.payload)]:
            raise AuditCorruptError(
                "the tree holds another entry under this number",
                writer=self._writer,
                segment=located.segment,
                offset=located.offset,
                seq=seq,
            )


def entries_of_run(directory: Path, writer: str, run: Run) -> Iterator[Located]:
    """Yield the entries of a run, each checked against the chain from the first on. Raises AuditCorruptError."""
    with SegmentReader(directory / "wal" / writer, run.segment) as reader:
        reader.enter(run.offset, run.first_seq)
        for number, located in enumerate(reader, start=1):
            yield located
            if number == run.n_entries:
                return
