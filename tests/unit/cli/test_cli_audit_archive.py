"""``audit archive``, ``audit prune`` and what ``doctor`` says of both, on logs that are archived and pruned."""

import json

import pytest

from cli_support import run
from strongroom.cli._checks_archive import check_audit_archive
from strongroom.config import AuditConfig
from strongroom.core import SystemClock
from unit.audit.pruned_logs import gather_and_sign, make_old_log, prune


@pytest.fixture
def log(home):
    make_old_log(home.audit, ((1, 2), (1, 1)))
    return home.audit


def shown():
    document = json.loads(run("audit", "archive", "--json").stdout)
    return {one["writer"]: one for one in document["writers"]}


def test_archive_shows_what_is_where_and_what_is_due(log):
    main = shown()["main"]
    assert (main["hot_segments"], main["archived_segments"], main["pruned_segments"]) == (1, 2, 0)
    assert main["prune_due"] == 2
    assert main["oldest"] == 1_700_000_000.000001
    assert main["archived_bytes"] > 0
    said = run("audit", "archive").stdout
    assert "strongroom audit prune --before DAY" in said


def test_archive_and_verify_tell_what_was_pruned(log):
    prune(log)
    gather_and_sign(log)
    main = shown()["main"]
    assert (main["archived_segments"], main["pruned_segments"], main["pruned_entries"]) == (0, 2, 3)
    said = run("audit", "verify")
    assert said.exit_code == 0
    assert f"main: entries 1 to 3 were pruned on 2024-12-18 under approval {'ab' * 32}" in said.stdout
    assert "approval" in json.loads(run("audit", "verify", "--json").stdout)["writers"][0]["pruned"][0]


def test_prune_wants_to_be_meant_and_needs_the_service(log):
    refused = run("audit", "prune", "--before", "2023-11-16")
    assert (refused.exit_code, "--yes" in refused.stderr) == (1, True)
    away = run("audit", "prune", "--before", "2023-11-16", "--yes")
    assert (away.exit_code, "strongroom serve" in away.stderr) == (3, True)
    assert run("audit", "archive", "--now").exit_code == 3


def test_a_damaged_record_of_a_pruning_ends_archive_with_1(log):
    prune(log)
    (log / "pruned" / "00000001.json").write_bytes(b"{}")
    result = run("audit", "archive")
    assert (result.exit_code, "pruned/00000001.json" in result.stderr) == (1, True)
    assert run("audit", "verify").exit_code == 1


def test_doctor_says_what_is_archived_due_and_out_of_reach(home, log, tmp_path):
    def levels(config=None):
        return [one.level for one in check_audit_archive(home, config or AuditConfig(), SystemClock())]

    assert levels() == ["warn"]
    assert levels(AuditConfig(keep_days=36_500)) == ["ok"]
    (log / "archive").rename(tmp_path / "volume")
    assert levels() == []
    (log / "archive").symlink_to(tmp_path / "volume")
    assert levels() == ["warn"]
    (tmp_path / "volume").rename(tmp_path / "unplugged")
    assert levels() == ["fail"]
