"""``audit search`` and ``audit tail`` with filters, and that reading a home's own log is recorded in it."""

import json
import os
import pwd
import shutil

import pytest

from cli_support import run
from strongroom.audit import Criteria, LogSearch, append_once, inspect_log
from strongroom.cli._audit_filters import moment, moment_text
from strongroom.core import SystemClock

KEY = "3f0c9f0e-0000-4000-8000-000000000001"


class At:
    """A clock that stands at a moment."""

    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


ENTRIES = (
    ("api-0", "outcome", "kms.CreateKey", {"principal": "user/ops", "key_id": KEY, "outcome": "ok"}),
    ("api-0", "outcome", "kms.Encrypt", {"principal": "user/app", "key_id": KEY, "outcome": "ok", "detail": {"alias": "alias/app"}}),
    ("api-1", "outcome", "kms.Decrypt", {"principal": "user/app", "outcome": "AccessDeniedError", "source_address": "10.0.0.7"}),
    ("main", "event", "member.failed", {"member": "alpha", "detail": {"cause": "away"}}),
    ("api-1", "refusal", "kms.Decrypt", {"access_key_id": "AKIAX", "outcome": "InvalidSignatureException", "request_id": "r5"}),
)  # fmt: skip


@pytest.fixture
def log(home):
    """The audit directory of ``home``: an entry at 10:00, 11:00 … of 2026-11-20."""
    for hour, (writer, kind, event, fields) in enumerate(ENTRIES):
        append_once(home.audit, writer, kind, event, clock=At(1_795_168_800 + hour * 3600), **fields)
    return home.audit


def _found(*arguments):
    result = run("audit", "search", "--json", *arguments)
    assert result.exit_code == 0, result.output
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    return [ENTRIES_BY_AT[entry["at"]] for entry in entries if entry["writer"] != "reader"]


ENTRIES_BY_AT = {(1_795_168_800 + hour * 3600) * 1_000_000: hour for hour in range(len(ENTRIES))}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["--principal", "user/*"], [0, 1, 2]),
        (["--principal", "user/ops", "--principal", "user/app"], [0, 1, 2]),
        (["--principal", "user/app", "--outcome", "failed"], [2]),
        (["--outcome", "failed"], [2, 4]),
        (["--outcome", "*Exception"], [4]),
        (["--key", KEY], [0, 1]),
        (["--key", f"arn:aws:kms:us-east-1:000000000000:key/{KEY}"], [0, 1]),
        (["--key", "alias/app"], [1]),
        (["--event", "kms.*"], [0, 1, 2, 4]),
        (["--verb", "Decrypt"], [2, 4]),
        (["--kind", "event", "--kind", "refusal"], [3, 4]),
        (["--writer", "api-*"], [0, 1, 2, 4]),
        (["--member", "alpha"], [3]),
        (["--source", "10.*"], [2]),
        (["--request", "r5"], [4]),
        (["--access-key", "AKIAX"], [4]),
        (["--detail", "cause=a*"], [3]),
        (["--detail", "cause=a*", "--detail", "alias=*"], []),
        (["--since", "2026-11-20T12:00"], [2, 3, 4]),
        (["--since", "2026-11-20T12:00+01:00", "--until", "2026-11-20T12:00Z"], [1]),
        (["--limit", "2"], [0, 1]),
        (["--limit", "3", "--reverse", "--writer", "api-*"], [4, 2, 1]),
    ],
)  # fmt: skip
def test_a_search_shows_what_was_asked_for(log, arguments, found):
    assert _found(*arguments) == found


def test_words_are_a_line_for_each_entry(log):
    result = run("audit", "search", "--member", "alpha")
    assert result.stdout == "2026-11-20 13:00:00.000Z main/1 event   member.failed member=alpha cause=away\n"
    assert run("audit", "search", "--member", "beta").stdout == "No entry is as you asked.\n"


def test_tail_takes_the_same_filters(log):
    shown = run("audit", "tail", "-n", "2", "--event", "kms.*").stdout.splitlines()
    assert ["kms.Decrypt AccessDeniedError" in shown[0], "kms.Decrypt Inv" in shown[1]] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--since", "yesterday"], "'yesterday' is no time"),
        (["--since", "1h", "--until", "2h"], "--since must be before --until"),
        (["--detail", "cause"], "is not NAME=VALUE"),
        (["--reverse", "--limit", "100001"], "at most 100000"),
        (["--kind", "nonsense"], "nonsense"),
    ],
)
def test_what_is_no_filter_is_wrong_usage(log, arguments, complaint):
    result = run("audit", "search", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


NOW = 1_795_168_800_000_000


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-20T10:00:00", NOW), ("2026-11-20T11:00+01:00", NOW), ("2026-11-20", NOW - 36_000_000_000),
        ("2h", NOW - 7_200_000_000), ("3d ago", NOW - 3 * 86_400_000_000), ("90s", NOW - 90_000_000),
        ("2026-11-20T10:00:00.000001Z", NOW + 1), ("0001-01-01", -62_135_596_800_000_000),
    ],
)  # fmt: skip
def test_a_time_is_iso_8601_or_so_long_ago(text, at):
    assert moment(text, NOW) == at


def test_a_moment_is_shown_as_it_can_be_typed():
    assert moment(moment_text(NOW), 0) == NOW


