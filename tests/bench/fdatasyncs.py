"""How often and how long a service called fdatasync, and what a fdatasync of this disk costs by itself."""

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, median
from typing import Literal, NamedTuple

import msgspec

_INJECTED = Path(__file__).parent / "inject"
_PROBE_BYTES = 512
_PAGE = struct.Struct("<QQ")


class Counted(NamedTuple):
    """Calls, and seconds spent in them, over all processes of a service."""

    calls: int
    seconds: float

    def since(self, before: "Counted") -> "Counted":
        """Return what came after ``before``."""
        return Counted(self.calls - before.calls, self.seconds - before.seconds)


class DiskCost(msgspec.Struct, frozen=True):
    """What appending half a kilobyte and syncing it costs, with nothing around it."""

    filesystem: str
    calls: int
    mean_ms: float
    p50_ms: float
    p99_ms: float


def injected(mode: Literal["count", "skip", "none"], folder: Path, python_path: str) -> Mapping[str, str]:
    """Return the environment that puts ``inject/sitecustomize.py`` into the Python processes of a service."""
    folder.mkdir(mode=0o700)
    path = os.pathsep.join(filter(None, (str(_INJECTED), python_path)))
    return {"PYTHONPATH": path, "STRONGROOM_BENCH_FDATASYNC": f"{mode}:{folder}"}


def read_counts(folder: Path) -> Counted:
    """Add up what the processes of a service have counted so far."""
    pages = [_PAGE.unpack(page) for path in folder.iterdir() if len(page := path.read_bytes()) == _PAGE.size]
    return Counted(sum(calls for calls, _ in pages), sum(spent for _, spent in pages) / 1e9)


def probe_disk(folder: Path, *, seconds: float) -> list[float]:
    """Append and sync for a while, as a log would; returns the seconds that each fdatasync took."""
    path = folder / "disk-probe"
    taken: list[float] = []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or not taken:
            os.pwrite(fd, bytes(_PROBE_BYTES), len(taken) * _PROBE_BYTES)
            began = time.perf_counter()
            os.fdatasync(fd)
            taken.append(time.perf_counter() - began)
    finally:
        os.close(fd)
        path.unlink()
    return taken


def disk_cost(folder: Path, taken: list[float]) -> DiskCost:
    """Sum up what ``probe_disk`` measured."""
    return DiskCost(
        filesystem=filesystem_of(folder),
        calls=len(taken),
        mean_ms=round(fmean(taken) * 1000, 4),
        p50_ms=round(median(taken) * 1000, 4),
        p99_ms=round(percentile(taken, 0.99) * 1000, 4),
    )


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed (nearest rank)."""
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile needs values and a share above 0 and at most 1")
    ranked = sorted(values)
    rank = -int(-(share * len(ranked)) // 1)
    return ranked[min(max(rank, 1), len(ranked)) - 1]


def filesystem_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of the file system that a folder lies on, such as ``ext4``."""
    best, found = -1, "unknown"
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, kind, *_ = line.split()
        where = Path(point.replace("\\040", " "))
        if folder.resolve().is_relative_to(where) and len(where.parts) >= best:
            best, found = len(where.parts), kind
    return found
