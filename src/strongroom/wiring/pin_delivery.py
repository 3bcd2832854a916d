"""PINs that do not stay here: encrypted to officers, in the format of age (age-encryption.org/v1).

A delivery is a text file in age's armour. Inside is one JSON document (``PinLetter``), which any of the officers opens
offline with the private half of their recipient, by ``strongroom pin open`` or by age itself::

    age -d -i KEY-FILE alpha.so.….age
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pyrage

from strongroom.core import Secret, StrongroomError
from strongroom.custody import CustodyError, check_recipient
from strongroom.wiring.durable_files import write_new_durably
from strongroom.wiring.pin_sealing import PinBinding

_MOST_RECIPIENTS: Final = 64
_MOST_BYTES: Final = 256 * 1024


class DeliveryError(StrongroomError):
    """A PIN could not be delivered, or a delivery not be opened."""


class PinLetter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a delivery holds."""

    version: Literal[1]
    member: str
    role: Literal["user", "so"]
    token: str
    """Serial number or label, as the configuration names the token."""
    made_at: str
    """ISO 8601, UTC."""
    pin: str

    def __repr__(self) -> str:
        return f"PinLetter({self.member} {self.role})"


def pin_letter(pin: Secret, binding: PinBinding, *, at: float) -> Secret:
    """Return what ``deliver`` encrypts: the PIN, and what it is for. Raises ValueError on a PIN that is no UTF-8."""
    made_at = dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")
    letter = PinLetter(1, binding.member, binding.role, binding.selector, made_at, pin.reveal().decode())
    return Secret(msgspec.json.format(msgspec.json.encode(letter)) + b"\n")


def deliver(secret: Secret, recipients: Sequence[str], path: Path) -> None:
    """Encrypt to all recipients, each of whom can open it alone, and write a new file (mode 0600), durable on return.

    1 to 64 recipients: ``age1…`` or ``ssh-ed25519 …`` without a comment (``custody.check_recipient``). Raises
    DeliveryError for a recipient that is none, and when there is such a file or the disk refuses; nothing is written then.
    """
    if not 1 <= len(recipients) <= _MOST_RECIPIENTS:
        raise DeliveryError(f"a delivery has 1 to {_MOST_RECIPIENTS} recipients, this one {len(recipients)}")
    keys = [_recipient(text) for text in recipients]
    try:
        encrypted: bytes = pyrage.encrypt(secret.reveal(), keys, armored=True)
    except pyrage.EncryptError:
        raise DeliveryError("the delivery could not be encrypted") from None
    try:
        write_new_durably(path, encrypted, mode=0o600)
    except FileExistsError:
        raise DeliveryError(f"there is a delivery at {path} already") from None
    except OSError as error:
        raise DeliveryError(f"cannot write the delivery {path}: {error.strerror}") from error


def open_delivery(path: Path, identity: bytes) -> PinLetter:
    """Open a delivery with an officer's private key. Raises DeliveryError.

    ``identity``: see ``decrypted``.
    """
    try:
        return msgspec.json.decode(decrypted(path, identity).reveal(), type=PinLetter)
    except msgspec.MsgspecError:
        raise DeliveryError(
            f"{path} holds something else than a PIN", next_step="open it with age itself"
        ) from None


def decrypted(path: Path, identity: bytes) -> Secret:
    """Return what ``deliver`` encrypted. Raises DeliveryError.

    ``identity`` is the content of a file that age-keygen made, or of a private key of OpenSSH that has no passphrase.
    """
    try:
        with path.open("rb") as file:
            encrypted = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise DeliveryError(f"cannot read {path}: {error.strerror}") from error
    if len(encrypted) > _MOST_BYTES:
        raise DeliveryError(f"{path} is too long for a delivery")
    try:
        return Secret(pyrage.decrypt(encrypted, _identities(identity)))
    except pyrage.DecryptError:
        raise DeliveryError(
            f"this key does not open {path}, or the file is damaged",
            next_step="take the key whose public half is your recipient",
        ) from None


def _recipient(text: str) -> Any:
    try:
        check_recipient(text)
    except CustodyError as error:
        raise DeliveryError(error.message, next_step=error.next_step) from error
    kind = pyrage.x25519 if text.startswith("age1") else pyrage.ssh
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise DeliveryError("this is no recipient that deliveries can be encrypted to") from None


def _identities(content: bytes) -> list[Any]:
    if b"PRIVATE KEY-----" in content:
        try:
            return [pyrage.ssh.Identity.from_buffer(content)]
        except pyrage.IdentityError:
            raise DeliveryError(
                "this private key of OpenSSH cannot be read; one under a passphrase cannot",
                next_step="open the delivery with age itself, which asks for the passphrase: age -d -i KEY FILE",
            ) from None
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    found = [line for line in lines if line.startswith("AGE-SECRET-KEY-1")]
    if not found:
        raise DeliveryError("this file holds no key of age and none of OpenSSH")
    try:
        return [pyrage.x25519.Identity.from_str(line) for line in found]
    except pyrage.IdentityError:
        raise DeliveryError("the key of age in this file is damaged") from None
