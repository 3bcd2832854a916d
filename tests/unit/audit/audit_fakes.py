"""Disks that fail on command but otherwise are real files, and a clock that a test sets."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from strongroom.audit._entry import Entry, encode_entry
from strongroom.audit._files import WalFile, WalFolder


class SettableClock:
    """A clock that moves only by ``at``, and by a microsecond with every look."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        self.at += 1e-6
        return self.at

    def monotonic(self) -> float:
        return self.at


class FlakyDisk:
    """Decides call by call: None lets it through; "lost" fails before it; "persisted" does it, then fails.

    "half" (writes only) does half of it, then fails. Calls while a segment is made are named "create.write" etc.,
    writes of zeros "reserve".
    """

    def __init__(self) -> None:
        self.decide: Callable[[str], str | None] = lambda _call: None
        self.calls: list[str] = []
        self.is_creating = False

    def open_folder(self, path: Path) -> WalFolder:
        return FlakyFolder(path, self)

    def run(self, call: str, act: Callable[[], None], half: Callable[[], None] | None = None) -> None:
        call = f"create.{call}" if self.is_creating else call
        self.calls.append(call)
        fault = self.decide(call)
        if fault in (None, "persisted"):
            act()
        elif fault == "half" and half is not None:
            half()
        if fault is not None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class FlakyFile(WalFile):
    def __init__(self, fd: int, disk: FlakyDisk) -> None:
        super().__init__(fd)
        self._disk = disk

    def write_at(self, offset: int, data: bytes) -> None:
        whole, half = super().write_at, data[: len(data) // 2]
        self._disk.run(
            "write" if any(data) else "reserve", lambda: whole(offset, data), lambda: whole(offset, half)
        )

    def sync(self) -> None:
        self._disk.run("sync", super().sync)

    def cut(self, length: int) -> None:
        act = super().cut
        self._disk.run("cut", lambda: act(length))


class FlakyFolder(WalFolder):
    def __init__(self, path: Path, disk: FlakyDisk) -> None:
        super().__init__(path)
        self._disk = disk

    def create(self, number: int, header: bytes) -> WalFile:
        self._disk.is_creating = True
        try:
            return super().create(number, header)
        finally:
            self._disk.is_creating = False

    def sync_names(self) -> None:
        self._disk.run("sync_names", super().sync_names)

    def _open_file(self, path: Path, flags: int) -> WalFile:
        return FlakyFile(os.open(path, flags, 0o600), self._disk)


def payload_of(seq: int, *, boot: int = 1, writer: str = "main", **fields) -> bytes:
    """Return the stored bytes of some entry."""
    common = {"version": 1, "at": 1_700_000_000_000_000 + seq, "kind": "event", "event": "e"}
    return encode_entry(Entry(**(common | fields), writer=writer, seq=seq, boot=boot))
