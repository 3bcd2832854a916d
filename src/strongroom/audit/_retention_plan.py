"""What may be pruned: a plan, which officers approve.

In it is what is archived, older than a day by its own times and by those of checkpoints, and read by all sinks.

The age of an entry is the latest of its own time, of every entry before it in its writer's log, and of the first checkpoint that
covers it: a clock that was set back makes nothing look old that follows something young.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from strongroom.audit._archive import is_covered
from strongroom.audit._archive_disk import archived_digest
from strongroom.audit._archive_names import archive_folder, archived_name, torn_path
from strongroom.audit._checkpoint_files import CheckpointFiles, KeptCheckpoint
from strongroom.audit._checkpoint_keys import cosigned_at
from strongroom.audit._cursor import SegmentEnd, SegmentReader
from strongroom.audit._files import list_segments
from strongroom.audit._read import list_writers
from strongroom.audit._retention_record import (
    PrunedHistory,
    PrunedWriter,
    RemovedSegment,
    read_pruned,
)
from strongroom.audit._torn import read_cut
from strongroom.audit._tree_lookup import LeafCheck, TreeLookup
from strongroom.core import StrongroomError

DAY_S: Final = 86_400
MOST_SEGMENTS: Final = 20_000
"""That go at once: a record names them all, and has at most 16 MiB."""


class RetentionError(StrongroomError):
    """What is asked for may not be pruned; the message says why."""


class PrunePlan(NamedTuple):
    """What is to go. The same log and day make the same plan, so that officers approve just what is done."""

    origin: str
    before: str
    """Day, as ``2027-01-31``: entries from before 00:00 UTC of it."""
    tree_size: int
    tree_root: str
    """Of the first checkpoint that covers all that goes."""
    writers: Mapping[str, PrunedWriter]
    """Those of which something goes."""

    def parameters(self) -> dict[str, Any]:
        """Return what officers sign: for each writer the last segment, its hash and the chain behind it."""
        return {
            "origin": self.origin,
            "before": self.before,
            "tree_size": self.tree_size,
            "tree_root": self.tree_root,
            "writers": [
                {
                    "writer": name,
                    "segment": gone.segment,
                    "sha256": gone.removed[-1].sha256,
                    "entry": gone.seq,
                    "chain": gone.chain,
                }
                for name, gone in sorted(self.writers.items())
            ],
        }

    @property
    def n_segments(self) -> int:
        """How many segments go."""
        return sum(len(gone.removed) for gone in self.writers.values())


def day_start(day: str) -> int:
    """Return 00:00 UTC of a day such as ``2027-01-31``, seconds since the Unix epoch. Raises RetentionError."""
    try:
        if len(day) != len("2027-01-31"):
            raise ValueError(day)
        return int(dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), dt.UTC).timestamp())
    except ValueError as error:
        raise RetentionError(f"{day[:20]!r} is no day", next_step="write it as 2027-01-31") from error


def require_old_enough(day: str, *, now: float, keep_days: int, newest_checkpoint: int) -> None:
    """Check that nothing from before a day is younger than ``keep_days``. Raises RetentionError.

    Now is what the clock says or the newest checkpoint's time, whichever is earlier: a clock that was set forward while the service
    stood still does not make entries old.
    """
    now_s = min(now, newest_checkpoint)
    last = dt.datetime.fromtimestamp(max(now_s - max(keep_days, 1) * DAY_S, 0), dt.UTC).strftime("%Y-%m-%d")
    if day_start(day) > now_s - max(keep_days, 1) * DAY_S:
        raise RetentionError(
            f"entries are kept for {max(keep_days, 1)} days, and those from before {day} may be younger",
            next_step=f"name a day up to {last}, or change audit.keep_days",
        )


class Planner:
    """Makes plans. For one thread. Raises AuditCorruptError and OSError everywhere."""

    def __init__(
        self, directory: Path, *, pace: Callable[[int], None] = lambda _n: None, most: int = MOST_SEGMENTS
    ) -> None:
        """``pace`` is called with the bytes that were worked on, and may sleep. ``most`` segments are in a plan."""
        self._directory, self._most = directory, most
        self._pace = pace
        self._checkpoints = CheckpointFiles(directory)

    def newest_checkpoint(self) -> int:
        """Return the time of the newest checkpoint, seconds since the Unix epoch; 0 where there is none, or nobody cosigned it."""
        last = self._checkpoints.last()
        return 0 if last is None else self._time_of(last)

    def plan(self, day: str, *, needed: Mapping[str, int] | None) -> PrunePlan:
        """Return what may go of entries from before a day. ``needed`` as ``Archiver.run`` takes it.

        Reads it all, and checks it. Raises RetentionError where nothing may go.
        """
        history = read_pruned(self._directory)
        lookup = TreeLookup(self._directory)
        found: dict[str, PrunedWriter] = {}
        left = self._most
        size, root = (history.last.tree_size, history.last.tree_root) if history.last else (0, "")
        for writer in list_writers(self._directory):
            unread = None if needed is None else needed.get(writer, 0)
            gone, checkpoint = self._plan_writer(writer, day, lookup, history, unread, most=left)
            if gone is not None and checkpoint is not None:
                found[writer] = gone
                left -= len(gone.removed)
                if checkpoint.checkpoint.size > size:
                    size, root = checkpoint.checkpoint.size, checkpoint.checkpoint.root.hex()
        if not found:
            raise RetentionError(
                f"nothing from before {day} can be pruned",
                next_step="see what is archived and when: strongroom audit archive",
            )
        return PrunePlan(self._checkpoints.origin() or "", day, size, root, found)

    def _plan_writer(
        self,
        writer: str,
        day: str,
        lookup: TreeLookup,
        history: PrunedHistory,
        unread: int | None,
        *,
        most: int,
    ) -> tuple[PrunedWriter | None, KeptCheckpoint | None]:
        """Return what may go of one writer, and the first checkpoint that covers it."""
        folder, before_s = self._directory / "wal" / writer, day_start(day)
        end, start = history.end(writer), history.writers.get(writer)
        newest, leaves = 0 if start is None else start.newest_at, LeafCheck(self._directory, writer)
        removed: list[RemovedSegment] = []
        gone: PrunedWriter | None = None
        checkpoint: KeptCheckpoint | None = None
        numbers = [number for number in list_segments(folder) if end is None or number > end.segment]
        for number, after in itertools.islice(itertools.pairwise(numbers), most):
            if (unread is not None and number >= unread) or not is_covered(lookup, folder, number, after):
                break
            if not (archive_folder(folder) / archived_name(number)).exists():
                break
            segment, at, end = self._read(folder, number, end, leaves)
            newest = max(newest, at)
            covering = self._covering(lookup, writer, end.seq - 1)
            if (
                newest >= before_s * 1_000_000
                or covering is None
                or not 0 < self._time_of(covering) < before_s
            ):
                break
            removed.append(segment)
            checkpoint = covering
            gone = PrunedWriter(
                segment=number,
                boot=end.boot,
                seq=end.seq - 1,
                chain=end.chain.hex(),
                newest_at=newest,
                removed=tuple(removed),
            )
        return gone, checkpoint

    def _read(
        self, folder: Path, number: int, before: SegmentEnd | None, leaves: LeafCheck
    ) -> tuple[RemovedSegment, int, SegmentEnd]:
        """Read a segment through; return what is to be written down of it, its newest time, and where it ended."""
        newest = 0
        with SegmentReader(folder, number) as reader:
            reader.check_joint(before)
            for located in reader:
                leaves.check(located)  # its leaf is all that stays
                newest = max(newest, located.entry.at)
                self._pace(len(located.payload))
            if reader.rest():
                raise reader.corrupt("the segment ends within an entry")
            header, end = reader.header, reader.end()
        path = archive_folder(folder) / archived_name(number)
        sha256, n_bytes = archived_digest(path, writer=folder.name, segment=number, pace=self._pace)
        torn = read_cut(folder, number).sha256 if torn_path(folder, number).exists() else ""
        segment = RemovedSegment(
            segment=number,
            boot=header.boot,
            first_seq=header.first_seq,
            last_seq=end.seq - 1,
            chain_before=header.chain.hex(),
            sha256=sha256,
            n_bytes=n_bytes,
            torn_sha256=torn,
        )
        return segment, newest, end

    def _covering(self, lookup: TreeLookup, writer: str, seq: int) -> KeptCheckpoint | None:
        """Return the first checkpoint that covers an entry."""
        return self._checkpoints.first_covering(1 + lookup.leaf_of(writer, seq) if seq else 1)

    def _time_of(self, kept: KeptCheckpoint) -> int:
        known = self._checkpoints.keys()
        cosigners = {key.key_id for key in known if key.kind.is_cosigner}
        times = [cosigned_at(one.data) for one in kept.note.signatures if one.key_id in cosigners]
        return max(times, default=0)
