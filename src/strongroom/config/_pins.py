"""Where PINs and the key that seals them come from: a file of mode 0400, or a credential of systemd. Never the configuration itself."""

import os
import stat
from pathlib import Path
from typing import Final

from strongroom.config._environment import credentials_directory
from strongroom.config._pin_config import PinSource, SecretSource
from strongroom.core import ConfigError, Secret

_LONGEST_PIN_BYTES: Final = 1024
_SEALING_KEY_BYTES: Final = 32


def read_pin(source: PinSource, home: Path) -> Secret:
    """Fetch a PIN that lies in clear. A line feed at the end is not part of it.

    Raises ConfigError when the source is absent, readable by others, empty or over 1,024 bytes, and for a sealed PIN,
    which ``wiring.pin_sealing`` opens.
    """
    if source.sealed is not None:
        raise ConfigError(f"the PIN in {source.sealed} is sealed")
    if source.credential is None and source.file is None:
        raise ConfigError(
            "a member names no PIN",
            next_step='set pin = { sealed = "…" }, { credential = "…" } or { file = "…" }',
        )
    return _fetch(source, home, what="PIN")


def read_sealing_key(source: SecretSource | None, home: Path) -> Secret:
    """Fetch the 32 bytes under which PINs are sealed, which lie as 64 hex digits. Raises ConfigError as ``read_pin``."""
    if source is None or (source.file is None and source.credential is None):
        raise ConfigError(
            "the configuration names no key that PINs are sealed under",
            next_step='set [pins] sealing_key = { credential = "…" } or { file = "…" }',
        )
    text = _fetch(source, home, what="sealing key")
    try:
        key = bytes.fromhex(text.reveal().decode("ascii"))
    except ValueError:
        key = b""
    n_digits = len(text)
    text.zeroize()
    if len(key) != _SEALING_KEY_BYTES or n_digits != 2 * _SEALING_KEY_BYTES:
        raise ConfigError(
            f"the key that PINs are sealed under is {2 * _SEALING_KEY_BYTES} hex digits, and nothing else"
        )
    return Secret(key)


def read_token(source: SecretSource, home: Path) -> Secret:
    """Fetch the token by which a receiver of audit entries knows us. Raises ConfigError as ``read_pin``."""
    return _fetch(source, home, what="token")


def _fetch(source: SecretSource, home: Path, *, what: str) -> Secret:
    if source.credential is not None:
        folder = credentials_directory()
        if folder is None:
            raise ConfigError(
                f"the {what} is the systemd credential {source.credential!r}, but CREDENTIALS_DIRECTORY is not set",
                next_step=f"start by systemd with LoadCredentialEncrypted=, or name a {what} file",
            )
        return _read(folder / source.credential, what, check_mode=False)
    return _read(home / (source.file or ""), what, check_mode=True)


def _read(path: Path, what: str, *, check_mode: bool) -> Secret:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if check_mode and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(f"others may read the {what} file {path}", next_step=f"chmod 0400 {path}")
            raw = file.read(_LONGEST_PIN_BYTES + 2)
    except OSError as error:
        raise ConfigError(
            f"cannot read the {what} file {path}: {error.strerror}",
            next_step=f"put the {what} there, mode 0400, owned by the user that runs strongroom",
        ) from error
    pin = raw.removesuffix(b"\n")
    if not pin or len(pin) > _LONGEST_PIN_BYTES:
        raise ConfigError(f"the {what} in {path} is empty or over {_LONGEST_PIN_BYTES} bytes")
    return Secret(pin)
