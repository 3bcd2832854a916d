"""PINs at rest: sealed under one key of the home, each bound to its member, role and token.

A sealed PIN is one line of ASCII in a file of mode 0400::

    strongroom-sealed-pin-v1 MEMBER ROLE KIND SELECTOR KEY TIME NONCE CIPHERTEXT

| Field | What it is |
|---|---|
| MEMBER, ROLE | name of the member; ``user`` or ``so`` |
| KIND, SELECTOR | ``serial`` or ``label``, and what it is, as hex digits of its UTF-8: by which the configuration names the token |
| KEY | 16 hex digits that tell sealing keys apart; they tell nothing of the key |
| TIME | when it was sealed, in seconds since 1970 |
| NONCE, CIPHERTEXT | XAES-256-GCM (C2SP) of the PIN: 24 bytes, and the ciphertext with its tag of 16 bytes, as hex digits |

All fields before the nonce are authenticated (AAD), so a sealed PIN opens for its own member, role and token alone.
"""

import hashlib
import re
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from strongroom.config import Home, MemberConfig, PinsConfig, load_config, read_sealing_key
from strongroom.config import read_pin as read_clear_pin
from strongroom.core import ConfigError, Secret, encode_fields, random_bytes
from strongroom.envelope import EnvelopeIntegrityError, Xaes256Gcm
from strongroom.wiring.durable_files import replace_and_overwrite, write_new_durably
from strongroom.wiring.pin_changes import PinRole, read_change, record_name

LONGEST_PIN_BYTES: Final = 255
_MAX_BYTES: Final = 2_048
_KEY_BYTES: Final = 32
_FORM: Final = re.compile(
    rb"strongroom-sealed-pin-v1 ([a-z][a-z0-9-]{0,30}) (user|so) (serial|label) ([0-9a-f]{2,510})"
    rb" ([0-9a-f]{16}) ([0-9]{1,12}) ([0-9a-f]{48}) ([0-9a-f]{34,542})\n"
)


class SealedPinError(ConfigError):
    """A sealed PIN cannot be opened: wrong key, another member's, damaged, or not there."""


class PinBinding(NamedTuple):
    """What a PIN belongs to."""

    member: str
    role: PinRole
    kind: Literal["serial", "label"]
    """By what the configuration names the token."""
    selector: str

    @classmethod
    def of(cls, member: MemberConfig, role: PinRole = "user") -> Self:
        """Of a member as it is configured."""
        if member.token_serial is not None:
            return cls(member.name, role, "serial", member.token_serial)
        return cls(member.name, role, "label", member.token_label or "")


class SealingKey:
    """The key of a home. Keeps an expanded copy of it in the cryptography library."""

    def __init__(self, key: Secret) -> None:
        """Take a copy of 32 bytes. Raises ValueError on another length."""
        self._cipher = Xaes256Gcm(key)
        named = encode_fields("strongroom pin sealing key id v1", [key.reveal()])
        self._key_id = hashlib.sha256(named).digest()[:8]

    @property
    def key_id(self) -> str:
        """16 hex digits of a hash."""
        return self._key_id.hex()

    def seal(self, pin: Secret, binding: PinBinding, *, at: float) -> bytes:
        """Return the line. Raises ValueError on a PIN that is empty or over 255 bytes, or a selector of more than 255."""
        if not 1 <= len(pin) <= LONGEST_PIN_BYTES or not 1 <= len(binding.selector.encode()) <= 255:
            raise ValueError(f"a PIN has 1 to {LONGEST_PIN_BYTES} bytes, and so has what names a token")
        fields = (*_named(binding), self.key_id, str(int(at)))
        sealed = self._cipher.seal(pin.reveal(), _aad(fields))
        line = (
            "strongroom-sealed-pin-v1",
            *fields,
            sealed.nonce.hex(),
            sealed.ciphertext_with_tag.hex(),
        )
        return (" ".join(line) + "\n").encode()

    def open(self, line: bytes, binding: PinBinding) -> Secret:
        """Return the PIN. Raises SealedPinError that says what is wrong: form, key, member, role, token, or damage."""
        found = _FORM.fullmatch(line)
        if found is None:
            raise SealedPinError("this is no sealed PIN, or it is damaged", next_step=_RESTORE)
        fields = tuple(part.decode() for part in found.groups())
        if fields[4] != self.key_id:
            raise SealedPinError(
                f"the PIN is sealed under the key {fields[4]}, and pins.sealing_key is the key {self.key_id}",
                next_step="put the key of this home in place, or seal the PIN anew",
            )
        for name, here, wanted in zip(_NAMES, fields, _named(binding), strict=False):
            if here != wanted:
                raise SealedPinError(
                    f"the sealed PIN is of another {name}, not of the one that is configured for {binding.member}",
                    next_step=_RESTORE,
                )
        nonce, ciphertext = bytes.fromhex(fields[6]), bytes.fromhex(fields[7])
        try:
            return Secret(self._cipher.open(nonce, ciphertext, _aad(fields[:6])))
        except EnvelopeIntegrityError:
            raise SealedPinError(
                f"the sealed PIN of member {binding.member} is damaged", next_step=_RESTORE
            ) from None


