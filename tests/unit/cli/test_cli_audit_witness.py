"""Witnesses on the command line: made and shown; what they confirmed is proved, verified, and named where it is of another past."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli_support import run
from strongroom.audit import (
    CheckpointFiles,
    GrowthProof,
    Note,
    TreeLog,
    TreeLookup,
    WitnessedFiles,
    WitnessedWriter,
    WitnessSigner,
    WitnessStore,
    read_checkpoint,
)
from strongroom.audit._witness import Witness
from strongroom.wiring.audit_witnesses import WitnessStanding, write_standing
from unit.audit.signed_logs import COSIGNER_KEY, KEY, ORIGIN, make_signed_log, sign, write_entries
from unit.audit.witness_logs import StandingClock

CHECKER = Path(__file__).parents[3] / "tools" / "check_audit_proof.py"
W1, W2 = WitnessSigner("witness.example/w1", b"\1" * 64), WitnessSigner("witness.example/w2", b"\2" * 64)


def confirm(directory, name: str, signer: WitnessSigner, *sizes: int, at: int = 1_700_000_000) -> None:
    """Have a witness confirm checkpoints of a log, as main keeps that."""
    writer = WitnessedWriter(directory, name)
    for kept in CheckpointFiles(directory).read():
        if kept.checkpoint.size in sizes:
            writer.confirm(kept.note, signer.cosign(kept.checkpoint, at), signer.keys)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    directory = tmp_path_factory.mktemp("log") / "audit"
    make_signed_log(directory)
    confirm(directory, "w1", W1, 5, 9, 310)
    confirm(directory, "w2", W2, 9)
    return directory


@pytest.fixture
def log(home, template):
    """The audit directory of a home, with checkpoints of 5, 9 and 310 entries; two witnesses confirmed some of them."""
    shutil.copytree(template, home.audit, dirs_exist_ok=True)
    return home.audit


def keys_of(*signers):
    return [argument for signer in signers for key in signer.keys for argument in ("--witness", key.text())]


def check(*arguments):
    return subprocess.run(
        [sys.executable, "-I", str(CHECKER), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_witness_is_made_once_and_shown(tmp_path):
    folder = tmp_path / "w"
    made = json.loads(
        run("audit", "witness", "init", "--folder", folder, "--name", "w.example/1", "--json").stdout
    )
    assert (folder / "witness.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    shown = json.loads(run("audit", "witness", "show", "--folder", folder, "--json").stdout)
    assert shown == {"name": "w.example/1", "keys": made["keys"], "logs": []}
    again = run("audit", "witness", "init", "--folder", folder, "--name", "w.example/2")
    assert again.exit_code == 1
    assert "already" in again.stderr
    (folder / "witness.key").chmod(0o640)
    assert "chmod 600" in run("audit", "witness", "show", "--folder", folder).stderr


@pytest.mark.parametrize("name", ["two words", "a+b", ""])
def test_a_name_that_no_key_may_have_makes_no_witness(tmp_path, name):
    result = run("audit", "witness", "init", "--folder", tmp_path / "w", "--name", name)
    assert result.exit_code == 1
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen = 5", "listen"),
        ('name = "w"\nlisten = "8450"', "no address"),
        ('name = "w"\nother = 1', "other"),
        ('name = "w"\ntls_key = "a"', "go together"),
        ('name = "w"\n[[logs]]\norigin = "o"\nkeys = ["x"]', "no public key"),
        (f'name = "w"\n[[logs]]\norigin = "o"\nkeys = ["{COSIGNER_KEY.text()}"]', "key of a cosigner"),
        ('name = "w"\n[[logs]]\norigin = "o"\nkeys = []', "keys"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused_before_it_serves(tmp_path, text, words):
    run("audit", "witness", "init", "--folder", tmp_path, "--name", "w")
    (tmp_path / "witness.toml").write_text(text)
    result = run("audit", "witness", "serve", "--folder", tmp_path)
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_witness_without_its_memory_does_not_serve(tmp_path):
    run("audit", "witness", "init", "--folder", tmp_path, "--name", "w")
    (tmp_path / "known").unlink()
    result = run("audit", "witness", "serve", "--folder", tmp_path)
    assert result.exit_code == 1
    assert "known" in result.stderr


def test_a_witness_shows_what_it_cosigned_last(log, tmp_path):
    folder = tmp_path / "w"
    run("audit", "witness", "init", "--folder", folder, "--name", "w.example/1")
    store = WitnessStore(folder)
    note = CheckpointFiles(log).last().note
    witness = Witness({ORIGIN: (KEY,)}, W1, store, clock=StandingClock())
    witness.add_checkpoint(GrowthProof(0, (), note).encode())
    store.close()
    (only,) = json.loads(run("audit", "witness", "show", "--folder", folder, "--json").stdout)["logs"]
    assert (only["origin"], only["size"], only["watched"]) == (ORIGIN, 310, False)
    shown = run("audit", "witness", "show", "--folder", folder, "--origin", ORIGIN).stdout
    assert shown.startswith(note.text)
    assert "— witness.example/w1 " in shown
    assert run("audit", "witness", "show", "--folder", folder, "--origin", "x").exit_code == 1


def test_status_tells_how_far_each_witness_is(log, home):
    text = "".join(
        f'[[audit.witnesses]]\nname = "{name}"\nurl = "https://{name}.example"\nkeys = ["{signer.keys[0].text()}"]\n'
        for name, signer in (("w1", W1), ("w2", W2), ("w3", W2))
    )
    home.config_file.write_text(f"{home.config_file.read_text()}\n{text}")
    write_standing(log, "w2", WitnessStanding(failing_since=1.0, cause="HTTP 404"))
    shown = json.loads(run("audit", "witness", "status", "--json").stdout)
    states = {
        one["name"]: (one["state"], one["confirmed"], one["behind_entries"]) for one in shown["witnesses"]
    }
    assert states == {"w1": ("caught up", 310, 0), "w2": ("failing", 9, 301), "w3": ("new", 0, 310)}
    write_standing(log, "w2", WitnessStanding(failing_since=1.0, cause="another past", disagrees=True))
    assert "DISAGREES" in run("audit", "witness", "status").stdout


def test_status_without_witnesses_says_how_to_name_one(home):
    assert "[[audit.witnesses]]" in run("audit", "witness", "status").stdout


def test_verify_says_how_far_which_witnesses_confirmed_the_log(log):
    result = run("audit", "verify", *keys_of(W1, W2))
    assert result.exit_code == 0
    assert "witness.example/w1: 3 checkpoints, the newest of 310 entries" in result.stdout
    assert "witness.example/w2: 1 checkpoints, the newest of 9 entries" in result.stdout
    assert "Confirmed by 2 of 2 witnesses: the first 9 of 310 entries" in result.stdout
    assert "covers the last 301 entries" in result.stdout
    assert "covers the last" not in run("audit", "verify", *keys_of(W1)).stdout
    shown = json.loads(run("audit", "verify", "--json", *keys_of(W1, W2), "--witnesses", "1").stdout)
    assert (shown["sound"], shown["unconfirmed"]) == (True, None)
    assert [one["size"] for one in shown["tree"]["confirmed"]] == [310, 9]


def test_verify_requires_so_many_witnesses(log):
    other = WitnessSigner("witness.example/w3", b"\3" * 64)
    assert run("audit", "verify", *keys_of(W1, other), "--witnesses", "1").exit_code == 0
    result = run("audit", "verify", "--json", *keys_of(W1, other))
    assert result.exit_code == 1
    assert "nothing of witness.example/w3" in json.loads(result.stdout)["unconfirmed"]
    same_name = WitnessSigner(W1.name, b"\4" * 64)
    assert run("audit", "verify", *keys_of(same_name)).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--witnesses", "1"],
        ["--witness", "x+y+z"],
        ["--witness", KEY.text()],
        [*keys_of(W1), "--witnesses", "2"],
    ],
)
def test_what_is_no_witness_is_refused(log, arguments):
    assert run("audit", "verify", *arguments).exit_code == 1


def test_the_software_key_of_the_host_is_no_witness(log):
    result = run("audit", "verify", "--witness", COSIGNER_KEY.text())
    assert result.exit_code == 1
    assert "no witness" in result.stderr


def test_a_cosignature_that_was_changed_is_named(log):
    path = WitnessedFiles(log, "w1").path(1)
    note = next(iter(WitnessedFiles(log, "w1").read())).note
    bad = Note(note.text, tuple(one._replace(data=bytes(len(one.data))) for one in note.signatures))
    path.write_bytes(path.read_bytes().replace(note.encode(), bad.encode()))
    result = run("audit", "verify", *keys_of(W1))
    assert result.exit_code == 1
    assert "the witnessed checkpoint of 5 entries (w1, file 00000001, byte 0) is bad" in result.stderr
    assert run("audit", "verify").exit_code == 0


def test_a_proof_carries_what_witnesses_confirmed_and_the_checker_counts_them(log, tmp_path):
    lines = [*(key.text() for key in (*W1.keys, *W2.keys)), *run("audit", "keys").stdout.splitlines()]
    (tmp_path / "keys").write_text("\n".join(lines))
    for arguments, n_witnesses in (([], 1), (["--witnesses", "2"], 2), (["--size", "5"], 1)):
        (tmp_path / "proof").write_text(run("audit", "prove", "main/1", *arguments).stdout)
        checked = check(f"--witnesses={n_witnesses}", tmp_path / "keys", tmp_path / "proof")
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "confirmed by witness.example/w1" in checked.stdout
        more = check(f"--witnesses={n_witnesses + 1}", tmp_path / "keys", tmp_path / "proof")
        assert more.returncode == 1
        assert f"{n_witnesses} witnesses confirmed" in more.stderr
    assert run("audit", "prove", "main/1", "--witnesses", "3").exit_code == 1
    (tmp_path / "keys").write_text("\n".join(key.text() for key in W1.keys))
    assert "of the log" in check(tmp_path / "keys", tmp_path / "proof").stderr


def test_the_checker_refuses_a_cosignature_in_which_a_byte_was_changed(log, tmp_path):
    (tmp_path / "keys").write_text("\n".join([W1.keys[0].text(), KEY.text()]))
    proof = run("audit", "prove", "main/1").stdout
    line = next(one for one in proof.splitlines() if one.startswith("— witness.example/w1 "))
    for place in (40, 100):
        changed = line[:place] + ("A" if line[place] != "A" else "B") + line[place + 1 :]
        (tmp_path / "proof").write_text(proof.replace(line, changed))
        assert check(tmp_path / "keys", tmp_path / "proof").returncode == 1


# Who has the host and can sign inside the HSMs.


class _Remote:
    """A witness on another machine, and what it lets out."""

    def __init__(self, folder):
        WitnessStore.make(folder)
        self.store = WitnessStore(folder)
        self.witness = Witness({ORIGIN: (KEY,)}, W1, self.store, clock=StandingClock())

    def ask(self, directory, old_size: int) -> None:
        """Ask to cosign the newest checkpoint, as main does; keep the cosignature beside the log."""
        kept = CheckpointFiles(directory).last()
        path = TreeLookup(directory).path_between(old_size, kept.checkpoint)
        cosigned = self.witness.add_checkpoint(GrowthProof(old_size, path, kept.note).encode())
        WitnessedWriter(directory, "w1").confirm(kept.note, cosigned.signatures, W1.keys)


@pytest.fixture
def remote(tmp_path):
    remote = _Remote(tmp_path / "remote")
    yield remote
    remote.store.close()


def _add(directory, count: int, **fields) -> None:
    write_entries(directory, "main", count, **fields)
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    sign(log)
    log.close()


@pytest.mark.parametrize(
    ("rounds", "kept"),
    [((9,), "kept"), ((9, 7), "removed"), ((4,), "removed"), ((4, 20), "kept"), ((4, 20), "removed")],
    ids=["same", "more", "shorter", "longer", "longer-removed"],
)
def test_a_history_that_the_real_keys_wrote_anew_is_refused_by_the_witness_and_named_by_verify(
    home, remote, tmp_path, rounds, kept
):
    _add(home.audit, 9)
    remote.ask(home.audit, 0)
    (tmp_path / "keys").write_text(KEY.text())
    witnessed = shutil.copytree(WitnessedFiles(home.audit, "w1").folder, tmp_path / "witnessed")
    shutil.rmtree(home.audit)
    for count in rounds:
        _add(home.audit, count, request_id="another past")
    arguments = ["audit", "verify", "--key", tmp_path / "keys"]
    assert run(*arguments).exit_code == 0  # the log alone is sound: the real keys signed it
    size = CheckpointFiles(home.audit).last().checkpoint.size
    for old_size in {0, min(9, size), size}:
        with pytest.raises(Exception, match="cosigned") as caught:
            remote.ask(home.audit, old_size)
        assert int(caught.value.refusal) in {409, 422}
    if kept == "kept":
        shutil.copytree(witnessed, WitnessedFiles(home.audit, "w1").folder)
        assert run(*arguments, *keys_of(W1)).exit_code == 1
    else:
        assert "not confirmed" in run(*arguments, *keys_of(W1)).stderr
    head = tmp_path / "head"
    head.write_bytes(remote.store.note(ORIGIN).encode())
    result = run(*arguments, *keys_of(W1), "--witnessed", head)
    assert result.exit_code == 1
    words = "the tree has 4" if size < 9 else "another past than these files tell"
    assert "the witnessed checkpoint of 9 entries" in result.stderr
    assert words in result.stderr


def test_cutting_back_to_the_last_witnessed_checkpoint_is_what_nothing_can_show(home, remote, tmp_path):
    _add(home.audit, 9)
    remote.ask(home.audit, 0)
    sound = shutil.copytree(home.audit, tmp_path / "of-before")
    _add(home.audit, 5)  # what happened in the seconds until the next request to the witness
    shutil.rmtree(home.audit)
    shutil.copytree(sound, home.audit)
    head = tmp_path / "head"
    head.write_bytes(remote.store.note(ORIGIN).encode())
    assert run("audit", "verify", *keys_of(W1), "--witnessed", head).exit_code == 0
    _add(home.audit, 3, request_id="another future")
    remote.ask(home.audit, 9)


def test_a_checkpoint_that_no_witness_cosigned_or_of_another_log_is_refused(log, tmp_path):
    plain, other = tmp_path / "plain", tmp_path / "other"
    plain.write_bytes(CheckpointFiles(log).last().note.encode())
    assert run("audit", "verify", *keys_of(W1), "--witnessed", plain).exit_code == 1
    checkpoint = read_checkpoint(CheckpointFiles(log).last().note.text)._replace(origin="another/log")
    other.write_bytes(Note(checkpoint.text(), W1.cosign(checkpoint, 1)).encode())
    result = run("audit", "verify", *keys_of(W1), "--witnessed", other)
    assert result.exit_code == 1
    assert "is of another log" in result.stderr
