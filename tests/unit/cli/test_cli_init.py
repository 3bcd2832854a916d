"""``strongroom init`` before any token is touched: what it refuses, the steps that it announces, the questions that it asks."""

import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest

from cli_support import run
from fakes_custody import key_of
from scripted_homes import prepared
from strongroom.wiring.init_script import read_init_script


@pytest.fixture
def ready(tmp_path):
    return prepared(tmp_path / "ready")


def at(ready, *arguments):
    return run("init", *arguments, STRONGROOM_HOME=str(ready.home.root))


def test_a_dry_run_says_every_step_and_makes_nothing(ready):
    shown = at(ready, "--script", ready.script, "--genesis", ready.genesis, "--dry-run")
    assert shown.exit_code == 0, shown.output
    for words in (
        "member beta: initialise the first blank token, under the label 'strongroom-beta'",
        "encrypt the PIN of its security officer to anna, ben",
        "pin the genesis in the token of each member",
        "Nothing was done.",
    ):
        assert words in shown.output
    assert not ready.home.root.exists()
    steps = json.loads(at(ready, "--script", ready.script, "--dry-run", "--json").output)["steps"]
    assert len(steps) == 16


@pytest.mark.parametrize(
    "arguments",
    [(), ("--script", "FILE"), ("--genesis", "FILE"), ("--dry-run",), ("--development", "--script", "FILE")],
)
def test_options_that_do_not_go_together_are_refused(ready, arguments):
    named = [ready.script if one == "FILE" else one for one in arguments]
    assert at(ready, *named).exit_code == 2
    assert not ready.home.root.exists()


def test_a_genesis_that_is_not_the_scripts_or_lacks_a_signature_is_refused(ready):
    as_signed = ready.script.read_text()
    ready.script.write_text(as_signed.replace("DestroyHsmKey = { m = 2", "DestroyHsmKey = { m = 1"))
    refused = at(ready, "--script", ready.script, "--genesis", ready.genesis)
    assert (refused.exit_code, "DestroyHsmKey" in refused.output) == (1, True)
    ready.script.write_text(as_signed)
    document = json.loads(ready.genesis.read_bytes())
    document["signatures"].pop()
    ready.genesis.write_bytes(
        json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    )
    refused = at(ready, "--script", ready.script, "--genesis", ready.genesis)
    assert (refused.exit_code, "2 security officers" in refused.output) == (1, True)
    assert not ready.home.root.exists(), "nothing was begun"


def test_a_folder_that_holds_other_things_is_left_alone(ready):
    ready.home.root.mkdir()
    (ready.home.root / "letters").touch()
    refused = at(ready, "--script", ready.script, "--genesis", ready.genesis)
    assert (refused.exit_code, "holds other things" in refused.output) == (1, True)
    assert [path.name for path in ready.home.root.iterdir()] == ["letters"]


def answered(folder, answers, limit_s=90):
    """Run ``strongroom init`` at a terminal of its own and answer what it asks, in order."""
    ours, theirs = pty.openpty()
    environment = {**{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}}
    process = subprocess.Popen(
        [sys.executable, "-m", "strongroom", "init"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
        env={**environment, "STRONGROOM_HOME": str(folder / "home")}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    said, left, deadline = "", list(answers), time.monotonic() + limit_s
    try:
        while time.monotonic() < deadline:
            if left and left[0][0] in said.rpartition("\n")[2]:
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
            if not select.select([ours], [], [], 0.05)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                said += os.read(ours, 65_536).decode()
            except OSError:  # the other side is closed
                break
        return process.wait(limit_s), said, left
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_questions_at_a_terminal_make_a_script(tmp_path):
    answers = [("Name of the cluster", "Acme")]
    for name, more in (("alpha", ""), ("beta", "")):
        answers += [
            ("Name of the member", name),
            ("Profile", ""),
            ("Path of its PKCS#11", ""),
            ("Another member", more),
        ]
    for name, more in (("anna", ""), ("ben", ""), ("cleo", ""), ("dora", "")):
        answers += [
            ("Id, such", name), ("Full name", name.title()), ("Roles", ""), ("Public key", key_of(name).public.line),
            ("Recipient", ""), ("As whom", f"user/{name}"), ("Another officer", more),
        ]  # fmt: skip
    answers += [
        ("How many security", ""),
        ("How many crypto", ""),
        ("Only FIPS", ""),
        ("Address", ""),
        ("Port", "9443"),
    ]
    answers += [
        ("Make a TLS", ""),
        ("Host names", ""),
        ("An access key", "y"),
        ("Roles", ""),
        ("Principal", ""),
    ]
    answers += [("An access key", "n"), ("Write the script", "made.toml"), ("Is there a genesis", "n")]
    status, said, left = answered(tmp_path, answers)
    assert (status, left) == (0, []), said
    assert "strongroom officers genesis new --script made.toml" in said
    made = read_init_script(tmp_path / "made.toml")
    assert [member.name for member in made.members] == ["alpha", "beta"]
    assert [officer.id for officer in made.officers] == ["anna", "ben", "cleo", "dora"]
    assert (made.service.port, made.access_keys[0].principal, made.rules["AddOfficer"].m) == (
        9443,
        "user/app",
        2,
    )
    assert not (tmp_path / "home").exists()
