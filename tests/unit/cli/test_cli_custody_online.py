"""``approvals …`` and ``officers …`` by the running service: asked for, read, signed, rejected, proved."""

import json
from pathlib import Path

import pytest

from cli_support import run
from fakes_custody import key_of
from strongroom.core import Secret
from strongroom.custody import OfficerPrivateKey, verify_evidence
from strongroom.service import ApprovalStanding, Asker

PASSPHRASE = "correct horse battery"


@pytest.fixture
def custody(api, tmp_path, monkeypatch):
    """The API of a home with officers; the working folder has a key file of each who is asked for."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("passphrase").write_text(f"{PASSPHRASE}\n")
    Path("passphrase").chmod(0o600)
    api.service.custody_folder = folder
    return api


def key_file(name):
    path = Path(f"{name}.key")
    if not path.exists():
        secret = Secret.from_text(PASSPHRASE)
        path.write_bytes(key_of(name).file_bytes(secret, rounds=1))
        path.chmod(0o600)
    return path


def document(*arguments, status=0):
    result = run(*arguments, "--json")
    assert result.exit_code == status, result.stderr
    return json.loads(result.stdout[result.stdout.index("{") :])


def asked(verb="RotateRoot", *parameters):
    return document("approvals", "request", verb, *(parameters or ("--parameter", f"root_id={'00' * 16}")))


def sign(approval, name, action="sign"):
    return document(
        "approvals", action, approval, "--key", key_file(name), "--passphrase-file", "passphrase", "--yes"
    )


def test_officers_and_rules_are_listed(custody):
    shown = document("officers", "list")
    assert {one["id"] for one in shown["officers"]} >= {"anna", "ben", "dora"}
    assert shown["genesis_sha256"] == shown["head"]
    rules = document("approvals", "rules", "show")["rules"]
    assert rules["RotateRoot"].keys() == {"m", "role", "expires_s", "standing"}
    assert rules["RotateRoot"]["m"] == 2
    assert shown["rules"] == rules
    words = run("officers", "list").stdout
    assert "security-officer" in words
    assert shown["head"] in words
    assert "CreateHsmKey" in run("approvals", "rules", "show").stdout


def test_a_request_is_shown_in_words_signed_online_and_proved_offline(custody):
    made = asked()
    short = made["id"][:12]
    words = run("approvals", "show", short)
    assert words.exit_code == 0, words.stderr
    assert '"0000000000' in words.stdout
    assert f"strongroom approvals sign {short}" in words.stdout
    assert [sign(short, name)["did"] for name in ("anna", "ben")] == ["counted", "decided"]
    shown = document("approvals", "show", made["id"])
    assert (shown["stands"], [one["officer"] for one in shown["signatures"]]) == ("approved", ["anna", "ben"])
    listed = run("approvals", "list", "--stands", "approved").stdout
    assert short in listed
    assert "2 of 2 security-officer" in listed


def test_evidence_of_a_change_verifies_in_an_empty_folder(custody, tmp_path, monkeypatch):
    made = document("officers", "revoke", "hana", "--reason", "left the company")
    for name in ("anna", "ben"):
        sign(made["id"], name)
    fetched = document("approvals", "evidence", made["id"][:12], "--output", tmp_path / "evidence.json")
    assert fetched["evidence_file"] == str(tmp_path / "evidence.json")
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "evidence.json").rename(empty / "evidence.json")
    monkeypatch.chdir(empty)
    monkeypatch.setenv("STRONGROOM_HOME", str(empty / "nowhere"))
    genesis = verify_evidence(Path("evidence.json").read_bytes()).genesis_sha256
    proved = document("approvals", "verify", "evidence.json", "--genesis-sha256", genesis)
    assert proved["request"]["verb"] == "RevokeOfficer"
    assert [one["officer"] for one in proved["approvers"]] == ["anna", "ben"]


def test_evidence_of_a_use_of_a_standing_approval_is_told_with_its_parameters(custody, tmp_path):
    now = int(custody.service._clock.now())
    terms = {
        "verb": "CreateHsmKey", "fixed": {"may_leave": True, "usage": "ENCRYPT_DECRYPT"}, "free": ["spec"],
        "uses": 3, "rate_uses": 3, "rate_s": 60, "begins": now - 10, "ends": now + 86_400,
    }  # fmt: skip
    Path("terms.json").write_text(json.dumps(terms))
    made = asked("AllowStanding", "--parameters-file", "terms.json")
    assert [sign(made["id"], name)["did"] for name in ("dora", "emil")] == ["counted", "decided"]
    assert document("approvals", "show", made["id"])["stands"] == ApprovalStanding.STANDING
    assert run("approvals", "evidence", made["id"], "--use", "1").exit_code == 1
    use_once(custody)
    document("approvals", "evidence", made["id"], "--use", "1", "--output", "use.json")
    proved = document("approvals", "verify", "use.json")
    assert (proved["use"], proved["parameters"]["spec"]) == (1, "AES_256")
    assert '"spec": "AES_256"' in run("approvals", "verify", "use.json").stdout


def use_once(custody):
    """Use the standing approval as the service would, by another process."""
    import asyncio

    from fakes_custody_service import NoLog
    from strongroom.service import CustodyKeeping
    from strongroom.storage import Store

    async def use():
        with Store.open(custody.service.custody_folder / "custody.db") as store:
            sha256 = custody.service.genesis_sha256
            desk = CustodyKeeping.opened(store, sha256, NoLog(), clock=custody.service._clock).desk
            parameters = {"spec": "AES_256", "usage": "ENCRYPT_DECRYPT", "may_leave": True}
            return await desk.require("CreateHsmKey", parameters, Asker("strongroom/jobs"))

    assert asyncio.run(use()).use == 1


def test_a_parameter_is_text_unless_it_can_only_be_json(custody):
    given = {
        "a": "11" * 16,
        "b": "12",
        "c": "1e5",
        "d": "true",
        "e": '["x"]',
        "f": "x=y",
        "g": '"12"',
        "h": "-5",
        "i": "007",
    }
    parameters = [word for name, value in given.items() for word in ("--parameter", f"{name}={value}")]
    made = asked("Backup", *parameters)
    assert json.loads(made["document"])["parameters"] == {
        "a": "11" * 16, "b": 12, "c": "1e5", "d": True, "e": ["x"], "f": "x=y", "g": "12", "h": -5, "i": "007",
    }  # fmt: skip
    for wrong in ("a", "=x", "a=[1"):
        assert run("approvals", "request", "Backup", "--parameter", wrong).exit_code == 1
    assert run("approvals", "request", "Backup", "--parameter", "a=1", "--parameter", "a=2").exit_code == 1


def test_a_rejection_ends_it_and_who_comes_late_is_told(custody):
    made = asked()
    assert sign(made["id"], "anna", "reject")["did"] == "rejected"
    late = run(
        "approvals", "sign", made["id"], "--key", key_file("ben"), "--passphrase-file", "passphrase", "--yes"
    )
    assert late.exit_code == 1
    assert "rejected already" in late.stderr


def test_officers_are_changed_by_requests(custody):
    Path("new.pub").write_text(f"{key_of('new').public.line} a comment\n")
    for arguments, verb in (
        (("officers", "add-key", "dora", "new.pub"), "AddOfficerKey"),
        (("officers", "revoke-key", "dora", "dora.pub", "--reason", "lost"), "RevokeOfficerKey"),
        (("officers", "roles", "hana", "--role", "operator", "--role", "witness"), "ChangeOfficerRoles"),
        (
            ("approvals", "rules", "set", "Backup", "--people", "2", "--role", "crypto-officer"),
            "SetQuorumRule",
        ),
        (("approvals", "rules", "remove", "Backup"), "RemoveQuorumRule"),
    ):
        Path("dora.pub").write_text(f"{key_of('dora').public.line}\n")
        assert document(*arguments)["verb"] == verb
    assert run("officers", "list").exit_code == 0


def test_somebody_new_is_asked_for_by_their_enrolment(custody):
    key_file("ida")
    enrolled = run(
        "officers", "enrol", "ida", "--name", "Ida", "--key", "ida.key", "--passphrase-file", "passphrase"
    )
    assert enrolled.exit_code == 0, enrolled.stderr
    made = document("officers", "add", "ida.enrolment", "--role", "crypto-officer", "--principal", "user/ida")
    person = json.loads(made["document"])["parameters"]["person"]
    assert (person["id"], person["roles"], person["principals"]) == ("ida", ["crypto-officer"], ["user/ida"])


def test_nothing_is_signed_unread_and_wrong_ids_are_told(custody):
    made = asked()
    unread = run(
        "approvals", "sign", made["id"], "--key", key_file("anna"), "--passphrase-file", "passphrase"
    )
    assert unread.exit_code == 1
    assert "--yes" in unread.stderr
    assert document("approvals", "show", made["id"])["signatures"] == []
    for wrong in ("ffffffffffff", "0" * 64):
        result = run("approvals", "show", wrong)
        assert result.exit_code == 1
        assert "no request for approval" in result.stderr
    assert run("approvals", "evidence", "nonsense").exit_code == 1


def test_a_service_that_shows_another_request_is_not_believed(custody, monkeypatch):
    made = asked()
    other = asked("RotateRoot", "--parameter", f"root_id={'11' * 16}")
    monkeypatch.setattr(
        "strongroom.service._custody_verbs.find",
        lambda reader, _approval: reader.get_approval(other["id"]),
    )
    result = run("approvals", "show", made["id"])
    assert result.exit_code == 1
    assert "another request" in result.stderr
    assert OfficerPrivateKey.__name__ not in result.stdout


def test_a_home_without_officers_says_what_to_do(api):
    result = run("approvals", "list")
    assert result.exit_code == 1
    assert "no officers" in result.stderr
