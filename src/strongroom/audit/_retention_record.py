"""What is left of entries that were pruned: a record of each pruning, which the log itself tells of.

    audit/pruned/
    ├─ 00000001.json         the first pruning; every later one says what is gone by then, of all writers, and names the one before
    └─ 00000002.json.begun   one that is begun, and that no entry tells of yet: nothing has been removed by it

A record is one line of JSON. Its SHA-256 stands in an entry ``audit.pruned`` of main's log, which is durable before the first
file is removed. Each pruning tells of everything that is gone, so the entry of the newest record is always younger than
what can be pruned; older records are known by their hash in the one after.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from strongroom.audit._cursor import SegmentEnd
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._format import first_chain, is_writer_name

PRUNED: Final = "pruned"
PRUNED_EVENT: Final = "audit.pruned"
"""The event of the entry that tells of a record; ``record`` in its detail is the SHA-256 of it."""
PRUNED_WRITER: Final = "main"
"""The writer whose log tells of records; no other's entries count."""
BEGUN: Final = ".begun"
MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
_NAME = re.compile(r"(\d{8})\.json(\.begun)?", re.ASCII)

Count = Annotated[int, Meta(ge=0, lt=1 << 62)]
Number = Annotated[int, Meta(ge=1, lt=1 << 62)]
Hex = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Date = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
_Text = Annotated[str, Meta(max_length=256)]


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the record."""


class RemovedSegment(_Form, frozen=True, kw_only=True):
    """One segment that was removed: what its header said, and what it held."""

    segment: Number
    boot: Number
    first_seq: Number
    last_seq: Count
    """``first_seq - 1`` where it held no entry."""
    chain_before: Hex
    sha256: Hex
    """Of the segment as its writer left it, not compressed."""
    n_bytes: Count
    torn_sha256: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""
    """Of what recovery once cut off it, where that was kept."""


class PrunedWriter(_Form, frozen=True, kw_only=True):
    """What is gone of a writer's log, and how the rest goes on."""

    segment: Number
    """The last one that is gone; all before it are."""
    boot: Number
    seq: Count
    """The last entry that is gone; all before it are."""
    chain: Hex
    """Chain value after it: the next segment goes on from there."""
    newest_at: Count
    """Time of the newest entry that is gone, microseconds since the Unix epoch."""
    removed: tuple[RemovedSegment, ...] = ()
    """By this pruning."""

    def end(self) -> SegmentEnd:
        """Return where the last segment that is gone ended."""
        return SegmentEnd(self.segment, self.boot, self.seq + 1, bytes.fromhex(self.chain))


class PruneRecord(_Form, frozen=True, kw_only=True):
    """One pruning, and what is gone by then."""

    version: Literal[1] = 1
    number: Number
    origin: _Text
    """What the log calls itself."""
    previous: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
    """SHA-256 of the record before; empty for the first."""
    at: Count
    """When it was begun, microseconds since the Unix epoch."""
    before: Date
    """Every entry that is gone is from before this day, 00:00 UTC."""
    approval: _Text
    """The request that officers approved; empty where a home has none."""
    tree_size: Count
    """Of the first checkpoint that covers all that is gone."""
    tree_root: Hex
    writers: dict[str, PrunedWriter]
    """Everything that is gone, by this and earlier prunings."""

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return msgspec.json.encode(self) + b"\n"

    def hash(self) -> str:
        """Return the SHA-256 of the file, in hex."""
        return hashlib.sha256(self.encode()).hexdigest()


def pruned_folder(directory: Path) -> Path:
    """Return where the records are, below the audit directory."""
    return directory / PRUNED


def record_name(number: int) -> str:
    """Return the file name of a record whose entry is durable."""
    return f"{number:08d}.json"


