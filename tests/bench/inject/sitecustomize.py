"""Stands in for ``os.fdatasync`` in processes of a service that is measured: counts its calls, or leaves them out.

Python imports a module of this name at its start, if it finds one. The benchmark puts this folder in
PYTHONPATH of the services that it starts; nothing of it is in the package, and an operator has no such
switch. STRONGROOM_BENCH_FDATASYNC is ``count:FOLDER`` or ``skip:FOLDER``; each process keeps a file
FOLDER/PID of two unsigned 64-bit numbers: calls, and nanoseconds spent in them. With ``none:FOLDER`` the uses of keys
leave no entries at all: what a service without an audit log would do.
"""

import mmap
import os
import struct
import time


def _install(mode: str, folder: str) -> None:
    real = os.fdatasync
    page: mmap.mmap | None = None
    calls = spent_ns = 0

    def open_page() -> mmap.mmap:
        fd = os.open(os.path.join(folder, str(os.getpid())), os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(fd, 16)
        return mmap.mmap(fd, 16)

    def fdatasync(fd: int) -> None:
        nonlocal page, calls, spent_ns
        began = time.perf_counter_ns()
        if mode == "count":
            real(fd)
        spent_ns += time.perf_counter_ns() - began
        calls += 1
        if page is None:
            page = open_page()
        struct.pack_into("<QQ", page, 0, calls, spent_ns)

    os.fdatasync = fdatasync  # type: ignore[assignment]  # it takes descriptors only


def _install_none() -> None:
    from asyncio import get_running_loop

    from strongroom.audit import AuditLog, Decided, UseEntry

    def record_uses(_log: AuditLog, entries: list[UseEntry], decided: Decided) -> None:
        get_running_loop().call_soon(decided, len(entries), None)

    AuditLog.record_uses = record_uses  # type: ignore[method-assign,assignment]


_mode, _, _folder = os.environ.get("STRONGROOM_BENCH_FDATASYNC", "").partition(":")
if _mode in {"count", "skip"}:
    _install(_mode, _folder)
elif _mode == "none":
    _install_none()
