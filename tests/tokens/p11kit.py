"""SoftHSM behind a ``p11-kit server``: a real link between client and token, which can be cut and frozen.

The server forks one ``p11-kit-remote`` for each connection. Killing that is a cut link, stopping it is a link on which
nothing moves any more.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.hsm.token import Profile
from tokens.softhsm import new_softhsm
from tokens.started import StartedToken

_CANDIDATES = (
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib64/pkcs11/p11-kit-client.so",
)
_START_LIMIT_S = 30.0


class P11KitServer:
    """A server and the processes of its connections."""

    def __init__(self, folder: Path, token: StartedToken) -> None:
        self.socket = folder / "p11-kit.sock"
        self._token = token
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen, and wait until somebody can connect."""
        self.socket.unlink(missing_ok=True)
        command = ["p11-kit", "server", "--foreground", "--name", str(self.socket), "--provider"]
        self._process = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                *command,
                str(self._token.module),
                f"pkcs11:token={self._token.label}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], **self._token.environment},
        )
        deadline = time.monotonic() + _START_LIMIT_S
        while not self.socket.exists():
            assert self._process.poll() is None, "p11-kit server ended"
            assert time.monotonic() < deadline, f"p11-kit server did not listen within {_START_LIMIT_S} s"
            time.sleep(0.02)

    @property
    def connections(self) -> list[int]:
        """The process ids of its connections."""
        if self._process is None or self._process.poll() is not None:
            return []
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def cut(self) -> int:
        """Kill every connection, the stopped ones too; return how many there were."""
        return self._signal(signal.SIGKILL)

    def freeze(self) -> int:
        """Stop every connection: calls hang, and those under way too."""
        return self._signal(signal.SIGSTOP)

    def thaw(self) -> int:
        """Let stopped connections go on."""
        return self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill the server and its connections."""
        self.cut()
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def _signal(self, number: signal.Signals) -> int:
        found = self.connections
        for pid in found:
            os.kill(pid, number)
        return len(found)


@contextmanager
def p11kit_softhsm(
    folder: Path, profile: Profile, label: str = "remote"
) -> Iterator[tuple[StartedToken, P11KitServer]]:
    """A SoftHSM token behind a running server. Skips the test where p11-kit is missing."""
    found = [Path(path) for path in _CANDIDATES if Path(path).is_file()]
    if not found or shutil.which("p11-kit") is None:
        pytest.skip("p11-kit is missing: install the packages p11-kit and p11-kit-modules")
    bare = new_softhsm(folder, label)
    server = P11KitServer(folder, bare)
    server.start()
    environment = {"P11_KIT_SERVER_ADDRESS": f"unix:path={server.socket}"}
    try:
        yield (
            bare._replace(kind="p11-kit", module=found[0], profile=profile, environment=environment),
            server,
        )
    finally:
        server.stop()
