"""The key under which values of encryption contexts are hashed in the audit log, and what says of them what the configuration wants."""

from typing import Final

from strongroom.config import AuditConfig, Home
from strongroom.core import ConfigError, Secret, random_bytes
from strongroom.service import CONTEXT_KEY_BYTES as _KEY_BYTES
from strongroom.service import ContextValues
from strongroom.wiring.durable_files import write_new_durably

CONTEXT_KEY_FILE: Final = "audit-context.key"


def make_context_key(config: AuditConfig, home: Home) -> None:
    """Make the key where it is needed and not there: once, by main, before others read it. Raises ConfigError."""
    path = home.root / CONTEXT_KEY_FILE
    if config.context_values != "hashed" or path.exists():
        return
    try:
        write_new_durably(path, random_bytes(_KEY_BYTES), mode=0o400)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}") from error


def open_context_values(config: AuditConfig, home: Home) -> ContextValues | None:
    """Return what tells of values; None where nothing is told of any. Raises ConfigError."""
    if config.context_values == "hashed":
        return ContextValues(_read_key(home), clear=config.context_clear)
    if config.context_values == "clear":
        return ContextValues(None, is_all_clear=True)
    return ContextValues(None, clear=config.context_clear) if config.context_clear else None


def _read_key(home: Home) -> Secret:
    path = home.root / CONTEXT_KEY_FILE
    try:
        with path.open("rb") as file:
            key = file.read(_KEY_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            f"{path} does not hold {_KEY_BYTES} bytes",
            next_step="remove it: a new one is made, and its hashes are not those of the old one",
        )
    return Secret(key)
