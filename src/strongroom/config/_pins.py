"""Where PINs come from: a file of mode 0400, or a credential of systemd. Never the configuration itself."""

import os
import stat
from pathlib import Path

from strongroom.config._config import PinSource
from strongroom.config._environment import credentials_directory
from strongroom.core import ConfigError, Secret

_LONGEST_PIN_BYTES = 1024


def read_pin(source: PinSource, home: Path) -> Secret:
    """Fetch a PIN. A line feed at the end is not part of it.

    Raises ConfigError when the source is absent, readable by others, empty or over 1,024 bytes.
    """
    if source.credential is not None:
        folder = credentials_directory()
        if folder is None:
            raise ConfigError(
                f"the PIN is the systemd credential {source.credential!r}, but CREDENTIALS_DIRECTORY is not set",
                next_step="start by systemd with LoadCredentialEncrypted=, or name a pin file",
            )
        return _read(folder / source.credential, check_mode=False)
    if source.file is None:
        raise ConfigError(
            "a member names no PIN", next_step='set pin = { file = "…" } or { credential = "…" }'
        )
    return _read(home / source.file, check_mode=True)


def _read(path: Path, *, check_mode: bool) -> Secret:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if check_mode and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(f"others may read the PIN file {path}", next_step=f"chmod 0400 {path}")
            raw = file.read(_LONGEST_PIN_BYTES + 2)
    except OSError as error:
        raise ConfigError(
            f"cannot read the PIN file {path}: {error.strerror}",
            next_step="put the PIN there, mode 0400, owned by the user that runs strongroom",
        ) from error
    pin = raw.removesuffix(b"\n")
    if not pin or len(pin) > _LONGEST_PIN_BYTES:
        raise ConfigError(f"the PIN in {path} is empty or over {_LONGEST_PIN_BYTES} bytes")
    return Secret(pin)
