"""``witness.toml``: what a witness is called, where it listens, and which logs it watches."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from strongroom.core import ConfigError

WITNESS_CONFIG_FILE = "witness.toml"
_Path = Annotated[str, msgspec.Meta(max_length=1000)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file."""


class WatchedLogConfig(_Section, frozen=True):
    """A log that is watched."""

    origin: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    """What it calls itself: the first line of its checkpoints."""
    keys: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=4096)]], msgspec.Meta(min_length=1, max_length=8)
    ]
    """Its public keys, as ``strongroom audit keys`` shows them; one of them must have signed."""


class WitnessConfig(_Section, frozen=True):
    """The whole file."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    """In the lines of its cosignatures; usually a host and a path without a scheme. Never to be changed."""
    listen: Annotated[str, msgspec.Meta(max_length=300)] = "127.0.0.1:8450"
    """Address and port; port 0 takes a free one."""
    tls_certificate: _Path = ""
    tls_key: _Path = ""
    """Files, relative to the folder; plain HTTP when both are empty."""
    tls_client_ca: _Path = ""
    """Only who shows a certificate of this CA is spoken to; anybody when empty."""
    max_connections: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 256
    logs: Annotated[list[WatchedLogConfig], msgspec.Meta(max_length=1000)] = []

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises ConfigError."""
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65_535:
            raise ConfigError(f"listen = {self.listen!r} is no address with a port, such as 127.0.0.1:8450")
        return host.removeprefix("[").removesuffix("]"), int(port)


def load_witness_config(folder: Path) -> WitnessConfig:
    """Read and check ``witness.toml`` of a folder. Raises ConfigError."""
    path = folder / WITNESS_CONFIG_FILE
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
        config = msgspec.convert(raw, WitnessConfig)
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no {path}", next_step="make a witness: strongroom audit witness init --folder FOLDER"
        ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"cannot use {path}: {error}") from error
    config.address  # noqa: B018  # it is checked
    if bool(config.tls_certificate) != bool(config.tls_key):
        raise ConfigError(f"{path}: tls_certificate and tls_key go together")
    if config.tls_client_ca and not config.tls_certificate:
        raise ConfigError(f"{path}: tls_client_ca needs tls_certificate and tls_key")
    origins = [log.origin for log in config.logs]
    if len(set(origins)) != len(origins):
        raise ConfigError(f"{path}: two of the logs have the same origin")
    return config
