"""The machine that a figure was taken on, as far as it explains the figure."""

import os
import platform
import re
from pathlib import Path

import msgspec

_BUSY_PER_CORE = 0.25


class Machine(msgspec.Struct, frozen=True):
    """Hardware, system, and how busy it was before the measurement began."""

    cpu: str
    cores: int
    """That this process may use; load generator and services share them."""
    memory_mib: int
    system: str
    python: str
    load_before: float
    """Load average of the last minute, before the measurement."""

    @property
    def was_quiet(self) -> bool:
        """Whether nothing else of weight seemed to run."""
        return self.load_before <= _BUSY_PER_CORE * self.cores


def describe_machine(proc: Path = Path("/proc")) -> Machine:
    """Look at the machine; what it does not tell is ``unknown`` or 0."""
    memory = re.search(r"(?m)^MemTotal:\s+(\d+) kB", _read(proc / "meminfo"))
    model = re.search(r"(?m)^model name\s*:\s*(.+)$", _read(proc / "cpuinfo"))
    load = _read(proc / "loadavg").split()
    return Machine(
        cpu=model[1].strip() if model else platform.machine() or "unknown",
        cores=len(os.sched_getaffinity(0)),
        memory_mib=int(memory[1]) // 1024 if memory else 0,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load_before=float(load[0]) if load else 0.0,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