def _readings(log):
    return list(LogSearch(log, Criteria(writers=["reader"])))


def test_who_reads_what_is_in_the_log_before_and_after(log):
    run("audit", "search", "--principal", "user/*", "--since", "2026-11-20T10:30")
    intent, outcome = _readings(log)
    assert (intent.kind, outcome.kind, outcome.outcome) == ("intent", "outcome", "ok")
    assert {intent.event, outcome.event} == {"audit.read"}
    assert intent.principal == outcome.principal == f"local/{os.geteuid()}"
    assert intent.request_id == outcome.request_id != ""
    assert intent.detail["command"] == "search"
    assert intent.detail["asked"] == "principal=user/*; since=2026-11-20T10:30:00.000Z"
    assert intent.detail["user"] == pwd.getpwuid(os.geteuid()).pw_name
    assert outcome.detail == {**intent.detail, "shown": "2"}
    report = inspect_log(log)
    assert (report.problems, report.warnings) == ((), ())


def test_a_reading_does_not_show_itself_but_those_before(log):
    assert "audit.read" not in run("audit", "tail").stdout
    assert run("audit", "tail").stdout.count("audit.read") == 2


def test_a_copy_is_no_log_of_ours_and_reading_it_leaves_nothing(log, tmp_path):
    copy = shutil.copytree(log, tmp_path / "copy")
    result = run("audit", "search", "--path", copy, "--json")
    assert len(result.stdout.splitlines()) == 5
    assert len(run("audit", "tail", "--path", copy).stdout.splitlines()) == 5
    assert not (copy / "wal" / "reader").exists()


def test_a_home_is_read_as_its_own_by_whatever_path(log, home, tmp_path, monkeypatch):
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "elsewhere"))
    (tmp_path / "link").symlink_to(log)
    for path in (home.root, log, tmp_path / "link"):
        assert run("audit", "tail", "--path", path).exit_code == 0
    assert len(_readings(log)) == 6


def test_links_to_the_folders_of_a_home_are_no_copy(log, tmp_path, monkeypatch):
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "elsewhere"))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "wal").symlink_to(log / "wal")
    (tmp_path / "two" / "wal").mkdir(parents=True)
    (tmp_path / "two" / "wal" / "api-0").symlink_to(log / "wal" / "api-0")
    for name in ("one", "two"):
        assert run("audit", "tail", "--path", tmp_path / name).exit_code == 0
    assert len(_readings(log)) == 4
    assert not (tmp_path / "two" / "wal" / "reader").exists()


def test_a_log_on_another_volume_that_its_home_has_as_a_link_is_its_own(log, home, tmp_path):
    shutil.move(log, tmp_path / "volume")
    log.symlink_to(tmp_path / "volume")
    for path in ([], ["--path", home.root], ["--path", tmp_path / "volume"]):
        assert run("audit", "tail", *path).exit_code == 0
    assert len(_readings(log)) == 6


def test_what_cannot_be_recorded_is_not_read_and_a_copy_is_the_way_out(log, tmp_path):
    run("audit", "tail")
    [segment] = (log / "wal" / "reader").glob("*.wal")
    content = bytearray(segment.read_bytes())
    content[150] ^= 1
    segment.write_bytes(content)
    for command in ("tail", "search"):
        result = run("audit", command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "so the log is not read" in result.stderr
        assert "--path" in result.stderr
    result = run("audit", "search", "--path", shutil.copytree(log, tmp_path / "copy"))
    assert result.exit_code == 1  # what is damaged is named
    assert len(result.stdout.splitlines()) == 5


def test_another_user_than_the_owner_is_told_to_be_the_owner(log, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: (log / "wal").stat().st_uid + 1)
    result = run("audit", "search")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "that takes its owner" in result.stderr
    assert not (log / "wal" / "reader").exists()


def test_damage_is_named_behind_what_can_be_read(log):
    [segment] = (log / "wal" / "api-1").glob("*.wal")
    content = bytearray(segment.read_bytes())
    content[-40] ^= 1
    segment.write_bytes(content + b"\x00\x00\x00\x09more than a torn tail could be" * 9)
    for command in ("search", "tail"):
        result = run("audit", command)
        assert result.exit_code == 1
        assert "member.failed" in result.stdout
        assert "the audit log is damaged, and not all of it was read, first at writer api-1" in result.stderr
        assert "strongroom audit verify" in result.stderr
    assert _readings(log)[-1].outcome == "NotDoneError"


def test_json_names_damage_in_a_document_of_its_own(log):
    [segment] = (log / "wal" / "main").glob("*.wal")
    segment.write_bytes(b"X" + segment.read_bytes()[1:])
    lines = run("audit", "search", "--json").stdout.splitlines()
    assert "first at writer main" in json.loads(lines[-1])["error"]["message"]
    assert len(lines) == 5


def test_a_proof_is_recorded_as_a_reading(log):
    assert run("audit", "prove", "main/1").exit_code == 1  # there is no tree
    assert [entry.detail["command"] for entry in _readings(log)] == ["prove", "prove"]
    assert _readings(log)[1].outcome != "ok"


async def test_reading_works_within_an_event_loop(log):
    append_once(log, "main", "event", "service.started", clock=SystemClock())
    assert run("audit", "tail").exit_code == 0
