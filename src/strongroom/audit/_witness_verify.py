"""What witnesses confirmed, compared with the tree that the entries make. Part of ``verify_tree``, in the same one pass."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._checkpoint import Checkpoint, read_checkpoint
from strongroom.audit._checkpoint_keys import LogKey, cosigned_at
from strongroom.audit._errors import TreeDamagedError
from strongroom.audit._note import Note, Signature, verify_note
from strongroom.audit._witnessed import WitnessedFiles, witness_names
from strongroom.core import StrongroomError


class Confirmed(NamedTuple):
    """How far a witness confirmed the log."""

    witness: str
    """The name of its key."""
    size: int
    """Entries of the newest tree that it cosigned."""
    at: int
    """When, by its own clock: seconds since the Unix epoch."""
    checkpoints: int
    """How many it cosigned."""


class WitnessedCheckpoint(NamedTuple):
    """A cosigned checkpoint, and where it was found."""

    checkpoint: Checkpoint
    note: Note
    place: str


class Witnesses:
    """Whose cosignatures count, and checkpoints that somebody has from them. For one verification."""

    def __init__(self, keys: Sequence[LogKey], given: Sequence[Note] = ()) -> None:
        """``given``: cosigned checkpoints that do not come from the host. Raises VerificationFailedError for one that no key signed."""
        self._keys = {(key.name, key.key_id): key for key in keys}
        self.names = tuple(dict.fromkeys(key.name for key in keys))
        self._given: list[WitnessedCheckpoint] = []
        for note in given:
            verify_note(note, keys)
            self._given.append(WitnessedCheckpoint(read_checkpoint(note.text), note, "what was named"))
        self._confirmed: dict[str, Confirmed] = {}

    def read(self, directory: Path) -> Iterator[WitnessedCheckpoint]:
        """Yield what the witnesses cosigned, smaller trees first: what is kept beside the log, and what was given."""
        self._confirmed = {}
        kept = [self._kept(directory, name) for name in witness_names(directory)]
        given = sorted(self._given, key=_size)
        return heapq.merge(*kept, given, key=_size)

    def check(self, found: WitnessedCheckpoint, origin: str, root: bytes) -> None:
        """Check one against the root of the tree at its size. Raises TreeDamagedError."""
        if found.checkpoint.origin != origin:
            raise TreeDamagedError(f"{_named(found)} is of another log, {found.checkpoint.origin}")
        try:
            good = verify_note(found.note, tuple(self._keys.values()))
        except StrongroomError as error:
            raise TreeDamagedError(f"{_named(found)} is bad: {error.message}") from error
        names = sorted({one.name for one in good})
        if found.checkpoint.root != root:
            raise TreeDamagedError(
                f"{_named(found)} is of another tree: {', '.join(names)} saw another past than these files tell"
            )
        for name in names:
            at = max(cosigned_at(one.data) for one in good if one.name == name)
            self._note(name, found.checkpoint.size, at)

    def beyond(self, found: WitnessedCheckpoint, size: int) -> TreeDamagedError:
        """Return the error of one that is of a larger tree than there is."""
        names = ", ".join(sorted({one.name for one in found.note.signatures if self._is_known(one)}))
        return TreeDamagedError(
            f"{_named(found)} was confirmed by {names}, and the tree has {size}: entries were cut off"
        )

    def confirmed(self) -> tuple[Confirmed, ...]:
        """Return how far each witness confirmed the log; those that did not are missing."""
        return tuple(self._confirmed[name] for name in self.names if name in self._confirmed)

    def _kept(self, directory: Path, name: str) -> Iterable[WitnessedCheckpoint]:
        """Yield what is kept of a witness, as far as it was cosigned by the keys that count."""
        for kept in WitnessedFiles(directory, name).read():
            if any(map(self._is_known, kept.note.signatures)):
                place = f"{name}, file {kept.file:08d}, byte {kept.offset}"
                yield WitnessedCheckpoint(kept.checkpoint, kept.note, place)

    def _is_known(self, one: Signature) -> bool:
        return (one.name, one.key_id) in self._keys

    def _note(self, name: str, size: int, at: int) -> None:
        before = self._confirmed.get(name, Confirmed(name, 0, 0, 0))
        self._confirmed[name] = Confirmed(name, max(before.size, size), at, before.checkpoints + 1)


class WitnessedPass:
    """What witnesses cosigned, compared with the tree as it grows."""

    def __init__(self, witnesses: Witnesses, directory: Path, origin: str) -> None:
        """``directory`` is that of the audit log, ``origin`` what the log calls itself."""
        self._witnesses, self._origin = witnesses, origin
        self._stream = witnesses.read(directory)
        self._next: WitnessedCheckpoint | None = None
        self.due_at = -1
        """At which size of the tree something is to be compared next; -1: at none."""
        self._go_on()

    def reach(self, size: int, root: bytes) -> None:
        """Compare what was cosigned of the tree of this size. Raises TreeDamagedError."""
        while self._next is not None and self._next.checkpoint.size <= size:
            if self._next.checkpoint.size < size:
                raise TreeDamagedError(f"{_named(self._next)} is of a smaller tree than the one before it")
            self._witnesses.check(self._next, self._origin, root)
            self._go_on()

    def _go_on(self) -> None:
        self._next = next(self._stream, None)
        self.due_at = -1 if self._next is None else self._next.checkpoint.size

    def require_nothing_beyond(self, size: int) -> None:
        """Raise TreeDamagedError where something was cosigned of a larger tree than that of ``size`` entries."""
        if self._next is not None and self._next.checkpoint.size > size:
            raise self._witnesses.beyond(self._next, size)


def confirmed_by(confirmed: Sequence[Confirmed], n_witnesses: int) -> int:
    """Return how many entries at least so many witnesses confirmed."""
    sizes = sorted((one.size for one in confirmed), reverse=True)
    return sizes[n_witnesses - 1] if len(sizes) >= n_witnesses > 0 else 0


def _size(found: WitnessedCheckpoint) -> int:
    return found.checkpoint.size


def _named(found: WitnessedCheckpoint) -> str:
    return f"the witnessed checkpoint of {found.checkpoint.size} entries ({found.place})"
