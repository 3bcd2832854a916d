"""Clients of other makers, in an environment of their own, and a running service for them.

``./dev test --slow`` installs them, in the versions of requirements/clients.txt.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from running_service import RunningService, copy_home
from strongroom.audit import verify_log

BIN = Path(__file__).parents[1] / ".deps" / "clients" / "bin"
PYTHON = str(BIN / "python")
LIMIT_S = 100.0
NODE_CLIENTS = BIN.parents[1] / "clients-node"
is_node_installed = (NODE_CLIENTS / ".strongroom-stamp").exists()
is_installed = (BIN.parent / ".strongroom-stamp").exists()


class Clients:
    """Programs that run with the variables of ``strongroom env``."""

    def __init__(self, service: RunningService, folder: Path) -> None:
        self.folder = folder
        ours = {"STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port)}
        printed = subprocess.run(
            [sys.executable, "-m", "strongroom", "env", "--shell", "json"],
            capture_output=True,
            check=True,
            env={"PATH": os.environ["PATH"], **ours},
        )
        self._environment = {
            **json.loads(printed.stdout),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
        }

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self._environment,
            cwd=self.folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def output(self, *command: str, text: str = "") -> str:
        done = self.run(*command, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kms(self, *arguments: str) -> dict[str, Any]:
        """Call the AWS CLI; returns the document that it prints, empty when it prints none."""
        printed = self.output("aws", "kms", *arguments, "--output", "json")
        return dict(json.loads(printed)) if printed else {}

    def new_key(self, *arguments: str) -> str:
        return str(self.kms("create-key", *arguments)["KeyMetadata"]["Arn"])

    def python(self, script: str, *arguments: str) -> str:
        """Run a program in the environment of the clients; returns what it prints."""
        (self.folder / "program.py").write_text(script)
        return self.output(PYTHON, "program.py", *arguments)


@pytest.fixture(scope="module")
def client_service(
    initialised_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    with RunningService(copy_home(initialised_home, tmp_path_factory.mktemp("clients") / "home")) as running:
        running.start()
        yield running
        assert running.stop() == 0
        verify_log(running.home.audit)


@pytest.fixture
def clients(client_service: RunningService, tmp_path: Path) -> Clients:
    return Clients(client_service, tmp_path)
