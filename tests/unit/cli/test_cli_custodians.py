"""``strongroom custodians`` and ``share prove``: from a challenge to a proof, and from two who left to the alarm."""

import asyncio
import json
import threading

import pytest

from cli_support import run
from held_sets import make_set, put_backup, put_set
from strongroom.audit import AuditLog
from strongroom.cli._checks import findings_of
from strongroom.cli._checks_custodians import check_custodians
from strongroom.cli._status import _warnings
from strongroom.config import load_config
from strongroom.core import SystemClock
from strongroom.custody import OfficerPrivateKey, armour
from strongroom.runtime._control import ControlServer
from strongroom.runtime._custodian_keeping import CustodianKeeping
from strongroom.storage import Store
from strongroom.wiring.custodian_documents import NAMESPACE_CUSTODIAN
from strongroom.wiring.home import remove_runtime_folder, runtime_folder, runtime_folder_path

MADE, NEXT = make_set(), make_set("ab" * 16, 2, ("Bern", "Zug", "Genf"))
DAY = 86_400.0


def change(home, *works):
    async def all_of_them(store):
        for work in works:
            await work(store)

    with Store.open(home.database) as store:
        asyncio.run(all_of_them(store))


@pytest.fixture
def held(home):
    """A home with an active set of 3 of 5."""
    change(home, lambda store: put_set(store, MADE, at=SystemClock().now()))
    return home


@pytest.fixture
def main(held):
    """Main's part of a service, in a thread of its own."""
    runtime_folder(held)
    path, is_open, stopping = runtime_folder_path(held) / "control", threading.Event(), asyncio.Event()

    async def serve():
        loops.append(asyncio.get_running_loop())
        audit = AuditLog.open(held.audit, "main", clock=SystemClock())
        server = ControlServer(lambda _suspicion: None)
        with Store.open(held.database) as store:
            server.custodians = CustodianKeeping(
                store,
                audit,
                api_pids=tuple,
                custody=None,
                changed=lambda: None,
                clock=SystemClock(),
            )
            await server.listen(path)
            is_open.set()
            await stopping.wait()
            server.close()
        audit.close()

    loops = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert is_open.wait(60)
        yield held
    finally:
        loops[0].call_soon_threadsafe(stopping.set)
        thread.join(60)
        remove_runtime_folder(held)


def share_file(tmp_path, name):
    path = tmp_path / f"{name}.words"
    path.write_text(" ".join(MADE.shares[name].words))
    path.chmod(0o600)
    return path


def ok(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def test_a_challenge_is_answered_on_another_machine_and_counts(main, tmp_path, monkeypatch):
    ok("custodians", "challenge", "--output-dir", tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.challenge")) == [
        f"{name}.challenge" for name in MADE.shares
    ]
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "no home there"))
    done = ok("share", "prove", share_file(tmp_path, "anna"), "--challenge-file", tmp_path / "anna.challenge")
    assert not any(word in (tmp_path / "anna.proof").read_text() for word in MADE.shares["anna"].words)
    assert " ".join(MADE.shares["anna"].words) not in done.output
    monkeypatch.setenv("STRONGROOM_HOME", str(main.root))
    before = json.loads(ok("custodians", "list", "--json").stdout)["set"]["custodians"][0]["proved_at"]
    assert "anna has shown" in ok("custodians", "record-proof", tmp_path / "anna.proof").output
    after = json.loads(ok("custodians", "list", "--json").stdout)["set"]["custodians"][0]
    assert after["proved_at"] > before
    again = run("custodians", "record-proof", tmp_path / "anna.proof")
    assert again.exit_code == 1
    assert "no challenge waits" in again.output


def test_the_share_of_somebody_else_or_a_mistyped_word_makes_no_proof(main, tmp_path):
    ok("custodians", "challenge", "anna", "--output-dir", tmp_path)
    other = run(
        "share", "prove", share_file(tmp_path, "ben"), "--challenge-file", tmp_path / "anna.challenge"
    )
    assert "this is share 2" in other.output
    path = share_file(tmp_path, "anna")
    words = path.read_text().split()
    path.write_text(" ".join([*words[:-1], "zero" if words[-1] != "zero" else "yoga"]))
    mistyped = run("share", "prove", path, "--challenge-file", tmp_path / "anna.challenge")
    assert mistyped.exit_code == 1
    assert not (tmp_path / "anna.proof").exists()


def test_a_challenge_is_named_once_and_about_one_set(main, tmp_path):
    ok("custodians", "challenge", "anna", "--output-dir", tmp_path)
    challenge, path = tmp_path / "anna.challenge", share_file(tmp_path, "anna")
    assert run("share", "prove", path).exit_code == 2
    assert run("share", "prove", path, "--challenge", "00" * 32, "--challenge-file", challenge).exit_code == 2
    refused = run("share", "prove", path, "--challenge-file", challenge, "--set", "00" * 16)
    assert "is about the set" in refused.output


