"""``audit report``: each report on a log that real writers wrote, in words, as JSON and as CSV."""

import asyncio
import csv
import io
import json
import shutil

import pytest

from cli_support import run
from strongroom.audit import AuditLog, TreeLog, append_once
from strongroom.cli._audit_report_words import Sheet
from strongroom.core import SystemClock
from strongroom.storage import KeyUseRecord, Store
from unit.storage.record_makers import alias, insert_domain_and_root, insert_whole_key, key

DAY = 86_400
NOW = SystemClock().now()
OLD, USED, YOUNG = (f"{number}0000000-0000-4000-8000-000000000001" for number in range(3))


class At:
    """A clock that stands."""

    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


def leave(directory, days_ago, kind, event, **fields):
    append_once(directory, "api-0", kind, event, clock=At(NOW - days_ago * DAY), **fields)


CALL = {"principal": "user/app", "access_key_id": "AKIA", "source_address": "10.0.0.7", "outcome": "ok"}
REFUSAL = {
    "access_key_id": "AKIA",
    "source_address": "10.0.0.7",
    "outcome": "InvalidSignatureException",
}


@pytest.fixture
def log(home):
    """The audit directory of ``home``, whose database is empty."""
    for key_id, days in ((OLD, 400), (USED, 399)):
        leave(home.audit, days, "outcome", "kms.CreateKey", **CALL, key_id=key_id)
    leave(home.audit, 300, "outcome", "kms.Encrypt", **CALL, key_id=USED)
    leave(home.audit, 20, "outcome", "kms.Decrypt", **{**CALL, "outcome": "AccessDeniedError"}, key_id=OLD)
    leave(home.audit, 10, "outcome", "kms.Decrypt", **CALL, key_id=USED)
    leave(home.audit, 9, "outcome", "kms.CreateGrant", **CALL, key_id=USED)
    for _ in range(4):
        leave(home.audit, 2, "refusal", "kms.Decrypt", **REFUSAL)
    leave(home.audit, 2 - 1 / DAY, "outcome", "kms.Encrypt", **CALL, key_id=USED)
    leave(home.audit, 1, "outcome", "kms.CreateKey", **CALL, key_id=YOUNG)
    return home.audit


