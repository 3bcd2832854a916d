"""``--key``: a file, a key of a real ssh-agent, a key on a card (SoftHSM). What they make is one and the same kind of signature."""

import json
import socket
import threading
from pathlib import Path

import pytest

from cli_support import run
from fakes_custody import ask, begun, key_of
from officer_tools import officer_card, running_agent
from strongroom.custody import (
    NAMESPACE_APPROVAL,
    KeyKind,
    OfficerKey,
    dearmour,
    key_of_signature,
    verify_signature,
    write_document,
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with running_agent(tmp_path_factory.mktemp("agent")) as running:
        yield running


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    with officer_card(tmp_path_factory.mktemp("card")) as made:
        yield made


@pytest.fixture(autouse=True)
def _desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("request.json").write_bytes(
        write_document(ask(begun().state, "DestroyRoot", {"root_id": "ab" * 16}))
    )


def _sign(key, *options, **environment):
    return run(
        "approvals",
        "sign",
        "request.json",
        "--yes",
        "--json",
        "--key",
        key,
        *options,
        **({"SSH_AUTH_SOCK": ""} | environment),
    )


def _signed_by():
    return verify_signature(
        dearmour(Path("request.json.sig").read_bytes()),
        Path("request.json").read_bytes(),
        NAMESPACE_APPROVAL,
    )


def _pin_file(pin):
    path = Path("pin")
    path.touch(mode=0o600)
    path.write_bytes(pin + b"\n")
    return path


def test_a_key_of_the_agent_signs(agent):
    named = f"agent:{agent.key.fingerprint}"
    done = _sign(named, SSH_AUTH_SOCK=str(agent.socket))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fingerprint"] == agent.key.fingerprint
    assert _signed_by() == agent.key
    Path("request.json.sig").unlink()
    assert _sign(named, "--agent-socket", agent.socket).exit_code == 0
    assert _signed_by() == agent.key


def test_a_key_that_the_agent_has_not_is_named_with_those_that_it_has(agent):
    done = _sign(f"agent:{key_of('anna').public.fingerprint}", "--agent-socket", agent.socket)
    assert done.exit_code == 1
    assert f"{agent.key.fingerprint} (anna ed25519)" in done.stderr
    assert "rsa" not in done.stderr
    assert not Path("request.json.sig").exists()


def test_no_agent_and_one_that_does_not_listen_are_told_apart():
    assert "no SSH agent is known" in _sign("agent:SHA256:x").stderr
    missing = _sign("agent:SHA256:x", "--agent-socket", "nowhere")
    assert missing.exit_code == 1
    assert "cannot be reached" in missing.stderr


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x09\x0c", b"\x00\x00\x00\x01\x05"]
)
def test_an_agent_that_says_something_else_is_refused(answer):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("hostile")
        listening.listen()

        def reply():
            connection, _ = listening.accept()
            with connection:
                connection.recv(5)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        done = _sign("agent:SHA256:x", "--agent-socket", "hostile")
        thread.join(60)
    assert done.exit_code == 1
    assert "SSH agent" in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("object=each-time;id=%03", KeyKind.P256),
        pytest.param("object=sign", KeyKind.P256, marks=pytest.mark.slow),
        pytest.param("id=%02", KeyKind.ED25519, marks=pytest.mark.slow),
    ],
)
def test_a_key_on_a_card_signs(card, key, kind):
    done = _sign(card.uri(key), "--pin-file", _pin_file(card.pin), SOFTHSM2_CONF=str(card.env.conf))
    assert done.exit_code == 0, done.output
    assert _signed_by().kind is kind
    assert card.pin.decode() not in done.output


def test_a_wrong_pin_is_sent_once_and_makes_no_signature(card):
    done = _sign(
        card.uri("object=sign"), "--pin-file", _pin_file(b"0000-wrong"), SOFTHSM2_CONF=str(card.env.conf)
    )
    assert done.exit_code == 1
    assert "CKR_PIN_INCORRECT" in done.stderr
    assert "0000-wrong" not in done.output
    assert not Path("request.json.sig").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda uri: uri.replace("?", ";object=other?"), "no keys on the card"),
        pytest.param(lambda uri: uri.replace("token=token%201", "token=another"), "no cards fit", marks=pytest.mark.slow),
        pytest.param(lambda uri: uri.replace("libsofthsm2", "nothing"), "there is no PKCS#11 module", marks=pytest.mark.slow),
        (lambda uri: uri + "&pin-value=1234", "a PIN has no place in it"),
    ],
)  # fmt: skip
def test_what_names_no_one_key_is_refused_before_any_pin_is_asked_for(card, change, words):
    done = _sign(change(card.uri()), SOFTHSM2_CONF=str(card.env.conf))
    assert done.exit_code == 1
    assert words in done.stderr
    assert "1234" not in done.output


@pytest.mark.parametrize(("program", "words"), [
    ("import os; os.kill(os.getpid(), 11)", "took its process with it (SIGSEGV)"),
    ("print('no json')", "took its process with it (status 0)"),
    ("import time; time.sleep(60)", "hangs"),
])  # fmt: skip
def test_a_library_that_crashes_or_hangs_takes_its_own_process_only(tmp_path, monkeypatch, program, words):
    (tmp_path / "broken_card.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("strongroom.cli._card._PROGRAM", "broken_card")
    monkeypatch.setattr("strongroom.cli._card.CARD_LIMIT_S", 1.5)
    done = _sign("pkcs11:token=x?module-path=/nowhere.so")
    assert done.exit_code == 1
    assert words in done.stderr


@pytest.mark.slow
def test_the_pin_may_come_from_the_file_that_the_uri_names(card):
    _pin_file(card.pin)
    done = _sign(f"{card.uri('id=%01')}&pin-source=file:pin", SOFTHSM2_CONF=str(card.env.conf))
    assert done.exit_code == 0, done.output
    assert key_of_signature(dearmour(Path("request.json.sig").read_bytes())).kind is KeyKind.P256


def test_a_card_without_anybody_to_type_the_pin_is_refused_in_words(card):
    done = _sign(card.uri("id=%01"), SOFTHSM2_CONF=str(card.env.conf))
    assert done.exit_code == 1
    assert "--pin-file" in done.stderr


def test_keys_are_listed_with_what_names_them(agent, card):
    listed = run("officers", "keys", "--agent-socket", agent.socket, "--json")
    assert listed.exit_code == 0, listed.output
    assert [one["key"] for one in json.loads(listed.stdout)["keys"]] == [f"agent:{agent.key.fingerprint}"]
    listed = run("officers", "keys", "--card", card.uri(), "--json", SOFTHSM2_CONF=str(card.env.conf))
    assert listed.exit_code == 0, listed.output
    keys = json.loads(listed.stdout)["keys"]
    assert [(one["name"], OfficerKey.from_line(one["public_key"]).kind) for one in keys] == [
        ("sign", KeyKind.P256), ("edwards", KeyKind.ED25519), ("each-time", KeyKind.P256),
    ]  # fmt: skip
    assert all(one["key"].startswith("pkcs11:serial=") for one in keys)
    assert "ssh-agent" in run("officers", "keys", SSH_AUTH_SOCK="").stderr