def test_a_duty_is_signed_with_the_custodians_own_key_and_kept(main, tmp_path):
    ok("custodians", "duty", "anna", "--output", tmp_path / "duty")
    key = OfficerPrivateKey.generate()
    signature = armour(key.sign((tmp_path / "duty").read_bytes(), NAMESPACE_CUSTODIAN))
    (tmp_path / "duty.sig").write_bytes(signature)
    said = ok("custodians", "acknowledge", "anna", "--signature", tmp_path / "duty.sig").output
    assert key.public.fingerprint in said
    assert "compare the fingerprint" in said
    shown = json.loads(ok("custodians", "list", "--json").stdout)
    assert shown["set"]["custodians"][0]["acknowledged_by"] == key.public.fingerprint
    refused = run("custodians", "acknowledge", "ben", "--signature", tmp_path / "duty.sig")
    assert refused.exit_code == 1


def test_a_duty_on_paper_names_who_saw_it(main):
    assert "signature: ____" in ok("custodians", "duty", "ben").output
    ok("custodians", "acknowledge", "ben", "--on-paper", "--seen-by", "Gus Grau")
    assert (
        json.loads(ok("custodians", "list", "--json").stdout)["set"]["custodians"][1]["acknowledged_by"]
        == "Gus Grau"
    )
    for wrong in (["--on-paper"], ["--seen-by", "Gus"], []):
        assert run("custodians", "acknowledge", "cleo", *wrong).exit_code == 2


def test_a_signing_custodian_sees_every_duty_before(held, tmp_path):
    ok("custodians", "duty", "anna", "--output", tmp_path / "duty")
    unread = run("custodians", "sign", tmp_path / "duty", "--key", tmp_path / "key")
    assert unread.exit_code == 1
    assert "I show, read out, send or lend it to nobody" in unread.output
    assert not (tmp_path / "duty.sig").exists()


def test_two_of_five_who_left_raise_the_alarm_everywhere(main):
    ok("custodians", "left", "anna", "--because", "another company")
    report = ok("custodians", "report").output
    assert "We can lose any 1 custodian, and no whole location." in report
    ok("custodians", "left", "dora", "--because", "lost")
    result = run("custodians", "list")
    assert result.exit_code == 1
    assert "one more loss may be one too many" in result.output
    assert run("custodians", "report").exit_code == 1
    found = list(findings_of("x", lambda: check_custodians(main, load_config(main.root), SystemClock())))
    assert "one more loss" in found[0].message
    assert any("one more loss" in warning for warning in _warnings(main))
    ok("custodians", "left", "emil", "--because", "lost")
    assert "do not open the backup" in run("custodians", "report").output


def test_the_report_says_who_can_be_lost_and_where(held):
    result = ok("custodians", "report")
    assert "We can lose any 2 custodians, and any 1 whole location." in result.output
    losses = json.loads(ok("custodians", "report", "--json").stdout)["set"]["losses"]
    assert losses["locations"] == [["Bern"], ["Genf"], ["Zug"]]


def test_the_report_is_printed_too_and_replaces_no_file(main, tmp_path):
    ok("custodians", "acknowledge", "ben", "--on-paper", "--seen-by", "Gus Grau")
    ok("custodians", "left", "anna", "--because", "lost")
    change(main, lambda store: put_backup(store, MADE, "backup-1", at=SystemClock().now()))
    pdf, html = tmp_path / "report.pdf", tmp_path / "report.html"
    ok("custodians", "report", "--pdf", pdf, "--html", html)
    assert pdf.read_bytes().startswith(b"%PDF-")
    page = html.read_text()
    assert all(words in page for words in ("Anna", "left", "Genf", "backup-1", MADE.set_id.hex()))
    assert "any 1 custodian" in page
    assert run("custodians", "report", "--pdf", pdf).exit_code == 1


def test_earlier_sets_are_told_until_their_backups_are_destroyed(main):
    assert "no earlier backup set" in ok("custodians", "old-sets").output
    at = SystemClock().now()
    change(
        main,
        lambda store: put_backup(store, MADE, "old", at=at),
        lambda store: put_set(store, NEXT, at=at + 1),
    )
    assert "cannot be yet: no backup has been made under the new set" in ok("custodians", "old-sets").output
    change(
        main,
        lambda store: put_backup(store, NEXT, "new", at=at + 2),
        lambda store: store.write(lambda tx: tx.retire_backup_set(MADE.set_id, at=at + 3)),
    )
    waiting = run("custodians", "old-sets")
    assert waiting.exit_code == 1
    assert "Any 3 of the 5 old shares" in waiting.output
    ok("custodians", "destroyed", "old", "--seen-by", "Gus Grau")
    assert "said to be destroyed" in ok("custodians", "old-sets").output


def test_a_home_without_a_set_says_how_to_make_one(home):
    for command in ("list", "report"):
        result = run("custodians", command)
        assert result.exit_code == 1
        assert "ceremony new --type backup" in result.output
    assert list(findings_of("x", lambda: check_custodians(home, load_config(home.root), SystemClock()))) == []


def test_without_a_service_what_changes_something_ends_with_3(held):
    assert run("custodians", "left", "anna", "--because", "x").exit_code == 3
