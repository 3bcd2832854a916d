"""``strongroom bench`` against a running service: TLS, signatures, audit entries, figures."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.many_keys_home import fill
from running_service import RunningService, copy_home
from strongroom.audit import read_entries
from strongroom.bench import OPERATIONS


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    if shutil.which("wrk") is None:
        pytest.skip("the load generator wrk is missing (Debian package wrk)")
    home = copy_home(initialised_home, tmp_path_factory.mktemp("bench") / "home")
    with RunningService(home) as running:
        running.start()
        yield running


def _bench(service: RunningService, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "strongroom", "bench", "--seconds", "0.3", *arguments],
        env={
            **inherited,
            "STRONGROOM_HOME": str(service.home.root),
            "STRONGROOM_PORT": str(service.port),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_operation_is_measured_and_every_answer_has_its_entry(service: RunningService) -> None:
    done = _bench(service, "--connections", "1,8", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    cells = {(cell["operation"], cell["connections"]): cell for cell in document["cells"]}
    assert set(cells) == {(operation, number) for operation in OPERATIONS for number in (1, 8)}
    answered = 0
    for cell in cells.values():
        (run,) = cell["runs"]
        assert cell["errors"] == 0
        assert cell["rate"] > 0
        assert 0 < cell["p50_ms"] <= cell["p99_ms"]
        answered += run["requests"]
    measured = {f"kms.{operation.removeprefix('Batch')}" for operation, _ in cells}
    entries = [(entry.event, entry.outcome) for entry in read_entries(service.home.audit)]
    assert sum(event in measured and outcome == "ok" for event, outcome in entries) >= answered


def test_requests_that_fail_are_told_and_fail_the_command(service: RunningService) -> None:
    kms = service.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key_id)
    done = _bench(service, "--connections", "1", "--operations", "Encrypt", "--key", key_id)
    assert done.returncode == 1
    assert "DisabledException" in done.stderr


def test_keys_that_the_benchmark_stores_by_the_thousand_are_keys_like_others(service: RunningService) -> None:
    keys = asyncio.run(fill(service.home, 5, plaintext_bytes=32))
    kms = service.client()
    for key in keys:
        opened = kms.decrypt(CiphertextBlob=key.ciphertext)
        assert opened["KeyId"].endswith(key.key_id)
        assert len(opened["Plaintext"]) == 32
        assert kms.describe_key(KeyId=key.key_id)["KeyMetadata"]["KeyState"] == "Enabled"
        kms.encrypt(KeyId=key.key_id, Plaintext=b"more")
