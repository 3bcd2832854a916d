"""What a process asks of the kernel to keep its memory to itself (prctl(2), mlockall(2), setrlimit(2))."""

import ctypes
import os
import resource
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_MCL_CURRENT = 1
_MCL_FUTURE = 2
_MCL_ONFAULT = 4


def protect_process() -> list[str]:
    """Forbid core dumps and ptrace, and keep memory out of swap. Returns what was refused, in words.

    mlockall is asked for only where the limit on locked memory is unlimited or we are root: under a smaller
    limit a later allocation would fail instead.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    refused = forbid_dumps()
    soft, _hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    may_lock = os.geteuid() == 0 or soft == resource.RLIM_INFINITY
    if not may_lock or libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        refused.append("memory is not locked: keys may reach the swap device (raise LimitMEMLOCK)")
    return refused


def forbid_dumps() -> list[str]:
    """Forbid core dumps and ptrace alone: for commands that are told a secret and end soon. Returns what was refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        return ["core dumps and ptrace are not forbidden"]
    return []


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies. Exits at once when it is dead already."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
