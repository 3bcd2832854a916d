"""Remembers across restarts which PIN a token refused, so that the same PIN is not tried again by itself.

HSMs lock or erase themselves after a few wrong tries, and a service manager restarts a service without looking.
So a refusal leaves a marker in the home, ``pin-refused/<member>`` (mode 0600), one line of ASCII::

    strongroom-refused-pin-v1 <salt, 32 hex digits> <hash, 64 hex digits>

The hash is scrypt (RFC 7914, N = 2^15, r = 8, p = 1) over the PIN and what selects the token, so the marker does
not tell the PIN, and guessing it costs 32 MiB and some 0.1 s a try; the PIN file beside it needs no guessing.
"""

import hashlib
import hmac
import re
from pathlib import Path
from typing import NamedTuple, Self

from strongroom.config import Home, MemberConfig
from strongroom.core import PinRefusedError, Secret, encode_fields, random_bytes
from strongroom.wiring.durable_files import write_durably

_SALT_BYTES = 16
_HASH_BYTES = 32
_COST, _BLOCK_SIZE, _PARALLEL = 1 << 15, 8, 1
_MEMORY_BYTES = 64 << 20
_MAX_BYTES = 256
_FORM = re.compile(rb"strongroom-refused-pin-v1 ([0-9a-f]{32}) ([0-9a-f]{64})\n")


class SaltedPin(NamedTuple):
    """What is kept of a PIN."""

    salt: bytes
    """16 bytes."""
    hashed: bytes
    """32 bytes."""

    @classmethod
    def of(cls, pin: Secret, *, token_serial: str | None, token_label: str | None) -> Self:
        """Hash a PIN, with a salt of its own. Slow: some 0.1 s."""
        salt = random_bytes(_SALT_BYTES)
        return cls(salt, _hash(pin, salt, token_serial=token_serial, token_label=token_label))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what ``to_text`` wrote. Raises ValueError on anything else."""
        salt, _, hashed = text.partition(":")
        return cls(bytes.fromhex(salt), bytes.fromhex(hashed))

    def to_text(self) -> str:
        """Return both as hex digits, with a colon between."""
        return f"{self.salt.hex()}:{self.hashed.hex()}"

    def is_of(self, pin: Secret, *, token_serial: str | None, token_label: str | None) -> bool:
        """Whether this was made of that PIN and token. As slow."""
        tried = _hash(pin, self.salt, token_serial=token_serial, token_label=token_label)
        return hmac.compare_digest(tried, self.hashed)


def refuse_known_pin(home: Home, member: MemberConfig, pin: Secret, *, marker: str = "") -> None:
    """Raise PinRefusedError when the member's token has refused this very PIN before; forget another one.

    A marker that cannot be read or understood counts as one of this PIN. ``marker`` is its name where it is not the member's.
    """
    path = home.pin_refused / (marker or member.name)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _known(path, member, f" ({error.strerror})") from error
    parsed = _FORM.fullmatch(content)
    if parsed is None:
        raise _known(path, member, " (which is damaged)")
    refused = SaltedPin(*(bytes.fromhex(part.decode()) for part in parsed.groups()))
    if refused.is_of(pin, token_serial=member.token_serial, token_label=member.token_label):
        raise _known(path, member, "")
    path.unlink(missing_ok=True)


def remember_refused_pin(home: Home, member: MemberConfig, pin: Secret) -> None:
    """Leave the marker, durable before this returns. Raises OSError when the disk refuses."""
    salted = SaltedPin.of(pin, token_serial=member.token_serial, token_label=member.token_label)
    leave_marker(home.pin_refused / member.name, salted)


def leave_marker(path: Path, pin: SaltedPin) -> None:
    """Do what ``remember_refused_pin`` does, for a worker, which made the slow hash before it sent the PIN.

    A worker leaves it itself, so that nothing that happens to it afterwards lets the PIN be tried again.
    """
    write_private_line(path, f"strongroom-refused-pin-v1 {pin.salt.hex()} {pin.hashed.hex()}\n")


def write_private_line(path: Path, line: str) -> None:
    """Put a line of ASCII durably in the place of a file of mode 0600, whole or not at all. Raises OSError."""
    write_durably(path, line.encode(), mode=0o600)


def _known(path: Path, member: MemberConfig, why: str) -> PinRefusedError:
    return PinRefusedError(
        f"the token of member {member.name} refused this PIN before, says {path}{why}: it was not tried again",
        next_step=f"put the right PIN in place; if it is right by now, for the token was unlocked or its PIN was set"
        f" to this one, remove {path}",
    )


def _hash(pin: Secret, salt: bytes, *, token_serial: str | None, token_label: str | None) -> bytes:
    is_serial = token_serial is not None
    selector = (token_serial if is_serial else token_label) or ""
    kind = b"serial" if is_serial else b"label"
    tried = encode_fields("strongroom refused pin v1", [pin.reveal(), kind, selector.encode()])
    return hashlib.scrypt(
        tried, salt=salt, n=_COST, r=_BLOCK_SIZE, p=_PARALLEL, maxmem=_MEMORY_BYTES, dklen=_HASH_BYTES
    )
