"""``strongroom share``: a custodian opens, checks and proves their share without a home, and no word is shown unasked."""

import base64
import json
import os
import pty
import select
import subprocess
import sys
import time

import pyrage
import pytest
from click.testing import CliRunner

from cli_support import run
from fixtures_softhsm import loaded_softhsm
from officer_tools import OfficerCard
from strongroom.cli import root_command
from strongroom.core import Secret
from strongroom.custody import CardUri
from strongroom.shares import Share, check_possession, possession_public_key
from strongroom.wiring.share_cards import ShareCard
from strongroom.wiring.share_delivery import ShareAddress, deliver_by_age

SET = bytes(range(16))
SHARE = Share(0x2BCD, 2, 3, Secret(bytes(range(100, 132))))
WORDS = " ".join(SHARE.words)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "no-home"))
    return tmp_path


@pytest.fixture
def letter(folder):
    """A share by age, and the key of its custodian."""
    identity = pyrage.x25519.Identity.generate()
    deliver_by_age(
        SHARE, ShareAddress(SET, 5, "carol"), str(identity.to_public()), folder / "share.age", at=1.0
    )
    (folder / "key").write_text(str(identity))
    (folder / "key").chmod(0o600)
    return folder / "share.age"


def _stdin(*arguments, words=WORDS):
    return CliRunner().invoke(root_command, [str(one) for one in arguments], input=words)


def _shows_a_word(text):
    said = {line.strip(".,:;") for line in text.lower().split()}
    return said & {word for word in SHARE.words if len(word) > 6} - {"identifier", "checksum"}


def test_words_from_standard_input_are_checked_and_not_shown():
    done = _stdin("share", "check", "-")
    assert done.exit_code == 0, done.output
    assert "The share is whole: 33 words" in done.stdout
    assert "Share:       2" in done.stdout
    assert "Needed:      3" in done.stdout
    assert not _shows_a_word(done.output)
    document = json.loads(_stdin("share", "check", "-", "--json", "--set", SET.hex()).stdout)
    assert (document["share"], document["threshold"], document["set"]) == (2, 3, SET.hex())
    assert document["possession_key"] == possession_public_key(SHARE, SET).hex()


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda words: words[1:], "33 words"),
        (lambda words: [*words[:6], "zzqq", *words[7:]], "word 7 is not in the list"),
        (
            lambda words: [*words[:6], "zero" if words[6] != "zero" else "year", *words[7:]],
            "word 7 is probably",
        ),
    ],
)
def test_a_wrong_copy_is_told_by_places_alone(change, said, is_json):
    words = list(SHARE.words)
    done = _stdin("share", "check", "-", *(["--json"] if is_json else []), words=" ".join(change(words)))
    assert done.exit_code == 1
    assert said in done.stderr
    assert not _shows_a_word(done.output)
    assert "zzqq" not in done.output


def test_a_file_of_words_that_others_can_read_is_refused(folder):
    (folder / "words").write_text(WORDS)
    (folder / "words").chmod(0o644)
    assert "others can read" in run("share", "check", "words").stderr
    (folder / "words").chmod(0o600)
    assert run("share", "check", "words").exit_code == 0


def test_a_share_by_age_is_checked_and_its_words_shown_only_by_open(letter):
    done = run("share", "check", letter, "--key", "key")
    assert done.exit_code == 0, done.output
    assert "Share:       2 of 5" in done.stdout
    assert SET.hex() in done.stdout
    assert not _shows_a_word(done.output)
    done = run("share", "open", letter, "--key", "key")
    shown = [part for line in done.stdout.splitlines() if line[:2].strip().isdigit() for part in line.split()]
    assert " ".join(shown[1::2]) == WORDS
    assert shown[0::2] == [str(place) for place in range(1, 34)]
    assert (
        json.loads(run("share", "open", letter, "--key", "key", "--json").stdout)["word_list"]
        == WORDS.split()
    )
    assert "name your private key" in run("share", "check", letter).stderr
    assert "what opens the share" in run("share", "open", letter).stderr
    assert "holds a share of set" in run("share", "check", letter, "--key", "key", "--set", "00" * 16).stderr


