"""Where the service is and who we are to it: from the environment where it says so, else from the home."""

import ipaddress
import re
import stat
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from strongroom.config import (
    ClientEnvironment,
    Config,
    Home,
    client_environment,
    load_config,
    port_override,
)
from strongroom.core import ConfigError, Secret

CA_FILE = "ca.pem"
_MAX_ACCESS_KEY_FILE_BYTES = 4096
_SCHEMES = MappingProxyType({"https": 443, "http": 80})
_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class Endpoint(NamedTuple):
    """The address of a service."""

    scheme: str
    host: str
    """Name or address, without the brackets of IPv6."""
    port: int
    ca_file: Path | None
    """PEM file of the CAs to trust; None for those of the system."""

    @property
    def authority(self) -> str:
        """Host and port as the Host header shows them; the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _SCHEMES[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without a path."""
        return f"{self.scheme}://{self.authority}"


class AccessKey(NamedTuple):
    """An access key: its id and its secret."""

    access_key_id: str
    secret: Secret


class Service(NamedTuple):
    """A service and our place in it."""

    endpoint: Endpoint
    access_key: AccessKey
    region: str


class _AccessKeyFile(msgspec.Struct, frozen=True):
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"_AccessKeyFile({self.access_key_id})"


def find_service(home: Home) -> Service:
    """Return the service that the environment (AWS_ENDPOINT_URL and its kin) names, else that of the home.

    Raises ConfigError when what they say cannot be used, or neither names a service and an access key.
    """
    environment = client_environment()
    if environment.endpoint_url is None:
        if not home.config_file.is_file():
            raise ConfigError(
                f"no key service is named: AWS_ENDPOINT_URL is not set, and {home.root} is no Strongroom home",
                next_step="set the variables that 'strongroom env' prints, or STRONGROOM_HOME",
            )
        endpoint = home_endpoint(home, load_config(home.root))
        if environment.ca_bundle is not None and endpoint.ca_file is None:
            endpoint = endpoint._replace(ca_file=environment.ca_bundle)
    else:
        endpoint = _named_endpoint(environment, home)
    return Service(endpoint, _access_key(environment, home), _region(environment))


def needs_home() -> bool:
    """Whether the environment leaves something for the home to say."""
    environment = client_environment()
    return environment.endpoint_url is None or environment.access_key_id is None


def home_service(home: Home) -> Service:
    """Return the service of a development home, whatever the environment says. Raises as ``find_service``."""
    endpoint = home_endpoint(home, load_config(home.root))
    return Service(endpoint, development_access_key(home), _region(client_environment()))


def home_endpoint(home: Home, config: Config) -> Endpoint:
    """Return where the service of a home listens; STRONGROOM_PORT wins over the configuration."""
    port = port_override() or config.service.port
    host = config.service.host
    ca_file = home.tls / CA_FILE
    if not config.service.tls:
        return Endpoint("http", "::1" if host == "::1" else "127.0.0.1", port, None)
    return Endpoint(
        "https", "localhost" if _is_here(host) else host, port, ca_file if ca_file.is_file() else None
    )


def parse_endpoint(url: str, ca_file: Path | None) -> Endpoint:
    """Read AWS_ENDPOINT_URL. Raises ConfigError for anything but http(s)://HOST[:PORT], and for http to elsewhere."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_url("it is no URL") from error
    if parts.scheme not in _SCHEMES or not host or not host.isprintable() or not host.isascii() or port == 0:
        raise _bad_url("it is not http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise _bad_url("it may hold scheme, host and port only")
    if any(char.isspace() for char in host):
        raise _bad_url("its host holds a blank")
    if parts.scheme == "http" and not _is_loopback(host):
        raise _bad_url("without TLS it must be on this machine")
    return Endpoint(parts.scheme, host, port or _SCHEMES[parts.scheme], ca_file)


def development_access_key(home: Home) -> AccessKey:
    """Read the access key that ``init --development`` made. Raises ConfigError with what to do."""
    path = home.development_access_key
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            raw = file.read(_MAX_ACCESS_KEY_FILE_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{home.root} has no development access key",
            next_step="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to an access key of this service",
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", next_step="run as its owner") from error
    if mode & 0o077:
        raise ConfigError(f"others may read {path}", next_step=f"chmod 0400 {path}")
    try:
        found = msgspec.json.decode(raw, type=_AccessKeyFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Without its cause: a message about the content might quote it.
        raise ConfigError(
            f"{path} does not hold an access key", next_step="restore it from a backup"
        ) from None
    return AccessKey(found.access_key_id, Secret.from_text(found.secret_access_key))


def _named_endpoint(environment: ClientEnvironment, home: Home) -> Endpoint:
    ca_file = environment.ca_bundle
    if ca_file is None and (home.tls / CA_FILE).is_file():
        ca_file = home.tls / CA_FILE
    return parse_endpoint(environment.endpoint_url or "", ca_file)


def _access_key(environment: ClientEnvironment, home: Home) -> AccessKey:
    if environment.access_key_id is None or environment.secret_access_key is None:
        return development_access_key(home)
    if not _ACCESS_KEY_ID.fullmatch(environment.access_key_id):
        raise ConfigError("AWS_ACCESS_KEY_ID is no access key id", next_step="set it with: strongroom env")
    return AccessKey(environment.access_key_id, environment.secret_access_key)


def _region(environment: ClientEnvironment) -> str:
    if not _REGION.fullmatch(environment.region):
        raise ConfigError("AWS_DEFAULT_REGION is no region", next_step="set it with: strongroom env")
    return environment.region


def _bad_url(why: str) -> ConfigError:
    return ConfigError(
        f"AWS_ENDPOINT_URL cannot be used: {why}", next_step="unset it, or set it with: strongroom env"
    )


def _is_here(host: str) -> bool:
    """Whether a listening address is reached as localhost."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
