"""Taking a vendor's log in: read, verified as far as its format can be, without repeats, with its gaps told."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, Literal, NamedTuple

from msgspec import structs

from strongroom.vendorlogs._cloudhsm import MAX_DOCUMENT_BYTES, read_cloudhsm
from strongroom.vendorlogs._cloudhsm import read_record as read_cloudhsm_record
from strongroom.vendorlogs._errors import BrokenChainError, UnknownRecordError, VendorLogError
from strongroom.vendorlogs._luna import DateOrder, LunaReader
from strongroom.vendorlogs._record import MAX_LINE_BYTES, VendorRecord, digest_of
from strongroom.vendorlogs._store import MAX_RECORDS, MAX_SOURCES, RECORDS_IN_FILE, RecordStore, SourceState
from strongroom.vendorlogs._yubihsm import COMMANDS, MAX_BYTES, NO_KEY, LogItem, read_yubihsm

LogFormat = Literal["luna-syslog", "cloudhsm-cloudwatch", "yubihsm"]
FORMATS: Final[tuple[LogFormat, ...]] = ("luna-syslog", "cloudhsm-cloudwatch", "yubihsm")
_MAX_GAPS: Final = 20


class Gap(NamedTuple):
    """Numbers that a source gave to records which did not come."""

    source: str
    first: int
    last: int

    @property
    def missing(self) -> int:
        """How many."""
        return self.last - self.first + 1


class ImportReport(NamedTuple):
    """What an import found."""

    sha256: str
    """Of the file."""
    n_bytes: int
    added: int
    repeated: int
    """Records that were there already."""
    unknown: int
    """Lines or records that were not understood; each is kept as its hash."""
    missing: int
    """Records in gaps."""
    gaps: tuple[Gap, ...]
    """The first 20 of them."""
    first_at: int | None
    last_at: int | None
    """Times of what was added, by the HSM's clock; microseconds since the Unix epoch."""
    first_sequence: int | None
    last_sequence: int | None
    unlogged_boots: int = 0
    unlogged_authentications: int = 0
    """Of a YubiHSM 2 whose log was full."""


class Import:
    """One file on its way in. Nothing of it is kept before ``finish`` but whole files of records."""

    def __init__(self, store: RecordStore, log_format: LogFormat, *, name: str, now: int) -> None:
        """``name`` stands for the source where a record names none; ``now`` in microseconds since the Unix epoch."""
        self._store, self._format, self._name, self._now = store, log_format, name, now
        self._state = store.state()
        self._known = store.known()
        self._sources = dict(self._state.sources)
        self._waiting: list[VendorRecord] = []
        self._added: list[int] = [0, 0, 0]  # added, repeated, unknown
        self._times: tuple[int, int] | None = None
        self._numbers: tuple[int, int] | None = None
        self._gaps: list[Gap] = []
        self._missing = 0

    def run(self, file: BinaryIO, *, date_order: DateOrder | None = None) -> ImportReport:
        """Take a file in. Raises VendorLogError, BrokenChainError before anything is kept, and OSError."""
        reading = _Hashed(file)
        unlogged = (0, 0)
        if self._format == "yubihsm":
            log = read_yubihsm(reading.whole(MAX_BYTES))
            self._take_items(log.items)
            for line in log.unknown:
                self._take_unknown(line)
            unlogged = log.unlogged_boots, log.unlogged_authentications
        else:
            records = (
                self._luna(reading.lines(), date_order)
                if self._format == "luna-syslog"
                else self._cloudhsm(reading.lines(MAX_DOCUMENT_BYTES))  # a document may be one line
            )
            for record in records:
                self._take(record)
        self._keep_waiting()
        self._keep_state()
        added, repeated, unknown = self._added
        return ImportReport(
            sha256=reading.sha256(),
            n_bytes=reading.n_bytes,
            added=added,
            repeated=repeated,
            unknown=unknown,
            missing=self._missing,
            gaps=tuple(self._gaps),
            first_at=None if self._times is None else self._times[0],
            last_at=None if self._times is None else self._times[1],
            first_sequence=None if self._numbers is None else self._numbers[0],
            last_sequence=None if self._numbers is None else self._numbers[1],
            unlogged_boots=unlogged[0],
            unlogged_authentications=unlogged[1],
        )

    def _luna(self, lines: Iterable[bytes], date_order: DateOrder | None) -> Iterator[VendorRecord]:
        reader = LunaReader(date_order=date_order)
        for line in lines:
            if not line.strip():
                continue
            try:
                yield reader.read(line)
            except UnknownRecordError:
                self._take_unknown(line)

    def _cloudhsm(self, lines: Iterable[bytes]) -> Iterator[VendorRecord]:
        for raw, stream in read_cloudhsm(lines):
            try:
                yield read_cloudhsm_record(raw, stream)
            except UnknownRecordError:
                self._take_unknown(raw)

    def _take_items(self, items: list[LogItem]) -> None:
        """Verify the chain of all entries first, then take them in."""
        before = self._sources.get(self._name)
        epoch = 0 if before is None else before.epoch
        since = 0 if before is None else min(before.at, self._now)
        digest = bytes.fromhex(before.digest) if before is not None and before.digest else None
        number = None if before is None else before.sequence
        taken = []
        for item in items:
            record = _of_item(item, self._name, since=since, at=self._now, epoch=epoch)
            if item.is_initial and number is not None and not self._knows(record):
                epoch += 1
                record = structs.replace(record, epoch=epoch)
                number = None
            if digest is not None and number is not None and not item.is_initial:
                _verify_beside(item, number, digest)
            number, digest = _unwrapped(item.number, number), item.digest
            taken.append(structs.replace(record, sequence=number))
        for record in taken:
            self._take(record)
        if taken and digest is not None:
            state = self._sources.get(self._name)
            if state is not None and (state.epoch, state.sequence) == (taken[-1].epoch, taken[-1].sequence):
                self._sources[self._name] = structs.replace(state, digest=digest.hex())

    def _knows(self, record: VendorRecord) -> bool:
        return self._known.holds(record.sha256)

    def _take(self, record: VendorRecord) -> None:
        record = record if record.source else structs.replace(record, source=self._name)
        if not self._known.add(record.sha256):
            self._added[1] += 1
            return
        if len(self._known) > MAX_RECORDS:
            raise VendorLogError(
                f"{self._store.folder} holds {MAX_RECORDS} records, the most that are kept of one member",
                next_step="compare them, then move its oldest files to where you archive logs",
            )
        self._added[0] += 1
        first, last = self._times or (record.at, record.at)
        self._times = min(first, record.at), max(last, record.at)
        if record.sequence is not None:
            low, high = self._numbers or (record.sequence, record.sequence)
            self._numbers = min(low, record.sequence), max(high, record.sequence)
        self._follow(record)
        self._waiting.append(record)
        if len(self._waiting) >= RECORDS_IN_FILE:
            self._keep_waiting()

    def _follow(self, record: VendorRecord) -> None:
        """Note how far a source is, and what it left out."""
        before = self._sources.get(record.source, SourceState())
        if record.source not in self._sources and len(self._sources) >= MAX_SOURCES:
            raise VendorLogError(
                f"the log names more than {MAX_SOURCES} sources",
                next_step="is it the log of one member's HSM?",
            )
        sequence = before.sequence if record.epoch == before.epoch else None
        if record.epoch < before.epoch:
            sequence = before.sequence  # an older log, imported later
        elif record.sequence is not None:
            if sequence is not None and record.sequence > sequence + 1:
                self._missing += record.sequence - sequence - 1
                if len(self._gaps) < _MAX_GAPS:
                    self._gaps.append(Gap(record.source, sequence + 1, record.sequence - 1))
            sequence = record.sequence if sequence is None else max(record.sequence, sequence)
        self._sources[record.source] = SourceState(
            max(record.epoch, before.epoch),
            sequence,
            before.digest,
            max(
                min(record.at, self._now), before.at
            ),  # one of tomorrow does not say that the log comes tomorrow
        )

    def _take_unknown(self, line: bytes) -> None:
        self._added[2] += 1
        sha256 = digest_of(line.strip())
        if self._known.add(sha256):
            self._waiting.append(
                VendorRecord(
                    since=self._now,
                    at=self._now,
                    operation="?",
                    use="unknown",
                    source=self._name,
                    sha256=sha256,
                )
            )
            if len(self._waiting) >= RECORDS_IN_FILE:
                self._keep_waiting()

    def _keep_waiting(self) -> None:
        if self._waiting:
            self._store.add(self._waiting)
            self._waiting = []

    def _keep_state(self) -> None:
        newest = max((source.at for source in self._sources.values()), default=0)
        self._store.keep_state(
            structs.replace(
                self._state,
                format=self._format,
                sources=self._sources,
                records=len(self._known),
                newest_at=newest,
                imported_at=self._now,
            )
        )


