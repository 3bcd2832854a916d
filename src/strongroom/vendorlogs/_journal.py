"""What the workers of a member asked of its HSM, counted by themselves: the other side of the comparison with the HSM's own log.

    <audit>/hsm/<member>/uses/<start, microseconds>-<pid>.uses    mode 0600, of one worker process

Rows of 32 bytes, big endian. The first: ``SR-USES`` ‖ 01 ‖ start (8, microseconds) ‖ pid (4) ‖ zeros (12). Each other one:

    second (4) ‖ use (1) ‖ 0 (1) ‖ calls (4) ‖ calls that failed (2) ‖ handle (4) ‖ CKA_ID (16)

The calls of one second, use and key share a row, which is written before each call: a process that is killed has written what it asked
for. Nothing is synced: a power loss can take the last seconds. A CKA_ID of another length than 16 bytes stands as the beginning of its SHA-256.
"""

import hashlib
import heapq
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.core import Clock, MemberFailedError
from strongroom.vendorlogs._errors import VendorLogError
from strongroom.vendorlogs._record import COMPARED, Use
from strongroom.vendorlogs._store import make_private

ROW_BYTES: Final = 32
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_BYTES: Final = 1024 * 1024 * 1024
"""Of a member; then its oldest files are removed, and what they covered is not compared any more."""
MAX_FILES: Final = 4_096
"""Likewise: workers that are started again and again make a file each time."""
_BLOCK_BYTES: Final = 512 * ROW_BYTES
_HEAD: Final = struct.Struct(">7sBQI12x")
_ROW: Final = struct.Struct(">IBxIHI16s")
_MAGIC: Final = b"SR-USES"
_VERSION: Final = 1
_NAME: Final = re.compile(r"^(\d{1,17})-\d{1,10}\.uses\Z")
_USES: Final[tuple[Use, ...]] = (*COMPARED, "login")
"""Their places are their numbers in a row, from 1: only added to."""
_MAX_CALLS: Final = 0xFFFF_FFFF
_MAX_FAILED: Final = 0xFFFF


class UseRow(NamedTuple):
    """Calls of one second."""

    second: int
    """Seconds since the Unix epoch."""
    use: Use
    key: str
    """CKA_ID, 32 hexadecimal digits; zeros where the key has none or the use has no key."""
    handle: int
    calls: int
    failed: int


class UseJournal:
    """Counts the calls of one worker process. Safe to use from any thread."""

    def __init__(self, audit: Path, member: str, *, clock: Clock) -> None:
        """Make the file. Raises MemberFailedError."""
        self._folder = uses_folder(audit, member)
        self._clock = clock
        self._lock = threading.Lock()  # guards all below
        self._second = -1
        self._places: dict[tuple[int, bytes, int], list[int]] = {}  # where its row is; its numbers
        self._fd = -1
        self._end = 0
        with _failing():
            self._begin_file()

    def note(self, use: str, key_id: bytes, handle: int) -> None:
        """Count a call that is about to be made. Raises MemberFailedError: what cannot be noted is not done."""
        self._count(use, key_id, handle, calls=1, failed=0)

    def note_failure(self, use: str, key_id: bytes, handle: int) -> None:
        """Count that a noted call failed."""
        self._count(use, key_id, handle, calls=0, failed=1)

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            before, self._fd = self._fd, -1
            os.close(before)

    def _count(self, use: str, key_id: bytes, handle: int, *, calls: int, failed: int) -> None:
        number = _USES.index(use) + 1  # another word raises ValueError
        key = _key_of(key_id)
        with self._lock, _failing():
            second = int(self._clock.now())
            if second != self._second:
                if self._end >= MAX_FILE_BYTES:
                    self._begin_file()
                self._second, self._places = second, {}
            where = (number, key, handle)
            row = self._places.get(where)
            if row is None:
                row = self._places[where] = [self._end, 0, 0]
                self._end += ROW_BYTES
            row[1] = min(row[1] + calls, _MAX_CALLS)
            row[2] = min(row[2] + failed, _MAX_FAILED)
            packed = _ROW.pack(second, number, row[1], row[2], handle & 0xFFFF_FFFF, key)
            os.pwrite(self._fd, packed, row[0])

    def _begin_file(self) -> None:
        make_private(self._folder)
        _make_room(self._folder)
        start = int(self._clock.now() * 1e6)
        while True:
            path = self._folder / f"{start:017d}-{os.getpid()}.uses"
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                break
            except FileExistsError:
                start += 1
        try:
            os.pwrite(fd, _HEAD.pack(_MAGIC, _VERSION, start, os.getpid()), 0)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        # Not before the new one is there: the number of a closed descriptor may be another file's by the next note.
        before, self._fd, self._end = self._fd, fd, ROW_BYTES
        if before >= 0:
            os.close(before)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MemberFailedError(
            f"what is asked of the HSM cannot be noted: {error.strerror}",
            next_step="make room on the disk of the audit log",
        ) from error