def _json(*arguments):
    result = run("audit", "report", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def database(home):
    """The database of ``home`` with two of the keys, of which one was used two days ago."""

    def fill(tx):
        insert_domain_and_root(tx)
        for key_id, days in ((OLD, 400), (USED, 399)):
            insert_whole_key(tx, key(key_id=key_id, created_at=NOW - days * DAY))
        tx.insert_alias(alias(USED, name="alias/app"))

    async def write():
        with Store.open(home.database) as store:
            await store.write(fill)

    asyncio.run(write())


def test_each_requirement_is_counted_and_one_without_entries_is_named(log):
    counted = {one["requirement"]: one for one in _json("pci")["requirements"]}
    assert list(counted) == [f"10.2.1.{number}" for number in range(1, 8)]
    assert counted["10.2.1.1"]["tally"]["entries"] == 8
    assert counted["10.2.1.4"]["tally"]["entries"] == 5
    assert counted["10.2.1.5"]["events"][0]["event"] == "kms.CreateGrant"
    words = run("audit", "report", "--pci").stdout
    assert "NONE: no entry of that time counts for 10.2.1.6" in words
    assert "10.2.1.7  kms.CreateKey 3" in words
    assert run("audit", "report", "pci").stdout.split("Log")[0] == words.split("Log")[0]


def test_the_page_tells_what_it_rests_on(log):
    told = _json("pci", "--since", "30d", "--verify")
    assert told["entries"] == 9
    [covered] = [one for one in told["coverage"] if one["writer"] == "api-0"]
    assert (covered["first_seq"], covered["last_seq"], covered["is_damaged"]) == (4, 12, False)
    assert (covered["skipped_segments"], covered["skipped_entries"]) == (3, 3)
    assert told["verified"]["is_sound"]
    assert told["checkpoint"] is None
    assert "chain fits" in run("audit", "report", "pci").stdout


def test_a_damaged_log_is_reported_as_far_as_it_goes_and_named(log):
    segment = sorted((log / "wal" / "api-0").glob("*.wal"))[-2]
    content = bytearray(segment.read_bytes())
    content[-300] ^= 1
    segment.write_bytes(content)
    result = run("audit", "report", "pci", "--verify")
    assert result.exit_code == 1
    assert "DAMAGED" in result.stdout
    assert "Verified: NO" in result.stdout
    assert "first at writer api-0" in result.stderr


def test_a_log_cut_back_under_a_tree_without_checkpoints_is_not_called_verified(log):
    tree = TreeLog(log, "strongroom/test/host")
    tree.gather(is_last=True)
    tree.close()
    assert run("audit", "report", "pci", "--verify").exit_code == 0
    max((log / "wal" / "api-0").glob("*.wal")).unlink()
    result = run("audit", "report", "pci", "--verify")
    assert result.exit_code == 1
    assert "Verified: NO, the tree is bad" in result.stdout


def test_what_a_log_holds_does_not_drive_the_terminal(log):
    leave(
        log, 1, "refusal", "kms.Decrypt", **{**REFUSAL, "outcome": "\x1b]0;x\x07", "access_key_id": "\x9b2J"}
    )
    leave(log, 1, "refusal", "kms.\x1bc", **CALL, detail={"a\x1b": "\u202e"})
    for arguments in (
        ["report", "failed-auth"],
        ["report", "pci"],
        ["report", "access", "--all"],
        ["tail"],
        ["search"],
    ):
        for more in ([], ["--csv"] if arguments[0] == "report" else []):
            shown = run("audit", *arguments, *more).stdout
            assert not set(shown) & set("\x1b\x07\x9b\u202e")


def test_who_used_a_key_and_who_was_refused(log):
    [told] = _json("access", OLD)["keys"]
    rows = {row["event"]: (row["done"]["entries"], row["failed"]["entries"]) for row in told["rows"]}
    assert rows == {"kms.CreateKey": (1, 0), "kms.Decrypt": (0, 1)}
    assert told["used"]["entries"] == 0
    every = _json("access", "--all")
    assert [one["key_id"] for one in every["keys"]] == [OLD, USED, YOUNG]
    assert [change["event"] for change in every["keys"][1]["changes"]] == ["kms.CreateKey", "kms.CreateGrant"]
    words = run("audit", "report", "access", OLD).stdout
    assert f"{OLD}: not used; changes: 1" in words


def test_a_key_is_named_by_its_alias_where_there_is_a_database(log, database, tmp_path):
    assert [one["key_id"] for one in _json("access", "alias/app")["keys"]] == [USED]
    assert [one["key_id"] for one in _json("access", f"arn:aws:kms:us-east-1:0:key/{OLD}")["keys"]] == [OLD]
    assert "there is no alias/none" in run("audit", "report", "access", "alias/none").stderr
    copy = shutil.copytree(log, tmp_path / "copy")
    result = run("audit", "report", "access", "alias/app", "--path", copy)
    assert "can be looked up in a home only" in result.stderr


def test_a_key_or_all_keys_are_to_be_named(log):
    assert run("audit", "report", "access").exit_code == 2
    assert run("audit", "report", "access", OLD, "--all").exit_code == 2


def test_keys_that_nobody_used_for_long_are_listed(log, tmp_path):
    copy = shutil.copytree(log, tmp_path / "copy")
    told = _json("unused", "--days", "30", "--path", str(copy))
    assert [(one["key_id"], one["used_at"]) for one in told["keys"]] == [(OLD, 0)]
    assert (told["has_database"], told["n_keys"]) == (False, 3)
    words = run("audit", "report", "unused", "--path", copy).stdout
    assert "never" in words
    assert "1 of 3 keys were not used for 90 days." in words
    assert "there is no database beside this log" in words


def test_the_database_tells_which_keys_there_are_and_when_they_were_used(log, database, home):
    told = _json("unused", "--days", "1")
    assert [(one["key_id"], one["state"]) for one in told["keys"]] == [(OLD, "active"), (USED, "active")]
    assert told["n_keys"] == 2  # the third of the entries is not in the database: it was destroyed

    async def use():
        with Store.open(home.database) as store:
            record = KeyUseRecord(OLD, store.get_key(OLD).material_id, 1, NOW, "Encrypt", "r")
            await store.write(lambda tx: tx.note_key_uses([record]))

    asyncio.run(use())
    assert [one["key_id"] for one in _json("unused", "--days", "1")["keys"]] == [USED]


def test_failed_authentications_are_clustered_and_a_success_afterwards_is_told(log):
    told = _json("failed-auth")
    [cluster] = told["clusters"]
    assert (told["failures"], cluster["source"], cluster["claimed"], cluster["failures"]) == (
        4,
        "10.0.0.7",
        "AKIA",
        4,
    )
    assert cluster["succeeded_as"] == "user/app"
    words = run("audit", "report", "failed-auth").stdout
    assert "4 failed authentications, 0 of them in sums; 1 clusters:" in words
    assert _json("failed-auth", "--since", "1d")["failures"] == 0


@pytest.mark.parametrize(
    "arguments", [["pci"], ["access", "--all"], ["unused"], ["failed-auth"]], ids=lambda one: one[0]
)
def test_csv_has_a_row_for_each_line(log, arguments):
    result = run("audit", "report", *arguments, "--csv")
    assert result.exit_code == 0
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert len(rows) > 1 or arguments == ["unused"]
    assert len({len(row) for row in rows}) == 1
    assert run("audit", "report", *arguments, "--csv", "--json").exit_code == 2


def test_no_cell_of_csv_is_a_formula():
    text = Sheet(["A B"], [["=1+1"], ["@x"], ["-"], ["user/a\nb"]]).csv()
    assert text == "a_b\r\n'=1+1\r\n'@x\r\n-\r\nuser/a\\nb\r\n"


async def test_reports_are_readings_and_are_recorded(home):
    audit = AuditLog.open(home.audit, "main", clock=SystemClock())
    await audit.record("event", "service.started")
    audit.close()
    run("audit", "report", "--pci", "--since", "1d")
    told = json.loads(run("audit", "tail", "-n", "1", "--json").stdout)
    assert told["detail"]["command"] == "report pci"
    assert told["detail"]["shown"] == "1"
    assert told["detail"]["asked"].startswith("since=")
