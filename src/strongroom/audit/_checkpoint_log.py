"""``TreeLog``: the tree, what gathers into it, and its checkpoints, opened together. What main keeps; no HSM here."""

from collections.abc import Sequence
from pathlib import Path

from strongroom.audit._checkpoint import Checkpoint
from strongroom.audit._checkpoint_files import CheckpointWriter, KeptCheckpoint
from strongroom.audit._checkpoint_keys import LogKey, verify_checkpoint
from strongroom.audit._checkpoint_thinning import thin_files
from strongroom.audit._errors import TreeDamagedError
from strongroom.audit._gather import Gathered, Gatherer
from strongroom.audit._note import Note, Signature
from strongroom.audit._tree import tree_root
from strongroom.audit._tree_files import TreeWriter


class TreeLog:
    """The Merkle tree of a host, open for growing. For one thread at a time; every method may block on the disk.

    Raises AuditWriterInUseError, TreeDamagedError and OSError; after an error only ``close`` may follow.
    """

    def __init__(self, directory: Path, origin: str) -> None:
        """Open it, or make it, under the name ``origin``, which counts for a new one only.

        The tree must hold what the last checkpoint says: never is one signed that contradicts another.
        """
        self._tree = TreeWriter(directory)
        self._gatherer = Gatherer(directory, self._tree)
        self._thinned: set[int] = set()  # numbers of files
        try:
            self._checkpoints = CheckpointWriter(directory)
            self.origin = self._checkpoints.name(origin)
            self.last = self._checkpoints.last()
            self._require_tree_of(self.last)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Leaves of the tree."""
        return self._tree.size

    @property
    def checkpointed(self) -> int:
        """Leaves that the newest checkpoint covers."""
        return 0 if self.last is None else self.last.checkpoint.size

    def gather(self, *, is_last: bool = False) -> Gathered:
        """Take in what writers wrote (``Gatherer.gather``)."""
        return self._gatherer.gather(is_last=is_last)

    def next_checkpoint(self) -> Checkpoint:
        """Return what is to be signed next: the tree as it is."""
        return Checkpoint(self.origin, self._tree.size, self._tree.root)

    def add(self, checkpoint: Checkpoint, signatures: Sequence[Signature], keys: Sequence[LogKey]) -> Note:
        """Keep a checkpoint; each of ``keys`` signed it, which is checked. Raises VerificationFailedError."""
        note = Note(checkpoint.text(), tuple(signatures))
        verify_checkpoint(note, keys)
        self._checkpoints.trust(*keys)
        self._checkpoints.append(note)
        self.last = KeptCheckpoint(checkpoint, note, 0, 0)
        return note

    def thin(self, now: float) -> int:
        """Drop old checkpoints that say nothing of their own (``thinned``), a file at a time; return how many.

        ``now`` in seconds since the Unix epoch. A file that was looked at and is old is not looked at again.
        """
        return thin_files(self._checkpoints, self._thinned, self._checkpoints.keys(), now)

    def close(self) -> None:
        """Give everything back."""
        self._gatherer.close()
        self._tree.close()

    def _require_tree_of(self, kept: KeptCheckpoint | None) -> None:
        if kept is None:
            return
        checkpoint = kept.checkpoint
        if checkpoint.origin != self.origin:
            raise TreeDamagedError("the last checkpoint is of another log")
        if checkpoint.size > self._tree.size:
            raise TreeDamagedError(
                f"the last checkpoint is of a tree of {checkpoint.size} entries, and {self._tree.size} are there"
            )
        if tree_root(checkpoint.size, self._tree.nodes()) != checkpoint.root:
            raise TreeDamagedError("the tree is not the one that the last checkpoint is of")
