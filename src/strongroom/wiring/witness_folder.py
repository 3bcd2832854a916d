"""The folder of a stand-alone witness: its configuration, its key, and what it remembers."""

import os
import stat
from pathlib import Path
from typing import Final

from strongroom.audit import (
    SEED_BYTES,
    LogKey,
    MalformedNoteError,
    WatchedLogs,
    WitnessSigner,
    WitnessStore,
    read_log_key,
)
from strongroom.config import WITNESS_CONFIG_FILE, WitnessConfig
from strongroom.core import ConfigError, random_bytes
from strongroom.wiring.durable_files import write_new_durably

KEY_FILE: Final = "witness.key"
_EXAMPLE = """\
# A witness of audit logs: docs/audit-witness.md. It reads this file when it starts.
name = "{name}"
listen = "{listen}"
# tls_certificate = "server.pem"
# tls_key = "server.key"
# tls_client_ca = "clients.pem"   # only logs with a certificate of this CA are spoken to

# A table for each log: its origin, and the public key by which its HSM signs ('strongroom audit keys' on its host).
# [[logs]]
# origin = "strongroom/CLUSTER/HOST"
# keys = ["strongroom/CLUSTER/HOST+0123abcd+AbCd..."]
"""


def make_witness(folder: Path, *, name: str, listen: str) -> WitnessSigner:
    """Make a witness that never cosigned anything; the key comes last. Raises ConfigError, MalformedNoteError and OSError."""
    if (folder / KEY_FILE).exists():
        raise ConfigError(
            f"{folder} is the folder of a witness already",
            next_step="see it by 'strongroom audit witness show', or name another folder",
        )
    seed = random_bytes(SEED_BYTES)
    signer = WitnessSigner(name, seed)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "known").exists():
        WitnessStore.make(folder)
    if not (folder / WITNESS_CONFIG_FILE).exists():
        text = _EXAMPLE.format(name=name, listen=listen)
        write_new_durably(folder / WITNESS_CONFIG_FILE, text.encode(), mode=0o600)
    write_new_durably(folder / KEY_FILE, seed, mode=0o600)
    return signer


def read_signer(folder: Path, name: str) -> WitnessSigner:
    """Read the key of a witness, which nobody but its owner may be able to read. Raises ConfigError."""
    path = folder / KEY_FILE
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, "rb") as file:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            seed = file.read(SEED_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigError(f"others may read {path}", next_step=f"chmod 600 {path}")
    try:
        return WitnessSigner(name, seed)
    except MalformedNoteError as error:
        raise ConfigError(f"{path}: {error.message}") from error


def watched_logs(config: WitnessConfig) -> WatchedLogs:
    """Return the keys of the logs that are watched. Raises ConfigError."""
    return {log.origin: tuple(_key(text, log.origin) for text in log.keys) for log in config.logs}


def _key(text: str, origin: str) -> LogKey:
    try:
        key = read_log_key(text.strip())
    except MalformedNoteError as error:
        raise ConfigError(f"log {origin}: what is named is no public key: {error.message}") from error
    if key.kind.is_cosigner:
        raise ConfigError(
            f"log {origin}: {key.name}+{key.key_id.hex()} is a key of a cosigner",
            next_step="name the key of the log itself: of Strongroom's two that which its HSM signs by, the first line of"
            " 'strongroom audit keys'; the other one is in a file on the host",
        )
    return key
