"""A delivered PIN opens for each of its recipients, by us or by age, and for nobody else."""

import stat

import pyrage
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.core import Secret
from strongroom.wiring.pin_delivery import DeliveryError, deliver, open_delivery, pin_letter
from strongroom.wiring.pin_sealing import PinBinding

PIN = Secret(b"Zu9hG3kqPPx2")
BINDING = PinBinding("alpha", "so", "serial", "0123456789abcdef")
LETTER = pin_letter(PIN, BINDING, at=1_790_000_000)


def age_key():
    identity = pyrage.x25519.Identity.generate()
    return f"# created by a test\n{identity}\n".encode(), str(identity.to_public())


def ssh_key(passphrase=None):
    key = Ed25519PrivateKey.generate()
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, how)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public.decode()


@pytest.mark.parametrize("make", [age_key, ssh_key])
def test_each_recipient_opens_it_alone(tmp_path, make):
    keys = [make(), age_key(), ssh_key()]
    deliver(LETTER, [public for _, public in keys], tmp_path / "alpha.age")
    for private, _ in keys:
        letter = open_delivery(tmp_path / "alpha.age", private)
        assert (letter.member, letter.role, letter.token) == ("alpha", "so", "0123456789abcdef")
        assert letter.pin.encode() == PIN.reveal()
        assert letter.made_at == "2026-09-21T14:13:20+00:00"


def test_nobody_else_does(tmp_path):
    deliver(LETTER, [age_key()[1]], tmp_path / "alpha.age")
    for private, _ in (age_key(), ssh_key()):
        with pytest.raises(DeliveryError, match="does not open"):
            open_delivery(tmp_path / "alpha.age", private)


def test_the_file_is_its_owner_s_alone_and_shows_nothing(tmp_path):
    deliver(LETTER, [age_key()[1]], tmp_path / "deliveries" / "alpha.age")
    path = tmp_path / "deliveries" / "alpha.age"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PIN.reveal() not in path.read_bytes()
    assert path.read_bytes().startswith(b"-----BEGIN AGE ENCRYPTED FILE-----")
    assert [one.name for one in path.parent.iterdir()] == ["alpha.age"]


def test_a_delivery_is_not_overwritten(tmp_path):
    private, public = age_key()
    deliver(LETTER, [public], tmp_path / "alpha.age")
    with pytest.raises(DeliveryError, match="already"):
        deliver(LETTER, [age_key()[1]], tmp_path / "alpha.age")
    assert open_delivery(tmp_path / "alpha.age", private).member == "alpha"


@pytest.mark.parametrize(
    "recipients",
    [
        [],
        ["age1" + "q" * 58],
        [""],
        ["ssh-rsa AAAAB3NzaC1yc2E="],
        ["nonsense"],
        [age_key()[1], "nonsense"],
        [age_key()[1]] * 65,
    ],
)
def test_who_is_no_recipient_gets_nothing_and_nothing_is_written(tmp_path, recipients):
    with pytest.raises(DeliveryError):
        deliver(LETTER, recipients, tmp_path / "alpha.age")
    assert not list(tmp_path.iterdir())


def test_a_key_under_a_passphrase_is_for_age_itself(tmp_path):
    private, public = ssh_key(b"a passphrase")
    deliver(LETTER, [public], tmp_path / "alpha.age")
    with pytest.raises(DeliveryError) as error:
        open_delivery(tmp_path / "alpha.age", private)
    assert "age" in (error.value.next_step or "")


@pytest.mark.parametrize(
    "identity", [b"", b"AGE-SECRET-KEY-1DAMAGED", b"\xff\xfe", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"]
)
def test_what_is_no_key_opens_nothing(tmp_path, identity):
    deliver(LETTER, [age_key()[1]], tmp_path / "alpha.age")
    with pytest.raises(DeliveryError):
        open_delivery(tmp_path / "alpha.age", identity)


@pytest.mark.parametrize(
    "content", [b"", b"no delivery", b"-----BEGIN AGE ENCRYPTED FILE-----\n", bytes(300_000)]
)
def test_what_is_no_delivery_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DeliveryError):
        open_delivery(tmp_path / "x", age_key()[0])


def test_what_holds_something_else_than_a_pin_is_refused_unseen(tmp_path):
    private, public = age_key()
    (tmp_path / "x").write_bytes(
        pyrage.encrypt(b'{"pin": "shown?"}', [pyrage.x25519.Recipient.from_str(public)])
    )
    with pytest.raises(DeliveryError) as error:
        open_delivery(tmp_path / "x", private)
    assert "shown?" not in str(error.value)


def test_a_letter_does_not_show_its_pin(tmp_path):
    private, public = age_key()
    deliver(LETTER, [public], tmp_path / "x")
    assert PIN.reveal().decode() not in repr(open_delivery(tmp_path / "x", private))
