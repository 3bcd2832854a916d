"""The tree of a whole service: checkpoints signed inside an HSM, through kill -9 and restarts, checked by strangers."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli_support import run
from running_service import RunningService, copy_home
from strongroom.audit import (
    CheckpointFiles,
    Entry,
    TreeLookup,
    inspect_log,
    last_entries,
    read_checkpoint,
    verify_log,
    verify_tree,
)
from strongroom.config import Home

CHECKER = Path(__file__).parents[2] / "tools" / "check_audit_proof.py"
LIMIT_S = 60.0

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def _covered(home: Home) -> int:
    last = CheckpointFiles(home.audit).last()
    return 0 if last is None else last.checkpoint.size


def _wait_covered(home: Home, size: int) -> int:
    until = time.monotonic() + LIMIT_S
    while (covered := _covered(home)) < size:
        assert time.monotonic() < until, f"{covered} of {size} entries are under a checkpoint"
        time.sleep(0.1)
    return covered


def _use(service: RunningService, times: int) -> None:
    kms = service.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    for number in range(times):
        kms.encrypt(KeyId=key_id, Plaintext=b"%d" % number)
    kms.close()


def test_what_the_service_did_is_proved_to_strangers_after_kill_9_and_restarts(initialised_home, tmp_path):
    home = copy_home(initialised_home, tmp_path / "home")
    with RunningService(home) as service:
        service.start()
        _use(service, 20)
        old_size = _wait_covered(home, 22)
        old = CheckpointFiles(home.audit).last()
        assert old is not None
        _use(service, 20)
        service.kill_everything()
    with RunningService(home) as service:
        service.start()
        _use(service, 20)
        _wait_covered(home, old_size + 44)
        assert "strongroom_audit_tree_entries" in service.get("/metrics")
        _read_beside_it(home)
        assert service.stop() == 0
    keys = CheckpointFiles(home.audit).keys()
    assert len(keys) == 2
    verify_log(home.audit)
    report = verify_tree(home.audit, keys[:1])
    entries = last_entries(home.audit, 100_000)
    told = [entry for entry in entries if entry.event == "kms.Encrypt"]
    assert len(told) == 60
    assert (
        report.checkpointed == report.entries >= len(entries) - 5
    )  # what main tells of its own end comes next time
    _require_convinced(home, keys, told[7], old, tmp_path)
    _require_reading_in_tree(home, entries)


def _read_beside_it(home: Home) -> None:
    """Read the log of the running service; the entries that this leaves are taken into its tree and under a checkpoint."""
    environment = {"STRONGROOM_HOME": str(home.root)}
    found = run("audit", "search", "--verb", "Encrypt", "--outcome", "ok", "--json", **environment)
    assert (found.exit_code, len(found.stdout.splitlines())) == (0, 60)
    report = run("audit", "report", "--pci", "--json", **environment)
    assert json.loads(report.stdout)["requirements"][2]["tally"]["entries"] >= 2  # the search
    _wait_covered(home, sum(writer.entries for writer in inspect_log(home.audit).writers) - 1)


def _require_reading_in_tree(home: Home, entries: Sequence[Entry]) -> None:
    readings = [entry for entry in entries if entry.writer == "reader"]
    assert [entry.kind for entry in readings] == ["intent", "outcome"] * 2
    assert {entry.detail["command"] for entry in readings} == {"search", "report pci"}
    leaves = [TreeLookup(home.audit).leaf_of("reader", entry.seq) for entry in readings]
    assert leaves == sorted(set(leaves))


def _require_convinced(home, keys, entry, old, tmp_path):
    (tmp_path / "keys").write_text("".join(f"{key.text()}\n" for key in keys))
    (tmp_path / "old").write_bytes(old.note.encode())
    lookup = TreeLookup(home.audit)
    (tmp_path / "entry").write_bytes(lookup.prove(entry.writer, entry.seq).encode())
    (tmp_path / "growth").write_bytes(lookup.prove_growth(read_checkpoint(old.note.text)).encode())
    for names in (["keys", "entry"], ["keys", "growth", "old"]):
        checked = subprocess.run(
            [sys.executable, "-I", str(CHECKER), *(str(tmp_path / name) for name in names)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stderr) == (0, "")
