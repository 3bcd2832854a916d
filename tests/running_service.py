"""A whole service for tests: a home of its own, the main process with all its children, and boto3 in front.

The home is copied from one that was initialised once per test session; what is absolute in it is rewritten.
The main process dies with the test process (setpriv --pdeathsig), and everything else dies with main.
"""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import boto3
import msgspec
import pytest
from botocore.config import Config as BotoConfig

from strongroom.config import Home, load_config, render_config
from strongroom.core import SystemClock
from strongroom.hsm.token import load_profile, write_softhsm_config
from strongroom.wiring.home import remove_runtime_folder
from strongroom.wiring.initialise import initialise_development

START_LIMIT_S = 60.0
_PASSED_ON = ("STRONGROOM_SOFTHSM_MODULE", "XDG_RUNTIME_DIR", "TMPDIR", "PYTHONPATH")
"""So that tests and service agree on where the socket folder is."""


def free_port() -> int:
    """A port that nobody has, below those that Linux gives to connections: none gets it while a service starts again."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def require_softhsm() -> None:
    try:
        load_profile("softhsm2").find_module()
    except Exception as error:  # whatever is missing, the skip says it
        if not os.environ.get("STRONGROOM_SOFTHSM_MODULE"):
            pytest.skip(f"SoftHSM2 is missing: {error}")


@pytest.fixture(scope="session")
def initialised_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A development home as ``strongroom init`` makes it; to be copied, not used."""
    require_softhsm()
    root = tmp_path_factory.mktemp("template") / "home"
    made = asyncio.run(
        initialise_development(root, port=8443, clock=SystemClock(), progress=lambda step: None)
    )
    assert made
    return root


def copy_home(template: Path, target: Path) -> Home:
    shutil.copytree(template, target, symlinks=True)
    home = Home(target)
    for conf in home.tokens.glob("*.conf"):
        write_softhsm_config(conf, home.tokens / conf.stem)
    configure(home, section="service", processes=1)  # so that a test knows which process serves it
    return home


def configure(home: Home, *, section: str, **settings: Any) -> None:
    """Change settings in strongroom.toml."""
    config = load_config(home.root)
    changed = msgspec.structs.replace(getattr(config, section), **settings)
    home.config_file.write_text(render_config(msgspec.structs.replace(config, **{section: changed})))


class RunningService:
    """The main process and what it started."""

    def __init__(self, home: Home, *, environment: dict[str, str] | None = None, tls: bool = True) -> None:
        """``tls`` says what the home's configuration says."""
        self.home = home
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.log_path = home.root.with_name(f"{home.root.name}.log")
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "STRONGROOM_HOME": str(self.home.root),
            "STRONGROOM_PORT": str(self.port),
            **{name: value for name, value in os.environ.items() if name in _PASSED_ON},
            **self._environment,
        }
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "strongroom.runtime.main"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_ready(self) -> None:
        self.wait_for("service.started", since=self.log().rfind("service.stopped"))
        deadline = time.monotonic() + START_LIMIT_S
        while not self.is_ready():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def is_ready(self) -> bool:
        found = subprocess.run(
            [
                "curl",
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "--cacert",
                str(self.home.tls / "ca.pem"),
                f"{self.url}/readyz",
            ],
            capture_output=True,
            check=False,
        )
        return found.stdout == b"200"

    def wait_exit(self, limit_s: float = START_LIMIT_S) -> int:
        assert self._process is not None
        status = self._process.wait(limit_s)
        self._process = None
        return status

    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def events(self, name: str) -> list[dict[str, Any]]:
        found = []
        for line in self.log().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == name:
                found.append(event)
        return found

    def wait_for(self, text: str, *, since: int = 0, limit_s: float = START_LIMIT_S) -> None:
        deadline = time.monotonic() + limit_s
        while text not in self.log()[max(since, 0) :]:
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the service ended with {self._process.returncode}:\n{self.log()}")
            assert time.monotonic() < deadline, f"no {text!r} within {limit_s} s:\n{self.log()}"
            time.sleep(0.05)

    def client(self, **settings: Any) -> Any:
        """boto3, unmodified, TLS verified; no retries unless asked, so that every failure shows."""
        key = json.loads(self.home.development_access_key.read_bytes())
        return boto3.client(
            "kms",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key["access_key_id"],
            aws_secret_access_key=settings.pop("secret", key["secret_access_key"]),
            verify=str(self.home.tls / "ca.pem"),
            config=BotoConfig(
                retries={"total_max_attempts": settings.pop("attempts", 1)}, read_timeout=60, **settings
            ),
        )

    def children(self) -> dict[str, int]:
        """Pids of the processes below main, by member name or ``api``."""
        found = {"api": self.events("api.started")[-1]["pid"]}
        for event in self.events("member.active"):
            found[event["member"]] = event["pid"]
        return found

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.children()[name], number)

    def signal_main(self, number: int) -> None:
        os.kill(self.pid, number)

    def get(self, path: str) -> str:
        return subprocess.run(
            ["curl", "-s", "--cacert", str(self.home.tls / "ca.pem"), f"{self.url}{path}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def kill_everything(self) -> None:
        """As a power failure would: nobody gets to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        deadline = time.monotonic() + 10
        while processes_of(self.home.root) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not processes_of(self.home.root), "children outlived main"

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(60)
        self._process = None
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None:
                self.kill_everything()
        finally:  # the next start of this home would do it, but there is none
            remove_runtime_folder(self.home)


def processes_of(root: Path) -> list[int]:
    """Pids of every process that has this home in its environment."""
    marker = f"STRONGROOM_HOME={root}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