def uses_folder(audit: Path, member: str) -> Path:
    """Return where the journals of a member lie."""
    return audit / "hsm" / member / "uses"


def covered_since(audit: Path, member: str) -> int | None:
    """Return from when on the workers of a member noted what they did, in microseconds; None: they never did."""
    files = _files(uses_folder(audit, member))
    return _start_of(files[0]) if files else None


def last_use(audit: Path, member: str) -> int | None:
    """Return about when a worker of a member last asked something of the HSM, in microseconds; None: it never counted."""
    times = [path.stat().st_mtime for path in _files(uses_folder(audit, member))]
    return int(max(times) * 1e6) if times else None


def read_uses(audit: Path, member: str) -> Iterator[UseRow]:
    """Yield all rows of a member, sorted by second. Raises VendorLogError for a file that is no journal, and OSError."""
    return heapq.merge(*(_read(path) for path in _files(uses_folder(audit, member))))


def _read(path: Path) -> Iterator[UseRow]:
    last = -1
    for row in _rows(path):
        if last < 0:
            magic, version, _, _ = _HEAD.unpack(row)
            if magic != _MAGIC or version != _VERSION:
                raise VendorLogError(f"{path} is no journal of uses", next_step="move it away")
            last = 0
        else:
            second, number, calls, failed, handle, key = _ROW.unpack(row)
            if not number:
                continue  # a row of which a power loss left only the room
            if number > len(_USES):
                raise VendorLogError(f"{path} holds a row that is none", next_step="move it away")
            last = max(last, second)  # a clock that went back: the order stays that of the calls
            yield UseRow(last, _USES[number - 1], key.hex(), handle, calls, failed)


def _rows(path: Path) -> Iterator[bytes]:
    """Yield what stands in rows, a block at a time: all files of a member are read side by side, and may be more than can be open at once."""
    offset = 0
    while True:
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(_BLOCK_BYTES)
        n_rows = len(block) // ROW_BYTES
        for place in range(n_rows):
            yield block[place * ROW_BYTES : (place + 1) * ROW_BYTES]
        if len(block) < _BLOCK_BYTES:
            return
        offset += n_rows * ROW_BYTES


def _make_room(folder: Path) -> None:
    sized = [(path, _size_of(path)) for path in _files(folder)]
    total = sum(size for _, size in sized)
    for n_before, (path, size) in enumerate(sized):
        if total + MAX_FILE_BYTES <= MAX_BYTES and len(sized) - n_before < MAX_FILES:
            return
        path.unlink(missing_ok=True)
        total -= size


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another worker has just made room
        return 0


def _files(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if _NAME.match(path.name)]
    except FileNotFoundError:
        return []
    return sorted(found, key=_start_of)


def _start_of(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _key_of(key_id: bytes) -> bytes:
    if not key_id:
        return bytes(16)
    return key_id if len(key_id) == 16 else hashlib.sha256(key_id).digest()[:16]
