"""Who may import whom, checked statically by import-linter and once more by really importing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORT_WATCHER = Path(__file__).with_name("import_watcher.py")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_rooms_import_only_what_the_contracts_allow():
    linter = Path(sys.executable).with_name("lint-imports")
    result = _run(str(linter), "--no-cache", "--config", "pyproject.toml")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def import_report():
    """What importing every module of the package did, watched by an audit hook in a process of its own."""
    result = _run(sys.executable, "-W", "ignore", str(IMPORT_WATCHER))
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def test_every_module_can_be_imported(import_report):
    on_disk = {path for path in (ROOT / "src" / "strongroom").rglob("*.py") if "migrations" not in path.parts}
    assert len(import_report["imported"]) >= len(on_disk)


def test_importing_does_no_input_or_output(import_report):
    assert import_report["effects"] == []


def test_importing_starts_no_thread(import_report):
    assert import_report["threads"] == ["MainThread"]


def test_the_watcher_notices_a_module_that_does_input_or_output(tmp_path):
    package = tmp_path / "offender"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "reads.py").write_text("open('/etc/hostname').close()\n")
    (package / "spawns.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''], check=True)\n"
    )
    (package / "connects.py").write_text("import socket\nsocket.socket().close()\n")
    (package / "starts.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
    )
    result = _run(sys.executable, "-W", "ignore", str(IMPORT_WATCHER), "offender", str(tmp_path))
    report = json.loads(result.stdout)
    offenders = {effect.split(":")[0] for effect in report["effects"]}
    assert offenders >= {"offender.reads", "offender.spawns", "offender.connects"}
    assert len(report["threads"]) == 2


API_ROOMS = (
    *("api", "service", "keyring", "audit", "custody", "storage", "envelope"),
    *("hsm.cluster", "hsm.public_keys", "hsm.wire"),
)


def test_no_room_of_the_api_process_loads_a_pkcs11_binding():
    # all in one process: what none of them together loads, none alone does
    program = (
        f"import sys, {', '.join(f'strongroom.{room}' for room in API_ROOMS)}\n"
        "print(sorted(name for name in sys.modules if name == 'cffi' or name.startswith("
        "('strongroom.hsm.cryptoki', 'strongroom.hsm.token', 'strongroom.hsm.worker'))))"
    )
    result = _run(sys.executable, "-W", "ignore", "-c", program)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
