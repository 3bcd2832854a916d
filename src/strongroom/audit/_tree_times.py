"""What the times of entries and of checkpoints say about each other. Nothing here makes a log bad: clocks are not proofs."""

from collections.abc import Callable
from typing import NamedTuple

from strongroom.audit._checkpoint_thinning import SLOT_S
from strongroom.audit._entry import Entry

LATE_S = 60
"""How far a time may be from where it should lie: clocks are set, and a checkpoint waits for an HSM."""
THINNED_S = 2 * SLOT_S + LATE_S
"""How far apart checkpoints are where old ones were thinned."""
_MICRO = 1_000_000


class _First(NamedTuple):
    """The first entry of a writer that no checkpoint covers yet."""

    boot: int
    at: int
    seq: int


class TreeTimes:
    """Looks at entries in the order of the tree, and at the checkpoints between them; tells what does not fit by ``warn``."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._checkpointed_at = 0
        self._too_old = 0
        self._first: dict[str, _First] = {}
        self._waited: tuple[int, str, int] = (0, "", 0)  # microseconds, writer, number of the first entry
        self._newest: tuple[int, str, int] = (0, "", 0)  # time, writer, number
        self.newest_at = 0
        """Of all entries so far, in microseconds."""

    def see(self, entry: Entry) -> None:
        """Look at the next entry."""
        at = entry.at
        if at < self._too_old:
            self._warn(
                f"writer {entry.writer}, entry {entry.seq}: it says that it is over {LATE_S} s older than a checkpoint that it"
                " is not in: a clock went back, or it was not taken in for so long"
            )
        if at > self._newest[0]:
            self._newest = (at, entry.writer, entry.seq)

    def see_ends(self, entry: Entry) -> None:
        """Look at the first and the last entry of a run, besides ``see``."""
        first = self._first.get(entry.writer)
        if first is None or first.boot != entry.boot:
            self._first[entry.writer] = _First(entry.boot, entry.at, entry.seq)
        elif entry.at - first.at > self._waited[0]:
            self._waited = (entry.at - first.at, entry.writer, first.seq)

    def checkpoint(self, size: int, at: int, *, may_be_thinned: bool) -> None:
        """Look at a checkpoint of all entries so far, made at ``at`` by its cosignature (seconds), or 0."""
        limit_s = THINNED_S if may_be_thinned else LATE_S
        self._tell_of_waiting(f"before the checkpoint of {size} entries", limit_s)
        newest_at, writer, seq = self._newest
        if at and newest_at > (at + LATE_S) * _MICRO:
            self._warn(
                f"writer {writer}, entry {seq}: it says that it is {newest_at / _MICRO - at:.0f} s later than the checkpoint"
                f" of {size} entries, which it is in: a clock was ahead"
            )
        if at and at < self._checkpointed_at:
            self._warn(
                f"the checkpoint of {size} entries is older than the one before it: the clock went back"
            )
        self._checkpointed_at = at or self._checkpointed_at
        self._too_old = (self._checkpointed_at - LATE_S) * _MICRO
        self._forget_newest()

    def end(self) -> None:
        """Look back when there are no more entries in the tree."""
        self._tell_of_waiting("at the end of the tree", LATE_S)
        self._forget_newest()

    def beside(self, entry: Entry) -> None:
        """Look at the first entry of a writer that is not in the tree."""
        if entry.at < self.newest_at - LATE_S * _MICRO:
            self._warn(
                f"writer {entry.writer}, entry {entry.seq}: neither it nor what follows it is in the tree, though entries"
                f" that say that they are over {LATE_S} s younger are"
            )

    def _tell_of_waiting(self, where: str, limit_s: int) -> None:
        waited, writer, seq = self._waited
        if waited > limit_s * _MICRO:
            self._warn(
                f"writer {writer}, entry {seq}: {where}, entries of {waited / _MICRO:.0f} s from this one on were under no"
                " checkpoint: no HSM answered, or checkpoints were removed, or a clock was ahead"
            )
        self._first.clear()
        self._waited = (0, "", 0)

    def _forget_newest(self) -> None:
        self.newest_at = max(self.newest_at, self._newest[0])
        self._newest = (0, "", 0)
