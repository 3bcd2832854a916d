"""What the environment says: home, port, where SoftHSM lies, where sockets may live."""

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from strongroom.core import ConfigError

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "VIRTUAL_ENV")
"""What a worker inherits: nothing that could hold a credential."""
_OPENSSL = ("OPENSSL_CONF", "OPENSSL_MODULES")


def home_from_environment() -> Path:
    """Return STRONGROOM_HOME, else ``~/.local/share/strongroom``."""
    named = os.environ.get("STRONGROOM_HOME")
    return Path(named).absolute() if named else Path.home() / ".local" / "share" / "strongroom"


def default_port() -> int:
    """Return STRONGROOM_PORT, else 8443. Raises ConfigError when it is no port number."""
    text = os.environ.get("STRONGROOM_PORT") or "8443"
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"STRONGROOM_PORT is {text!r}", next_step="set it to a number from 1 to 65535")
    return int(text)


def port_override() -> int | None:
    """Return STRONGROOM_PORT if it is set: it wins over the configuration. Raises ConfigError."""
    return default_port() if os.environ.get("STRONGROOM_PORT") else None


def softhsm_module() -> str | None:
    """Return STRONGROOM_SOFTHSM_MODULE: where SoftHSM lies when it is not installed system-wide."""
    return os.environ.get("STRONGROOM_SOFTHSM_MODULE") or None


def runtime_base() -> Path:
    """Return the folder under which the socket folder is made: RUNTIME_DIRECTORY of systemd, XDG_RUNTIME_DIR, else the temporary folder.

    A folder that another user owns or may write to is passed over: who owns it could put a socket in our place.
    """
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        named = os.environ.get(name)
        if named and _is_our_own(Path(named)):
            return Path(named)
    return Path(tempfile.gettempdir())


def _is_our_own(folder: Path) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return False
    is_private = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and is_private and os.access(folder, os.W_OK)


def credentials_directory() -> Path | None:
    """Return where systemd put the credentials of the unit (CREDENTIALS_DIRECTORY), if it did."""
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(named) if named else None


def software_module_environment() -> dict[str, str]:
    """Return OPENSSL_CONF and OPENSSL_MODULES where they are set: how an operator has an OpenSSL FIPS provider loaded.

    For API processes, whose OpenSSL is that of the cryptography library. Member workers do without: their modules have their own.
    """
    return {name: value for name in _OPENSSL if (value := os.environ.get(name))}


def worker_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process: a short list of harmless variables, and ``extra``."""
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith("STRONGROOM_")
    }
    return {**passed_on, **extra}