def read_prune_record(path: Path) -> PruneRecord:
    """Read one record. Raises AuditCorruptError, which names the file, and OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_RECORD_BYTES + 1)
    if len(data) > MAX_RECORD_BYTES:
        raise _bad(path, f"over {MAX_RECORD_BYTES} bytes")
    try:
        record = msgspec.json.decode(data, type=PruneRecord)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise _bad(path, str(error)) from error
    if record.encode() != data:
        raise _bad(path, "it is not written as the service writes it")
    if not all(map(is_writer_name, record.writers)):
        raise _bad(path, "it names what is no writer")
    return record


class PrunedHistory(NamedTuple):
    """All records of a log, checked against each other."""

    records: int
    last: PruneRecord | None
    """The newest record that an entry should tell of."""
    sha256: str
    """Of that one."""
    begun: PruneRecord | None
    """One that was begun, and by which nothing has been removed yet."""
    writers: Mapping[str, PrunedWriter]
    """What is gone."""
    approvals: Mapping[str, tuple[str, ...]]
    """By writer, a line for each pruning that removed something of it."""

    def end(self, writer: str) -> SegmentEnd | None:
        """Return where the last segment of a writer that is gone ended; None where nothing is."""
        pruned = self.writers.get(writer)
        return None if pruned is None else pruned.end()

    def is_gone(self, writer: str, segment: int) -> bool:
        """Whether a segment was pruned."""
        pruned = self.writers.get(writer)
        return pruned is not None and segment <= pruned.segment


def read_pruned(directory: Path) -> PrunedHistory:
    """Read all records of a log and check that each goes on from the one before. Raises AuditCorruptError and OSError."""
    last: PruneRecord | None = None
    sha256 = ""
    told: dict[str, tuple[str, ...]] = {}
    for number, path, is_begun in _files(directory):
        record = read_prune_record(path)
        _check_goes_on(path, number, record, last, sha256)
        if is_begun:
            return PrunedHistory(number - 1, last, sha256, record, last.writers if last else {}, told)
        for writer, pruned in record.writers.items():
            if pruned.removed:
                told[writer] = (*told.get(writer, ()), _words(record, pruned))
        last, sha256 = record, record.hash()
    return PrunedHistory(last.number if last else 0, last, sha256, None, last.writers if last else {}, told)


def pruned_end(directory: Path, writer: str) -> SegmentEnd | None:
    """Return where the last pruned segment of a writer ended, by the newest record alone; None where nothing was pruned."""
    newest = [path for _, path, is_begun in _files(directory) if not is_begun]
    if not newest:
        return None
    pruned = read_prune_record(newest[-1]).writers.get(writer)
    return None if pruned is None else pruned.end()


def removed_segments(directory: Path) -> dict[tuple[str, int], RemovedSegment]:
    """Return what was removed by all prunings that were told of, by writer and number. Raises AuditCorruptError and OSError."""
    records = [read_prune_record(path) for _, path, is_begun in _files(directory) if not is_begun]
    return {
        (writer, one.segment): one
        for record in records
        for writer, pruned in record.writers.items()
        for one in pruned.removed
    }


def _files(directory: Path) -> Iterator[tuple[int, Path, bool]]:
    """Yield the records in order. One that is there both ways was told of: its old name outlived a crash."""
    found: dict[int, tuple[Path, bool]] = {}
    folder = pruned_folder(directory)
    try:
        paths = sorted(folder.iterdir(), reverse=True)  # .begun before the one without
    except FileNotFoundError:
        return
    for path in paths:
        if match := _NAME.fullmatch(path.name):
            found[int(match[1])] = (path, bool(match[2]))
    for number, at in enumerate(sorted(found), start=1):
        if number != at:
            raise _bad(folder / record_name(number), "it is missing")
        path, is_begun = found[at]
        if is_begun and at != max(found):
            raise _bad(path, "a pruning was begun before another one ended")
        yield at, path, is_begun


def _check_goes_on(
    path: Path, number: int, record: PruneRecord, before: PruneRecord | None, sha256: str
) -> None:
    if (record.number, record.previous) != (number, sha256):
        raise _bad(path, "it does not go on from the record before it")
    if before is not None and (record.origin != before.origin or record.at < before.at):
        raise _bad(path, "it is of another log, or older than the record before it")
    gone = {} if before is None else before.writers
    if gone.keys() - record.writers.keys():
        raise _bad(path, "it leaves a writer out that the record before it names")
    for writer, pruned in record.writers.items():
        _check_writer(path, writer, pruned, gone.get(writer))


def _check_writer(path: Path, writer: str, pruned: PrunedWriter, before: PrunedWriter | None) -> None:
    """Check that what was removed goes on from what was gone, without gaps, and ends where the record says."""
    end = SegmentEnd(0, 0, 1, first_chain(writer)) if before is None else before.end()
    if not pruned.removed and (before is None or pruned.end() != end):
        raise _bad(path, f"it says that more of {writer} is gone than it names")
    segment, _, seq, chain = end
    for one in pruned.removed:
        is_next = (one.segment, one.first_seq) == (segment + 1, seq) and one.last_seq >= one.first_seq - 1
        if not is_next or (one is pruned.removed[0] and one.chain_before != chain.hex()):
            raise _bad(path, f"it leaves something out before segment {one.segment:08d} of {writer}")
        segment, seq = one.segment, one.last_seq + 1
    if pruned.removed and (pruned.segment, pruned.seq) != (segment, seq - 1):
        raise _bad(path, f"what it removed of {writer} ends elsewhere than it says")


def _words(record: PruneRecord, pruned: PrunedWriter) -> str:
    first, last = pruned.removed[0].first_seq, pruned.seq
    day = _day(record.at)
    under = f"under approval {record.approval}" if record.approval else "without officers"
    return f"entries {first} to {last} were pruned on {day} {under}"


def _day(at_us: int) -> str:
    try:
        return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return f"{at_us} microseconds after 1970"


def _bad(path: Path, what: str) -> AuditCorruptError:
    return AuditCorruptError(f"the record of a pruning, {path.parent.name}/{path.name}, is bad: {what}")
