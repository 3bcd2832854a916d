"""Pruning: a plan that officers approved is carried out, and a crash does not leave it half done.

begin     the record, as ``.begun``, durable
(then an entry ``audit.pruned`` tells of the record, durable)
finish    the record gets its name, the files go, oldest first
"""

from collections.abc import Callable
from pathlib import Path

from strongroom.audit._archive_disk import ArchiveDisk, SegmentMover, archived_digest
from strongroom.audit._archive_names import archive_folder, archived_name, list_archived
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import list_segments
from strongroom.audit._retention_plan import PrunePlan, RetentionError
from strongroom.audit._retention_record import (
    BEGUN,
    MAX_RECORD_BYTES,
    PRUNED_EVENT,
    PRUNED_WRITER,
    PrunedWriter,
    PruneRecord,
    RemovedSegment,
    pruned_folder,
    read_pruned,
    record_name,
    removed_segments,
)


class Pruner:
    """Prunes. For one thread, in the one process that keeps the tree. Raises AuditCorruptError and OSError everywhere."""

    def __init__(
        self,
        directory: Path,
        *,
        disk: ArchiveDisk | None = None,
        pace: Callable[[int], None] = lambda _n: None,
    ) -> None:
        """``pace`` is called with the bytes that were worked on, and may sleep, or raise to end the work between two steps."""
        self._directory = directory
        self._disk = disk or ArchiveDisk()
        self._pace = pace

    def begin(self, plan: PrunePlan, *, approval: str, at: float) -> PruneRecord:
        """Write the record of a plan; durable on return. ``finish`` follows once an entry tells of it, durably."""
        history = read_pruned(self._directory)
        if history.begun is not None:
            raise RetentionError("a pruning is under way already")
        gone = {
            writer: PrunedWriter(
                segment=one.segment, boot=one.boot, seq=one.seq, chain=one.chain, newest_at=one.newest_at
            )
            for writer, one in history.writers.items()
        }
        record = PruneRecord(
            number=history.records + 1,
            origin=plan.origin,
            previous=history.sha256,
            at=max(int(at * 1_000_000), history.last.at if history.last else 0),  # a clock may have gone back
            before=plan.before,
            approval=approval,
            tree_size=plan.tree_size,
            tree_root=plan.tree_root,
            writers=gone | dict(plan.writers),
        )
        data = record.encode()
        if len(data) > MAX_RECORD_BYTES:
            raise RetentionError(
                f"the record of this pruning would have {len(data)} bytes, and could not be read"
            )
        path = self._path(record, is_begun=True)
        draft = path.with_name(f"{path.name}.tmp")
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700)
            self._disk.sync(path.parent.parent)
        self._disk.remove(draft)
        self._disk.write(draft, 0, data)
        self._disk.sync(draft)
        self._disk.rename(draft, path)
        self._disk.sync(path.parent)
        return record

    def begun(self) -> PruneRecord | None:
        """Return the record of a pruning that was begun and never told of; None where there is none."""
        return read_pruned(self._directory).begun

    def finish(self, record: PruneRecord) -> None:
        """Remove what a record names; an entry that tells of it is durable. May be repeated."""
        begun, path = self._path(record, is_begun=True), self._path(record, is_begun=False)
        if begun.exists():
            self._disk.rename(begun, path)
            self._disk.sync(path.parent)
        self.remove_rest()

    def give_up(self, record: PruneRecord) -> None:
        """Take a record away by which nothing was removed and of which no entry tells."""
        path = self._path(record, is_begun=True)
        self._disk.remove(path)
        self._disk.sync(path.parent)

    def remove_rest(self) -> int:
        """Remove the archived segments that are gone by the newest record; return how many were there still.

        Raises AuditCorruptError, and removes nothing, where no entry of main's log tells of that record. A file that is not what
        a record names, such as of a log that was begun anew under the same name, stays, and is named when the others are gone.
        """
        history, n_removed = read_pruned(self._directory), 0
        lefts = {writer: self._left(writer, gone) for writer, gone in history.writers.items()}
        if not any(lefts.values()):
            return 0
        self._require_told(history.sha256)
        removed = removed_segments(self._directory)
        strange: AuditCorruptError | None = None
        for writer, left in lefts.items():
            mover = SegmentMover(self._directory / "wal" / writer, self._disk, self._pace)
            for number in left:
                if self._is_named(writer, number, removed.get((writer, number))):
                    mover.remove_archived(number)
                    n_removed += 1
                elif strange is None:
                    what = "an archived segment is not what was pruned under its number, and stays"
                    strange = AuditCorruptError(what, writer=writer, segment=number)
            if left:
                mover.sync_archive()
        if strange is not None:
            raise strange
        return n_removed

    def _is_named(self, writer: str, number: int, named: RemovedSegment | None) -> bool:
        path = archive_folder(self._directory / "wal" / writer) / archived_name(number)
        try:
            digest, _ = archived_digest(path, writer=writer, segment=number, pace=self._pace)
        except AuditCorruptError:
            return False
        return named is not None and digest == named.sha256

    def _left(self, writer: str, gone: PrunedWriter) -> list[int]:
        folder = self._directory / "wal" / writer
        return [number for number in list_archived(folder) if number <= gone.segment]

    def _require_told(self, sha256: str) -> None:
        folder = self._directory / "wal" / PRUNED_WRITER
        for number in reversed(list_segments(folder)):
            with SegmentReader(folder, number) as reader:
                for located in reader:
                    entry = located.entry
                    if entry.event == PRUNED_EVENT and entry.detail.get("record") == sha256:
                        return
        raise AuditCorruptError(
            "no entry tells of the newest record of a pruning, so nothing is removed by it"
        )

    def _path(self, record: PruneRecord, *, is_begun: bool) -> Path:
        return pruned_folder(self._directory) / f"{record_name(record.number)}{BEGUN if is_begun else ''}"