_NAMES: Final = ("member", "role", "kind of token name", "token")
_RESTORE: Final = "restore the file from a backup of the home, or seal the PIN anew: strongroom pin seal"


def seal_pin(key: SealingKey, pin: Secret, binding: PinBinding, *, at: float) -> bytes:
    """Seal a PIN; ``write_sealed_pin`` stores what this returns. Raises ValueError as ``SealingKey.seal``."""
    return key.seal(pin, binding, at=at)


def write_sealed_pin(path: Path, line: bytes) -> None:
    """Store a sealed PIN (mode 0400) in the place of an earlier one, which is then overwritten. Raises OSError.

    It is on disk when this returns.
    """
    replace_and_overwrite(path, line, mode=0o400)


def read_sealed_pin(path: Path) -> bytes:
    """Read the line of a sealed PIN, which need not be sound. Raises SealedPinError."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise SealedPinError(
            f"cannot read the sealed PIN {path}: {error.strerror}", next_step=_RESTORE
        ) from error


def sealed_at(line: bytes) -> float | None:
    """When a PIN was sealed, as its line says, which nobody has authenticated; None for what is no sealed PIN."""
    found = _FORM.fullmatch(line)
    return None if found is None else float(found[6])


def sealing_key(pins: PinsConfig, home: Home) -> SealingKey:
    """Fetch the key that PINs are sealed under. Raises ConfigError when it is not there or has the wrong form."""
    secret = read_sealing_key(pins.sealing_key, home.root)
    try:
        return SealingKey(secret)
    finally:
        secret.zeroize()


def make_sealing_key(path: Path) -> SealingKey:
    """Make a new key, store it (mode 0400), and return it. Raises FileExistsError and OSError.

    A file beside the sealed PINs keeps them from whoever gets only one of the two, such as part of a backup. A
    credential of systemd that is bound to a TPM (systemd-creds(1)) keeps them from whoever has the disk.
    """
    secret = Secret(random_bytes(_KEY_BYTES))
    try:
        write_new_durably(path, secret.reveal().hex().encode() + b"\n", mode=0o400)
        return SealingKey(secret)
    finally:
        secret.zeroize()


def read_pin(member: MemberConfig, home: Home, pins: PinsConfig | None = None) -> Secret:
    """Fetch the user PIN of a member, from wherever it lies.

    ``pins`` is ``[pins]`` of the configuration; None: it is read from the home's, where it is needed. Raises ConfigError,
    also while a change of the PIN is under way, so that nobody knows whether this is still the token's.
    """
    change = read_change(home.pin_changes / record_name(member.name, "user"))
    if change is not None and change.is_open:
        raise ConfigError(
            f"a change of the PIN of member {member.name} was interrupted: which one its token has is to be found out first",
            next_step="start the service, which finishes it; see: strongroom pin status",
        )
    if member.pin.sealed is None:
        return read_clear_pin(member.pin, home.root)
    line = read_sealed_pin(home.root / member.pin.sealed)
    key = sealing_key(load_config(home.root).pins if pins is None else pins, home)
    return key.open(line, PinBinding.of(member))


def _named(binding: PinBinding) -> tuple[str, str, str, str]:
    return (binding.member, binding.role, binding.kind, binding.selector.encode().hex())


def _aad(fields: tuple[str, ...]) -> bytes:
    return encode_fields("strongroom sealed pin v1", [field.encode() for field in fields])
