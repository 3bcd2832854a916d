"""What witnesses confirmed of a log, kept beside its checkpoints: ``checkpoints/witnessed/<name>/NNNNNNNN.checkpoints``.

Signed notes as those of the checkpoints, with the cosignatures of one witness instead of the log's own signatures; added to, and thinned when old.
"""

from collections.abc import Sequence
from pathlib import Path

from strongroom.audit._checkpoint import read_checkpoint
from strongroom.audit._checkpoint_files import CheckpointFiles, CheckpointWriter, KeptCheckpoint
from strongroom.audit._checkpoint_keys import LogKey
from strongroom.audit._checkpoint_thinning import thin_files
from strongroom.audit._note import Note, Signature, one_of_each_key, verify_note
from strongroom.audit._tree_files import TreeDisk

_BELOW = "witnessed"


def witness_names(directory: Path) -> list[str]:
    """Return the witnesses of which something is kept."""
    folder = directory / "checkpoints" / _BELOW
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


class WitnessedFiles(CheckpointFiles):
    """Reads what one witness confirmed. Safe beside the process that adds to it."""

    def __init__(self, directory: Path, name: str) -> None:
        """``directory`` is that of the audit log; ``name`` that of the witness in the configuration."""
        super().__init__(directory, below=f"{_BELOW}/{name}")

    def of_file(self, number: int) -> list[KeptCheckpoint]:
        """Return what a file holds, oldest first."""
        return self._read_file(number)[0]


class WitnessedWriter(CheckpointWriter):
    """Adds what one witness confirmed. For the process that holds the home."""

    def __init__(self, directory: Path, name: str, disk: TreeDisk | None = None) -> None:
        super().__init__(directory, disk, below=f"{_BELOW}/{name}")
        self._thinned: set[int] = set()

    def confirm(self, note: Note, signatures: Sequence[Signature], keys: Sequence[LogKey]) -> Note:
        """Keep those of the signatures that ``keys`` made of the checkpoint in ``note``, one of each key; durable on return.

        Raises VerificationFailedError when there is none, or a bad one.
        """
        good = one_of_each_key(verify_note(Note(note.text, tuple(signatures)), keys))
        confirmed = Note(note.text, good)
        self.append(confirmed)
        return confirmed

    def thin(self, keys: Sequence[LogKey], now: float) -> int:
        """Thin what is old, a file at a time, as checkpoints are; return how many were dropped. ``now``: Unix time in seconds."""
        return thin_files(self, self._thinned, keys, now)


def with_cosignatures(directory: Path, note: Note) -> Note:
    """Return a checkpoint with the cosignatures that are kept of it."""
    size = read_checkpoint(note.text).size
    added: list[Signature] = []
    for name in witness_names(directory):
        files = WitnessedFiles(directory, name)
        for number in reversed(files.numbers()):
            found = files.of_file(number)
            added += [one for kept in found if kept.note.text == note.text for one in kept.note.signatures]
            if found and found[0].checkpoint.size <= size:
                break
    return note.with_signatures(one_of_each_key(added))


def newest_witnessed(directory: Path, n_witnesses: int) -> int | None:
    """Return the size of the newest checkpoint that so many witnesses confirmed; None where there is none of late."""
    confirmed: dict[int, set[str]] = {}
    for name in witness_names(directory):
        files = WitnessedFiles(directory, name)
        newest = files.of_file(files.numbers()[-1]) if files.numbers() else []
        for kept in newest:
            names = {one.name for one in kept.note.signatures}
            confirmed.setdefault(kept.checkpoint.size, set()).update(names)
    return max((size for size, names in confirmed.items() if len(names) >= n_witnesses), default=None)