class _Hashed:
    """A file that is read once, and hashed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.n_bytes = 0

    def lines(self, most: int = MAX_LINE_BYTES) -> Iterator[bytes]:
        """Yield lines; of one that is longer than ``most`` only its beginning, which no format knows."""
        while line := self._read(most + 1):
            whole = line
            while not line.endswith(b"\n") and len(line) > most:
                line = self._read(most + 1)  # the rest of it
                if not line:
                    break
            yield whole

    def whole(self, most: int) -> bytes:
        """Return all of it, and one byte more than ``most`` at the longest."""
        data = self._file.read(most + 1)
        self._note(data)
        return data

    def sha256(self) -> str:
        """Return the hash of what was read."""
        return self._hash.hexdigest()

    def _read(self, most: int) -> bytes:
        line = self._file.readline(most)
        self._note(line)
        return line

    def _note(self, data: bytes) -> None:
        self._hash.update(data)
        self.n_bytes += len(data)


def _of_item(item: LogItem, source: str, *, since: int, at: int, epoch: int) -> VendorRecord:
    name, use = COMMANDS.get(item.command, (f"0x{item.command:02x}", "other"))
    return VendorRecord(
        since=since,
        at=at,
        operation=name,
        use=use,
        ok=item.command in {0x00, 0xFF} or item.result == item.command | 0x80,
        answer=f"0x{item.result:02x}",
        key="" if item.target_key in NO_KEY else f"0x{item.target_key:04x}",
        other_key="" if item.second_key in NO_KEY else f"0x{item.second_key:04x}",
        session=f"0x{item.session_key:04x}",
        source=source,
        epoch=epoch,
        sequence=item.number,
        sha256=digest_of(item.encode()),
    )


def _verify_beside(item: LogItem, number: int, digest: bytes) -> None:
    """Check an entry against the one with ``number``, where it is the next one or the same. Raises BrokenChainError."""
    if item.follows(number & 0xFFFF):
        item.verify_after(digest)
    elif item.number == number & 0xFFFF and item.digest != digest:
        raise BrokenChainError(
            f"entry {item.number} is another one than the device gave before",
            next_step="keep the file; read the log from the device again, and find out who changed one of them",
        )


def _unwrapped(number: int, before: int | None) -> int:
    """Return an item number that goes on where 16 bits begin anew."""
    if before is None:
        return number
    unwrapped = before + ((number - before + 0x8000) & 0xFFFF) - 0x8000
    return unwrapped if unwrapped >= 0 else number