def test_a_challenge_is_answered_from_each_source(letter):
    challenge = bytes(range(100, 132))
    for done in (
        run("share", "prove", letter, "--key", "key", "--challenge", challenge.hex()),
        _stdin("share", "prove", "-", "--set", SET.hex(), "--challenge", challenge.hex().upper()),
    ):
        assert done.exit_code == 0, done.output
        proof = base64.b64decode(done.stdout.strip(), validate=True)
        check_possession(possession_public_key(SHARE, SET), SET, challenge, proof)
    done = run("share", "prove", letter, "--key", "key", "--challenge", challenge.hex(), "--json")
    assert base64.b64decode(json.loads(done.stdout)["proof"]) == proof


@pytest.mark.parametrize("challenge", ["", "00" * 15, "00" * 1025, "zz" * 16])
def test_what_is_no_challenge_is_not_answered(letter, challenge):
    done = run("share", "prove", letter, "--key", "key", "--challenge", challenge)
    assert done.exit_code == 1
    assert "a challenge is 32 to 2,048 hex digits" in done.stderr


def test_a_proof_is_of_a_set_that_is_named():
    assert "--set" in _stdin("share", "prove", "-", "--challenge", "00" * 32).stderr


def test_a_share_on_a_card_is_read_with_its_pin(folder, monkeypatch):
    with loaded_softhsm(folder / "softhsm") as tokens:
        token = tokens.new()
        card = OfficerCard(tokens.env, token.label, token.user_pin)
        monkeypatch.setenv("SOFTHSM2_CONF", str(card.env.conf))
        ShareCard(CardUri.from_text(card.uri())).keep(SET, SHARE, Secret(card.pin))
        (folder / "pin").write_bytes(card.pin)
        (folder / "pin").chmod(0o600)
        done = run("share", "check", "--card", card.uri(), "--pin-file", "pin")
        assert done.exit_code == 0, done.output
        assert SET.hex() in done.stdout
        assert not _shows_a_word(done.output)


def test_what_names_no_one_share_is_refused(letter):
    assert "not both" in run("share", "check", letter, "--card", "pkcs11:").stderr
    assert "32 hex digits" in run("share", "check", letter, "--set", "12").stderr
    assert "no terminal" in run("share", "check").stderr


def _read_until(fd, wanted, seen=b"", limit_s=60):
    end = time.monotonic() + limit_s
    while wanted not in seen and time.monotonic() < end:
        if select.select([fd], [], [], 1)[0]:
            seen += os.read(fd, 4096)
    assert wanted in seen, seen
    return seen


@pytest.fixture
def terminal(folder):
    """``share check`` at a terminal: what is typed there, and what it shows until some words stand there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "strongroom", "share", "check"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
    )
    os.close(theirs)
    shown = b""

    def talk(typed, until):
        nonlocal shown
        os.write(ours, "".join(f"{line}\n" for line in typed).encode())
        shown = _read_until(ours, until.encode(), shown)
        return shown.decode()

    try:
        yield talk, process
    finally:
        process.kill()
        process.wait(60)
        os.close(ours)


def test_words_are_typed_at_a_terminal_unseen_and_a_wrong_one_is_told_at_once(terminal):
    talk, process = terminal
    talk([], "Word 1 of 33: ")
    talk([" ".join(SHARE.words[:9]) + " academik"], "Word 10 is not in the list; is it academic")
    shown = talk([" ".join(SHARE.words[:10]), " ".join(SHARE.words[10:])], "Identifier:")
    assert process.wait(60) == 0
    assert "The share is whole" in shown
    assert not _shows_a_word(shown.replace("academic", ""))


def test_only_what_the_checksum_finds_wrong_is_typed_again(terminal):
    talk, process = terminal
    words = list(SHARE.words)
    talk([], "Word 1 of 33: ")
    talk([" ".join([*words[:11], "zero", *words[12:]])], "Word 12 again: ")
    talk(["acid acid", "zeroo", "acid"], "Word 12 again: \r\n  the checksum")
    talk([words[11]], "The share is whole")
    assert process.wait(60) == 0


def test_words_that_changed_places_are_typed_again_and_an_empty_line_gives_up(terminal):
    talk, process = terminal
    words = list(SHARE.words)
    talk([], "Word 1 of 33: ")
    talk([" ".join([*words[:20], words[21], words[20], *words[22:]])], "Words 21 and 22 again: ")
    shown = talk([""], "what to do")
    assert process.wait(60) == 1
    assert "have probably changed places" in shown
