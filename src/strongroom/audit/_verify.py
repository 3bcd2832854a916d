"""Checking a whole log offline: from its files alone, without server or keys, in constant memory."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._archive_names import list_archived_torn, list_archives
from strongroom.audit._archive_readers import require_told
from strongroom.audit._beside_pruning import read_beside_pruning
from strongroom.audit._cursor import SETTLE_S, BrokenFrameError, Position, SegmentEnd, SegmentReader
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import DRAFT_ENDING, LOCK_NAME, list_segments, list_torn
from strongroom.audit._format import is_writer_name, segment_number, torn_number
from strongroom.audit._read import list_writers
from strongroom.audit._retention_record import (
    PRUNED_EVENT,
    PRUNED_WRITER,
    PrunedHistory,
    read_pruned,
)
from strongroom.audit._torn import Cut, describe_cut, read_cut, told_cut

PROGRESS_EVERY = 10_000
MAX_FINDINGS = 1_000
"""Of each kind; a log with more is beyond listing."""


class Finding(NamedTuple):
    """Something that verification noticed, and where."""

    writer: str
    segment: int | None
    offset: int | None
    seq: int | None
    what: str

    def __str__(self) -> str:
        return str(self.as_error())

    def as_error(self) -> AuditCorruptError:
        """Return the error that names this finding."""
        return AuditCorruptError(
            self.what, writer=self.writer, segment=self.segment, offset=self.offset, seq=self.seq
        )


class WriterReport(NamedTuple):
    """What one writer's log holds."""

    writer: str
    segments: int
    entries: int
    """That were read and fit."""
    last_seq: int
    boot: int
    chain: bytes
    """Chain value after the last entry: whoever kept it can tell later that nothing before it was changed."""
    pruned: tuple[str, ...] = ()
    """A line for each pruning: which entries are gone, since when, and under which approval."""


class VerifyReport(NamedTuple):
    """What verification found, writer by writer in the order of their names."""

    writers: tuple[WriterReport, ...]
    problems: tuple[Finding, ...]
    """Places where the log is not what its writer wrote, the first bad entry of each segment."""
    warnings: tuple[Finding, ...]
    """What an honest crash or a clock can leave, what recovery cut off, and what does not belong into the folder."""

    @property
    def entries(self) -> int:
        """Entries that were read and fit."""
        return sum(writer.entries for writer in self.writers)

    def raise_if_bad(self) -> None:
        """Raise AuditCorruptError that names the first problem, if there is one."""
        if self.problems:
            raise self.problems[0].as_error()


