"""The witnesses of ``[[audit.witnesses]]``, made of the configuration; and how each stands, in a file beside what it confirmed."""

from pathlib import Path

import msgspec

from strongroom.audit import LogKey, MalformedNoteError, WitnessedFiles, read_log_key
from strongroom.config import AuditWitnessConfig, Home
from strongroom.core import ConfigError
from strongroom.shipping import TlsFiles
from strongroom.wiring.durable_files import write_durably

_MAX_BYTES = 4096


class WitnessStanding(msgspec.Struct, frozen=True):
    """How the last attempt went."""

    failing_since: float | None = None
    """Seconds since the Unix epoch; None when it succeeded."""
    cause: str = ""
    disagrees: bool = False
    """Whether the witness confirmed another past of this log."""


def witness_keys(config: AuditWitnessConfig) -> tuple[LogKey, ...]:
    """Return the public keys of a witness. Raises ConfigError."""
    try:
        keys = tuple(read_log_key(text.strip()) for text in config.keys)
    except MalformedNoteError as error:
        raise ConfigError(
            f"audit witness {config.name}: what is named is no public key: {error.message}"
        ) from error
    if not all(key.kind.is_cosigner for key in keys):
        raise ConfigError(
            f"audit witness {config.name}: what is named is the key of a log",
            next_step="name the witness's keys, which 'strongroom audit witness show' prints",
        )
    return keys


def witness_files(config: AuditWitnessConfig, home: Home) -> TlsFiles:
    """Return the TLS files of a witness."""

    def path(name: str) -> Path | None:
        return home.root / name if name else None

    return TlsFiles(path(config.ca_file), path(config.certificate), path(config.key))


def write_standing(audit: Path, name: str, standing: WitnessStanding) -> None:
    """Note how a witness stands. Raises OSError."""
    path = _standing_path(audit, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, msgspec.json.encode(standing), mode=0o600)


def read_standing(audit: Path, name: str) -> WitnessStanding:
    """Read it; where there is none, or what is no such file, nothing is known of an attempt. Raises OSError."""
    try:
        with _standing_path(audit, name).open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=WitnessStanding)
    except FileNotFoundError:
        return WitnessStanding()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return WitnessStanding(cause="what main noted of it cannot be read")


def _standing_path(audit: Path, name: str) -> Path:
    return WitnessedFiles(audit, name).folder / "standing"
