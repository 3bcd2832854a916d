"""The load of ``demo``, and the kill: threads that encrypt and decrypt, and one worker that is shot."""

import os
import signal
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from strongroom.cli._answers import DecryptAnswer, EncryptAnswer, MemberEntry
from strongroom.cli._errors import NotDoneError
from strongroom.cli._status import read_status
from strongroom.client import Service, ServiceClient
from strongroom.core import Clock, StrongroomError, random_bytes

_CLIENTS = 4
_RETURN_LIMIT_S = 30.0
_LOOK_EVERY_S = 0.1
_STOP_LIMIT_S = 60.0
_WORKER_PROGRAM = b"strongroom.runtime.member"
_T = TypeVar("_T")


class LoadResult(NamedTuple):
    """What the clients saw."""

    calls: int
    failed: int
    first_failure: str | None
    slowest_s: float


class Load:
    """Clients in threads that encrypt and decrypt from entry to exit. Nothing is tried twice."""

    def __init__(self, service: Service, key_id: str, *, clock: Clock) -> None:
        self._service = service
        self._key_id = key_id
        self._clock = clock
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._durations: list[float] = []  # guarded by the lock, and so is what follows
        self._failures: list[str] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(_STOP_LIMIT_S)

    @property
    def calls(self) -> int:
        """Calls that were answered or failed so far."""
        return len(self._durations)

    def run_for(self, seconds: float) -> None:
        """Let it run for a while."""
        self._stopping.wait(seconds)

    def result(self) -> LoadResult:
        """Return what the clients saw; call it after the exit."""
        with self._lock:
            first = self._failures[0] if self._failures else None
            return LoadResult(
                len(self._durations), len(self._failures), first, max(self._durations, default=0)
            )

    def _run(self) -> None:
        with ServiceClient(self._service, clock=self._clock) as client:
            while not self._stopping.is_set():
                plaintext = random_bytes(32)
                sealed = self._timed(
                    client, "Encrypt", {"KeyId": self._key_id, "Plaintext": plaintext}, EncryptAnswer
                )
                if sealed is None:
                    continue
                opened = self._timed(
                    client, "Decrypt", {"CiphertextBlob": sealed.ciphertext_blob}, DecryptAnswer
                )
                if opened is not None and opened.plaintext != plaintext:
                    with self._lock:
                        self._failures.append("Decrypt answered something else than was encrypted")

    def _timed(
        self, client: ServiceClient, operation: str, members: dict[str, object], kind: type[_T]
    ) -> _T | None:
        started = self._clock.monotonic()
        failure: str | None = None
        answer: _T | None = None
        try:
            answer = client.call(operation, members, kind)
        except StrongroomError as error:
            failure = f"{operation}: {error.message}"
        except Exception as error:  # noqa: BLE001  # a client that died unseen would make the count of failures a lie
            failure = f"{operation}: {type(error).__name__}"
        with self._lock:
            self._durations.append(self._clock.monotonic() - started)
            if failure is not None:
                self._failures.append(failure)
        return answer


def kill_worker(entry: MemberEntry, proc: Path = Path("/proc")) -> int:
    """Send SIGKILL to a member's worker; returns its process id.

    Raises NotDoneError unless that process is a worker of ours: a process id from a document is only a number.
    """
    pid = entry.pid or 0
    try:
        command = (proc / str(pid) / "cmdline").read_bytes() if pid > 1 else b""
    except OSError:
        command = b""
    if _WORKER_PROGRAM not in command.split(b"\x00"):
        raise NotDoneError(
            f"process {pid} is not a worker of this machine, so it is not killed",
            next_step="run the demo on the machine of the service",
        )
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError as error:
        raise NotDoneError(
            f"the worker (process {pid}) belongs to another user", next_step="run the demo as that user"
        ) from error
    return pid


def wait_for_return(client: ServiceClient, victim: MemberEntry, *, clock: Clock) -> MemberEntry | None:
    """Wait until another process serves in the victim's place; None when it takes over 30 s."""
    pause = threading.Event()
    deadline = clock.monotonic() + _RETURN_LIMIT_S
    while clock.monotonic() < deadline:
        for entry in read_status(client).members:
            is_same = (entry.name, entry.worker) == (victim.name, victim.worker)
            if is_same and entry.state == "active" and entry.generation > victim.generation:
                return entry
        pause.wait(_LOOK_EVERY_S)
    return None
