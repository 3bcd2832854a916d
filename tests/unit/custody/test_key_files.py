"""Private keys of officers: under a passphrase, and the same file for us and for ssh-keygen."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_custody import UNHURRIED
from strongroom.core import Secret
from strongroom.custody import KeyKind, OfficerKey, OfficerKeyError, OfficerPrivateKey, verify_signature
from strongroom.custody._ssh_wire import wire_string

PASSPHRASE = Secret.from_text("correct horse battery")
KINDS = [KeyKind.ED25519, KeyKind.P256]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_comes_back_with_its_passphrase_alone(kind):
    key = OfficerPrivateKey.generate(kind)
    data = key.file_bytes(PASSPHRASE, rounds=1)
    opened = OfficerPrivateKey.from_file_bytes(data, PASSPHRASE)
    assert opened.public == key.public
    assert verify_signature(opened.sign(b"m", "x"), b"m", "x") == key.public
    with pytest.raises(OfficerKeyError, match="passphrase is wrong"):
        OfficerPrivateKey.from_file_bytes(data, Secret.from_text("correct horse batterY"))


def test_a_short_passphrase_is_refused():
    with pytest.raises(OfficerKeyError, match="fewer than 12"):
        OfficerPrivateKey.generate().file_bytes(Secret(b"11 bytes ok"), rounds=1)


def test_keys_on_security_keys_are_not_made_here():
    with pytest.raises(OfficerKeyError, match="security keys"):
        OfficerPrivateKey.generate(KeyKind.SK_ED25519)


def test_a_private_key_does_not_show_itself():
    key = OfficerPrivateKey.generate()
    assert repr(key) == f"OfficerPrivateKey({key.public.fingerprint})"


def _file(*fields):
    text = base64.encodebytes(b"openssh-key-v1\0" + b"".join(map(wire_string, fields)))
    return b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + text + b"-----END OPENSSH PRIVATE KEY-----\n"


def test_a_file_that_would_take_for_ever_is_refused():
    options = wire_string(bytes(16)) + (2**31).to_bytes(4, "big")
    with pytest.raises(OfficerKeyError, match="no private key"):
        OfficerPrivateKey.from_file_bytes(_file(b"aes256-ctr", b"bcrypt", options), PASSPHRASE)


@settings(UNHURRIED, max_examples=30)
@given(st.binary(max_size=100), st.binary(max_size=30))
def test_hostile_files_are_refused(data, options):
    for file in (data, _file(data), _file(b"aes256-ctr", b"bcrypt", options, data)):
        with pytest.raises(OfficerKeyError):
            OfficerPrivateKey.from_file_bytes(file, PASSPHRASE)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_file_of_ssh_keygen_opens(ssh_keygen, tmp_path, kind):
    path = tmp_path / "key"
    ssh_keygen("-q", "-t", kind, "-N", PASSPHRASE.reveal().decode(), "-f", path)
    key = OfficerPrivateKey.from_file_bytes(path.read_bytes(), PASSPHRASE)
    assert key.public == OfficerKey.from_line((tmp_path / "key.pub").read_text())
    ssh_keygen("-p", "-f", path, "-P", PASSPHRASE.reveal().decode(), "-N", "")
    with pytest.raises(OfficerKeyError, match="under no passphrase"):
        OfficerPrivateKey.from_file_bytes(path.read_bytes(), PASSPHRASE)


@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-cbc", "aes256-gcm@openssh.com"])
def test_the_wrong_passphrase_of_a_file_under_any_cipher_is_refused_in_words(ssh_keygen, tmp_path, cipher):
    path = tmp_path / "key"
    passphrase = PASSPHRASE.reveal().decode()
    ssh_keygen("-q", "-t", "ed25519", "-Z", cipher, "-a", "1", "-N", passphrase, "-f", path)
    OfficerPrivateKey.from_file_bytes(path.read_bytes(), PASSPHRASE)
    with pytest.raises(OfficerKeyError, match="passphrase is wrong"):
        OfficerPrivateKey.from_file_bytes(path.read_bytes(), Secret.from_text("correct horse batterY"))


@pytest.mark.parametrize("arguments", [("rsa", "-b", "1024"), ("ecdsa", "-b", "384")])
def test_other_kinds_are_refused(ssh_keygen, tmp_path, arguments):
    path = tmp_path / "key"
    ssh_keygen("-q", "-t", *arguments, "-N", PASSPHRASE.reveal().decode(), "-f", path)
    with pytest.raises(OfficerKeyError, match="Ed25519 or P-256"):
        OfficerPrivateKey.from_file_bytes(path.read_bytes(), PASSPHRASE)
    with pytest.raises(OfficerKeyError, match="Ed25519 or P-256"):
        OfficerKey.from_line((tmp_path / "key.pub").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_opens_a_file_of_ours(ssh_keygen, tmp_path, kind):
    key = OfficerPrivateKey.generate(kind)
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(key.file_bytes(PASSPHRASE, rounds=1))
    shown = ssh_keygen("-y", "-P", PASSPHRASE.reveal().decode(), "-f", path).stdout
    assert OfficerKey.from_line(shown.decode()) == key.public
    wrong = ssh_keygen("-y", "-P", "wrong", "-f", path, check=False)
    assert wrong.returncode != 0