def verify_log(
    directory: Path,
    *,
    expected_writers: frozenset[str] = frozenset(),
    progress: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Check the log below ``directory`` and return the report of a sound one.

    Raises AuditCorruptError that names the first problem, OSError as the system does. ``expected_writers``
    must be there; ``progress`` is called with the number of entries read, now and then.
    """
    report = inspect_log(directory, expected_writers=expected_writers, progress=progress)
    report.raise_if_bad()
    return report


def inspect_log(
    directory: Path,
    *,
    expected_writers: frozenset[str] = frozenset(),
    progress: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Check as ``verify_log`` does, but list what is wrong instead of raising; the caller must look.

    Raises AuditCorruptError only when there is no log at all.
    """

    def inspect() -> VerifyReport:
        return _inspect(directory, expected_writers, progress)

    return read_beside_pruning(directory, inspect, is_sound=lambda report: not report.problems)


def _inspect(
    directory: Path, expected_writers: frozenset[str], progress: Callable[[int], None] | None
) -> VerifyReport:
    inspection = _Inspection(progress)
    inspection.read_pruned(directory)
    names = list_writers(directory)
    for missing in sorted(expected_writers.difference(names)):
        inspection.problem(AuditCorruptError("the log of this writer is missing", writer=missing))
    for path in sorted((directory / "wal").iterdir()):
        if not is_writer_name(path.name) or not path.is_dir():
            inspection.warn(AuditCorruptError(f"{path.name!r} does not belong into the audit log"))
    for missing in sorted({*inspection.pruned.writers, *list_archives(directory)}.difference(names)):
        inspection.problem(AuditCorruptError("the log of this writer is missing", writer=missing))
    reports = tuple(inspection.inspect_writer(directory / "wal" / name) for name in names)
    inspection.check_pruned()
    return VerifyReport(reports, tuple(inspection.problems), tuple(inspection.warnings))


class _Inspection:
    """Collects findings over all writers."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []
        self._progress = progress
        self._entries = 0
        self.pruned = PrunedHistory(0, None, "", None, {}, {})
        self._told_pruned: set[str] = set()
        self._last_at = 0  # of the writer that is being read
        self._cuts: dict[
            int, tuple[Cut, int]
        ] = {}  # of that writer, with the number of the entry that tells of it

    def problem(self, error: AuditCorruptError) -> None:
        _keep(self.problems, error)

    def warn(self, error: AuditCorruptError) -> None:
        _keep(self.warnings, error)

    def read_pruned(self, directory: Path) -> None:
        """Read what was pruned; what is wrong with that is a problem, and then nothing counts as pruned."""
        try:
            self.pruned = read_pruned(directory)
        except AuditCorruptError as error:
            self.problem(error)
        if self.pruned.begun is not None:
            what = "a pruning was begun, and nothing has been removed by it: the service goes on with it when it starts"
            self.warn(AuditCorruptError(what))

    def check_pruned(self) -> None:
        """Check, once all entries are read, that one of them tells of what was pruned."""
        if (error := require_told(self.pruned, self._told_pruned)) is not None:
            self.problem(error)

    def inspect_writer(self, folder: Path) -> WriterReport:
        self._last_at, self._cuts = 0, {}
        found = list_segments(folder)
        numbers = [number for number in found if not self.pruned.is_gone(folder.name, number)]
        if not numbers:
            self.problem(AuditCorruptError("the folder holds no segment", writer=folder.name))
        if found != numbers:
            what = f"segments up to {found[-len(numbers) - 1]:08d} were pruned, and some are there: the service removes them when it starts"
            self.warn(AuditCorruptError(what, writer=folder.name, segment=found[0]))
        self._check_names(folder)
        entries_before, end, is_joined = self._entries, self.pruned.end(folder.name), True
        for number in numbers:
            is_last = number == numbers[-1]
            end, is_joined = self._inspect_segment(folder, number, end, is_joined=is_joined, is_last=is_last)
        self._check_cuts(folder)
        return WriterReport(
            folder.name,
            len(numbers),
            self._entries - entries_before,
            end.seq - 1 if end else 0,
            end.boot if end else 0,
            end.chain if end else b"",
            self.pruned.approvals.get(folder.name, ()),
        )

    def _check_names(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            is_known = path.name == LOCK_NAME or path.suffix == DRAFT_ENDING
            if not is_known and segment_number(path.name) is None and torn_number(path.name) is None:
                self.warn(AuditCorruptError(f"{path.name!r} does not belong here", writer=folder.name))

    def _check_cuts(self, folder: Path) -> None:
        """Name every cut: of each there is an entry, and the bytes themselves, which must be the same."""
        torn = {*list_torn(folder), *list_archived_torn(folder)}
        kept = {number: read_cut(folder, number) for number in torn}
        for number in sorted(kept.keys() | self._cuts.keys()):
            if self.pruned.is_gone(folder.name, number):
                continue
            told, seq = self._cuts.get(number, (None, None))
            found = describe_cut(told, kept.get(number))
            error = AuditCorruptError(found.what, writer=folder.name, segment=number, seq=seq)
            (self.problem if found.is_problem else self.warn)(error)

    def _inspect_segment(
        self, folder: Path, number: int, before: SegmentEnd | None, *, is_joined: bool, is_last: bool
    ) -> tuple[SegmentEnd | None, bool]:
        """Check one segment; tell where it ended and whether it was read to that end.

        After a break the next segment is taken from its own header on: what was lost is named once.
        """
        try:
            reader = SegmentReader(folder, number)
        except AuditCorruptError as error:
            self.problem(error)
            return before, False
        with reader:
            if is_joined or (before and reader.header.segment != before.segment + 1):
                self._check(lambda: reader.check_joint(before))
            try:
                is_sound = self._read_to_end(reader, is_last=is_last)
            except AuditCorruptError as error:
                self.problem(error)
                is_sound = False
            return reader.end(), is_sound

    def _read_to_end(self, reader: SegmentReader, *, is_last: bool) -> bool:
        """Read all entries, and judge what stands behind the last whole one; tell whether it may stand there.

        Of a log that is being written the last entry may be there in part, or wholly by the time we look again.
        So we judge what we saw, and only when it has stood still.
        """
        seen: tuple[Position, bytes] | None = None
        while True:
            broken = self._read(reader)
            rest = reader.rest()
            if not rest:
                return True
            if not is_last or (reader.position, rest) == seen:
                return self._judge(reader, rest, broken, is_last=is_last)
            seen = (reader.position, rest)
            time.sleep(SETTLE_S)

    def _read(self, reader: SegmentReader) -> BrokenFrameError | None:
        """Read entries until there are no more, or one that does not fit."""
        try:
            for located in reader:
                entry = located.entry
                if entry.at < self._last_at:
                    back_us = self._last_at - entry.at
                    self.warn(
                        reader.corrupt(f"the clock went back by {back_us / 1e6:.6f} s before this entry")
                    )
                if cut := told_cut(entry):
                    self._cuts[cut.segment] = (cut, entry.seq)
                if entry.event == PRUNED_EVENT and entry.writer == PRUNED_WRITER:
                    self._told_pruned.add(entry.detail.get("record", ""))
                self._last_at = entry.at
                self._count()
        except BrokenFrameError as error:
            return error
        return None

    def _judge(
        self, reader: SegmentReader, rest: bytes, broken: BrokenFrameError | None, *, is_last: bool
    ) -> bool:
        is_unfinished = is_last and reader.is_unfinished_write(rest)
        if is_unfinished and broken is None:
            self.warn(reader.corrupt(f"torn tail: {len(rest)} bytes of an entry that was never finished"))
            return True
        message = broken.message if broken else f"the segment ends within an entry ({len(rest)} bytes)"
        if is_unfinished:
            message += (
                "; if power was lost in the middle of a write: the next start of the service keeps a copy of these"
                f" {len(rest)} bytes and cuts them off"
            )
        self.problem(reader.corrupt(message))
        return False

    def _check(self, check: Callable[[], None]) -> None:
        try:
            check()
        except AuditCorruptError as error:
            self.problem(error)

    def _count(self) -> None:
        self._entries += 1
        if self._progress is not None and self._entries % PROGRESS_EVERY == 0:
            self._progress(self._entries)


def _keep(findings: list[Finding], error: AuditCorruptError) -> None:
    if len(findings) < MAX_FINDINGS:
        findings.append(Finding(error.writer, error.segment, error.offset, error.seq, error.message))
