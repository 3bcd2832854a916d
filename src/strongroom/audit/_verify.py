"""Checking a whole log offline: from its files alone, without server or keys, in constant memory."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._cursor import SegmentEnd, SegmentReader
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import LOCK_NAME, list_segments
from strongroom.audit._format import is_writer_name, segment_number
from strongroom.audit._read import list_writers

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


class VerifyReport(NamedTuple):
    """What verification found, writer by writer in the order of their names."""

    writers: tuple[WriterReport, ...]
    problems: tuple[Finding, ...]
    """Places where the log is not what its writer wrote, the first bad entry of each segment."""
    warnings: tuple[Finding, ...]
    """What an honest crash or a clock can leave, and what does not belong into the folder."""

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
    inspection = _Inspection(progress)
    names = list_writers(directory)
    for missing in sorted(expected_writers.difference(names)):
        inspection.problem(AuditCorruptError("the log of this writer is missing", writer=missing))
    for path in sorted((directory / "wal").iterdir()):
        if not is_writer_name(path.name) or not path.is_dir():
            inspection.warn(AuditCorruptError(f"{path.name!r} does not belong into the audit log"))
    reports = tuple(inspection.inspect_writer(directory / "wal" / name) for name in names)
    return VerifyReport(reports, tuple(inspection.problems), tuple(inspection.warnings))


class _Inspection:
    """Collects findings over all writers."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []
        self._progress = progress
        self._entries = 0
        self._last_at = 0  # of the writer that is being read

    def problem(self, error: AuditCorruptError) -> None:
        _keep(self.problems, error)

    def warn(self, error: AuditCorruptError) -> None:
        _keep(self.warnings, error)

    def inspect_writer(self, folder: Path) -> WriterReport:
        self._last_at = 0
        numbers = list_segments(folder)
        if not numbers:
            self.problem(AuditCorruptError("the folder holds no segment", writer=folder.name))
        for path in sorted(folder.iterdir()):
            if segment_number(path.name) is None and path.name != LOCK_NAME:
                self.warn(AuditCorruptError(f"{path.name!r} does not belong here", writer=folder.name))
        entries_before, end, is_joined = self._entries, None, True
        for number in numbers:
            is_last = number == numbers[-1]
            end, is_joined = self._inspect_segment(folder, number, end, is_joined=is_joined, is_last=is_last)
        return WriterReport(
            folder.name,
            len(numbers),
            self._entries - entries_before,
            end.seq - 1 if end else 0,
            end.boot if end else 0,
            end.chain if end else b"",
        )

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
                self._read(reader)
            except AuditCorruptError as error:
                self.problem(error)
                return reader.end(), False
            return reader.end(), self._check_end(reader, is_last=is_last)

    def _read(self, reader: SegmentReader) -> None:
        """Read on until nothing more comes: a living writer appends while we read."""
        start = None
        while start != reader.position:
            start = reader.position
            for located in reader:
                if located.entry.at < self._last_at:
                    back_us = self._last_at - located.entry.at
                    self.warn(
                        reader.corrupt(f"the clock went back by {back_us / 1e6:.6f} s before this entry")
                    )
                self._last_at = located.entry.at
                self._count()

    def _check_end(self, reader: SegmentReader, *, is_last: bool) -> bool:
        n_bytes = reader.bytes_left()
        if not n_bytes:
            return True
        if is_last and reader.ends_torn():
            self.warn(reader.corrupt(f"torn tail: {n_bytes} bytes of an entry that was never finished"))
            return True
        self.problem(reader.corrupt(f"the segment ends within an entry ({n_bytes} bytes)"))
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
