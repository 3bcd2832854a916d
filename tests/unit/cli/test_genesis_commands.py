"""From keys to a genesis, offline: enrolled, described by a script, signed by ours and by stock ssh-keygen, put together, verified."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli_support import run
from fakes_custody import key_of
from init_scripts import example
from strongroom.core import Secret
from strongroom.custody import (
    DEFAULT_RULES,
    NAMESPACE_GENESIS,
    Chain,
    armour,
    document_hash,
    spoken,
    verify_enrolment,
)
from strongroom.wiring.init_script import parse_init_script

PASSPHRASE = "correct horse battery"
BODY = "body.json"


@pytest.fixture(autouse=True)
def _desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("passphrase").touch(mode=0o600)
    Path("passphrase").write_text(f"{PASSPHRASE}\n")
    for name in ("anna", "ben", "cleo"):
        Path(name).touch(mode=0o600)
        Path(name).write_bytes(key_of(name).file_bytes(Secret.from_text(PASSPHRASE), rounds=1))
    without = [line for line in example().splitlines() if not line.startswith("ReplaceHsmKey")]
    Path("init.toml").write_text("\n".join(without))


def _with(key, *arguments):
    return run("officers", *arguments, "--key", key, "--passphrase-file", "passphrase")


def _ran(*arguments):
    done = run("officers", *arguments)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def body():
    _ran("genesis", "new", "--script", "init.toml", "--output", BODY)
    return Path(BODY)


def _sign(name, *options):
    return _with(name, "genesis", "sign", BODY, "--yes", *options)


def _assemble(*files):
    return run("officers", "genesis", "assemble", BODY, *files, "--output", "genesis.json")


def _stock_sign(name):
    """As an officer does who has nothing of ours."""
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("there is no ssh-keygen on this machine (Debian: openssh-client)")
    subprocess.run([program, "-q", "-p", "-P", PASSPHRASE, "-N", "", "-f", name], check=True, timeout=60)
    subprocess.run([program, "-Y", "sign", "-q", "-n", NAMESPACE_GENESIS, "-f", name, BODY], check=True, timeout=60)  # fmt: skip
    return f"{BODY}.sig"


def test_a_genesis_signed_by_ours_and_by_ssh_keygen_is_put_together_and_verifies(body):
    assert _sign("anna").exit_code == 0
    made = _assemble(_stock_sign("ben"), f"{BODY}.anna.sig")
    assert made.exit_code == 0, made.output
    data = Path("genesis.json").read_bytes()
    state = Chain.from_documents(data).state
    assert sorted(state.officers) == ["anna", "ben", "cleo", "dora"]
    assert state.head == document_hash(data)
    assert state.head in made.stdout
    said = _ran("genesis", "verify", "genesis.json").stdout
    assert " ".join(spoken(state.head)[:8]) in said
    assert "proves nothing until" in said
    known = _ran("genesis", "verify", "genesis.json", "--sha256", state.head.upper(), "--json")
    assert json.loads(known.stdout)["signed_by"] == ["anna", "ben"]
    other = run("officers", "genesis", "verify", "genesis.json", "--sha256", "00" * 32)
    assert other.exit_code == 1
    assert "another than the one you know" in other.stderr
    planned = run(
        "init", "--script", "init.toml", "--genesis", "genesis.json", "--dry-run", STRONGROOM_HOME="home"
    )
    assert planned.exit_code == 0, planned.output
    shown = _ran("genesis", "show", "genesis.json").stdout
    assert shown == _ran("genesis", "show", BODY).stdout


def test_what_is_to_be_signed_is_what_the_script_says(body):
    shown = json.loads(_ran("genesis", "show", BODY, "--json").stdout)
    assert shown["body"]["name"] == "production"
    assert re.fullmatch(r"[0-9a-f]{32}", shown["body"]["cluster"])
    assert shown["body_sha256"] == document_hash(body.read_bytes())
    assert any("RevokeOfficer" in line and "1 person" in line for line in shown["words"])
    assert any("ReplaceHsmKey has no rule" in one for one in shown["warnings"])
    again = run("officers", "genesis", "new", "--script", "init.toml", "--output", BODY)
    assert again.exit_code == 1
    _ran("genesis", "new", "--script", "init.toml", "--output", "other.json")
    assert Path("other.json").read_bytes() != body.read_bytes()  # another random name of the cluster


def test_only_security_officers_sign_and_nothing_unread(body):
    assert "cleo is no security officer" in _sign("cleo").stderr
    Path("stranger").touch(mode=0o600)
    Path("stranger").write_bytes(key_of("stranger").file_bytes(Secret.from_text(PASSPHRASE), rounds=1))
    assert "nobody's in this genesis" in _sign("stranger").stderr
    unread = _with("anna", "genesis", "sign", BODY)
    assert unread.exit_code == 1
    assert "--yes" in unread.stderr
    assert not list(Path().glob("*.sig"))
    assert _sign("anna", "--output", "mine.sig").exit_code == 0
    assert _sign("anna", "--output", "mine.sig").exit_code == 1  # nothing is overwritten


def _signature(name, data, namespace=NAMESPACE_GENESIS, *, file=None):
    path = Path(file or f"{name}.sig")
    path.write_bytes(armour(key_of(name).sign(data, namespace)))
    return path


def test_signatures_that_do_not_make_a_genesis_are_refused_by_name(body):
    data = body.read_bytes()
    anna, ben = _signature("anna", data), _signature("ben", data)
    cases = {
        "have not signed: ben": [anna],
        "anna has signed in another file": [anna, shutil.copy(anna, "copy.sig"), ben],
        "cleo is no security officer": [anna, ben, _signature("cleo", data)],
        "nobody's in this genesis": [anna, _signature("zoe", data)],
        "does not verify": [anna, _signature("ben", data + b" ", file="other-data.sig")],
        "another purpose": [anna, _signature("ben", data, "approval@strongroom", file="approval.sig")],
        "no armoured SSH signature": [anna, body],
    }
    for words, files in cases.items():
        done = _assemble(*files)
        assert done.exit_code == 1
        assert words in done.stderr
    assert not Path("genesis.json").exists()


def test_a_body_that_may_not_be_is_neither_shown_nor_signed(body):
    document = json.loads(body.read_bytes())
    document["people"][0]["roles"] = ["crypto-officer", "security-officer"]
    Path(BODY).write_text(json.dumps(document, separators=(",", ":"), sort_keys=True))
    for done in (run("officers", "genesis", "show", BODY), _sign("anna")):
        assert done.exit_code == 1
        assert "separate" in done.stderr


def test_an_officer_enrols_and_the_script_must_say_what_was_signed():
    done = _with("anna", "enrol", "anna", "--name", "Anna Example", "--recipient", f"{key_of('anna').public.line} anna@desk")  # fmt: skip
    assert done.exit_code == 0, done.output
    data = Path("anna.enrolment").read_bytes()
    assert verify_enrolment(data).recipient == key_of("anna").public.line
    words = " ".join(spoken(document_hash(data))[:8])
    assert words in done.stdout
    assert words in _ran("enrolment", "anna.enrolment").stdout
    stanza = _ran("enrolment", "anna.enrolment", "--toml").stdout
    script = example()
    begin, end = script.index("[[officers]]"), script.index("[[officers]]", script.index("[[officers]]") + 1)
    stanza = stanza.replace("roles = []", 'roles = ["security-officer"]').replace(
        "principals = []", 'principals = ["user/anna"]'
    )
    Path("init.toml").write_text(script[:begin] + stanza + script[end:])
    made = _ran("genesis", "new", "--script", "init.toml", "--enrolment", "anna.enrolment", "--output", BODY, "--json")  # fmt: skip
    warnings = json.loads(made.stdout)["warnings"]
    assert any(one.startswith("ben has not shown") for one in warnings)
    assert not any(one.startswith("anna has not shown") for one in warnings)
    Path("init.toml").write_text(script.replace("Anna Example", "Anna Exemple"))
    other = run("officers", "genesis", "new", "--script", "init.toml", "--enrolment", "anna.enrolment", "--output", "b")  # fmt: skip
    assert other.exit_code == 1
    assert "the script says something else of anna" in other.stderr
    assert not Path("b").exists()


def test_an_enrolment_with_two_keys_and_what_is_refused():
    two = ("--name", "Anna", "--also-key", "ben")
    assert _with("anna", "enrol", "anna", *two, "--output", "two").exit_code == 0
    assert len(verify_enrolment(Path("two").read_bytes()).keys) == 2
    Path("key.pub").write_text(f"{key_of('anna').public.line} anna\n")
    one = ("--name", "Anna", "--recipient-file", "key.pub")
    assert _with("anna", "enrol", "anna", *one).exit_code == 0
    assert verify_enrolment(Path("anna.enrolment").read_bytes()).recipient == key_of("anna").public.line
    assert "two recipients" in _with("anna", "enrol", "zoe", *one, "--recipient", "x").stderr
    for arguments in (("Zoe", "--name", "Zoe"), ("../zoe", "--name", "Zoe"), ("zoe", "--name", "Z\x1b[2J")):
        done = _with("anna", "enrol", *arguments)
        assert done.exit_code == 1
        assert "\x1b" not in done.output
    Path("two").write_bytes(Path("two").read_bytes().replace(b"Anna", b"Eve "))
    assert run("officers", "enrolment", "two").exit_code == 1
    assert not Path("../zoe.enrolment").exists()


def test_the_default_rules_can_be_put_into_a_script():
    printed = _ran("genesis", "rules", "--toml").stdout
    script = example()
    begin, end = script.index("[rules]"), script.index("# Who may call from the beginning")
    parsed = parse_init_script((script[:begin] + printed + script[end:]).encode())
    assert {verb: rule.rule() for verb, rule in parsed.rules.items()} == dict(DEFAULT_RULES)
    assert "AddMember: 2 people who are security-officer, within 1 day" in _ran("genesis", "rules").stdout
    assert json.loads(_ran("genesis", "rules", "--json").stdout)["rules"]["RotatePin"]["m"] == 2
