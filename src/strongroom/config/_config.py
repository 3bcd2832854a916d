"""The configuration file: its form, its defaults, and what is refused."""

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from strongroom.config._audit_config import AuditConfig, check_retention, check_sinks, check_witnesses
from strongroom.config._backup_config import BackupsConfig
from strongroom.config._custodian_config import CustodiansConfig
from strongroom.config._oidc import OidcConfig, check_oidc
from strongroom.config._pin_config import PinsConfig, PinSource, PinUse, check_pins
from strongroom.config._policy import PolicyConfig, check_duties, check_policy
from strongroom.config._quotas import QuotasConfig
from strongroom.core import ConfigError, RoleName

CONFIG_FILE = "strongroom.toml"

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,30}\Z")]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file."""


class MemberConfig(_Section, frozen=True):
    """One HSM of the cluster."""

    name: _Name
    profile: _Name
    """Vendor profile, such as ``softhsm2``."""
    pin: PinSource
    profile_changes: dict[str, str | int | float | bool | list[str]] = {}
    """Single fields of the profile that this member's token has otherwise; see docs/hsm-profiles.md."""
    module: str | None = None
    """Path of the PKCS#11 module; else the profile's."""
    token_serial: str | None = None
    token_label: str | None = None
    """Exactly one of serial and label selects the token; the serial is the safer one."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    """Calls go to the members of the lowest number that can serve; the others stand by. Equal ones share the load."""
    calls_per_s: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 0.0
    """Calls that the member may be given in a second; 0 = as its profile says."""
    environment: dict[str, str] = {}
    """Environment variables of this member's workers; ``{home}`` stands for the home directory."""
    library_parameters: Annotated[str, msgspec.Meta(max_length=1000)] | None = None
    """The string that C_Initialize of NSS wants, ``{home}`` as above; every other module refuses one."""
    hsm_log: Literal["", "none", "syslog", "cloudwatch", "polled", "other"] = ""
    """The operator's word on how the HSM's own log leaves it, which nothing here measures: by syslog, to CloudWatch, read out now and then, otherwise,
    or not at all. With any of the first four the member's workers count what they ask of the HSM, to be compared with its log."""
    hsm_log_silent_s: Annotated[float, msgspec.Meta(ge=60, le=31_536_000)] = 86_400.0
    """For how long the HSM may be used without any record of its log having been taken in; then that is an alarm."""

    @property
    def has_hsm_log(self) -> bool:
        """Whether there is said to be a log of the HSM's own that comes here."""
        return self.hsm_log not in {"", "none"}


class ClusterConfig(_Section, frozen=True):
    """The HSM cluster."""

    members: list[MemberConfig]
    min_copies: Annotated[int, msgspec.Meta(ge=1, le=16)] = 2
    """On how many members a Direct key that may leave its member must be before it is acknowledged."""
    id: Annotated[str, msgspec.Meta(pattern=r"^cluster-[2-7a-zA-Z]{11,16}\Z")] = "cluster-strongroomhsms"
    """By which callers name the cluster when they make a custom key store (``CloudHsmClusterId`` of AWS KMS)."""
    max_direct_keys: Annotated[int, msgspec.Meta(ge=0, le=5_000)] = 1_000
    """How many Direct keys there may be; HSMs have room for a few hundred to many thousands. A worker lists 6,000 pairs
    in one frame (``hsm.wire``) and no more, and a member that cannot be listed does not serve."""


class ClientConfig(_Section, frozen=True):
    """A caller that is known by its TLS client certificate."""

    identity: Annotated[str, msgspec.Meta(pattern=r"^(uri|dns|cn):.{1,250}\Z")]
    """From the certificate: ``uri:…`` or ``dns:…`` of its alternative names, else ``cn:…``."""
    principal: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9/_.@-]{1,128}\Z")]
    roles: list[RoleName]


class ServiceConfig(_Section, frozen=True):
    """The HTTP service."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8443
    account_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}\Z")] = "123456789012"
    tls: bool = True
    """False is accepted on a loopback address only."""
    tls_certificate: str = "tls/server.pem"
    tls_key: str = "tls/server.key"
    """Paths, relative to the home."""
    tls_client_ca: str = ""
    """CA file (path, relative to the home) whose client certificates are accepted; none when empty. Callers may then
    do without a signature, as the principals of ``clients``."""
    clients: list[ClientConfig] = []
    client_region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}\Z")] = "us-east-1"
    """Region in the ARNs of callers without a signature, which would name one."""
    processes: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """API processes on the one port; 0 = one for each core."""


class CacheConfig(_Section, frozen=True):
    """The cache of unwrapped KEKs."""

    ttl_s: _Seconds = 300.0
    """How long an unwrapped KEK serves; 0 switches the cache off."""
    max_keks: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    max_domains: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    outage_grace_s: _Seconds = 0.0
    """How much longer what is cached serves while no member of the cluster answers."""


class DeadlineConfig(_Section, frozen=True):
    """How long to wait for HSMs."""

    attempt_s: Annotated[float, msgspec.Meta(ge=0.01, le=60)] = 1.0
    """For one member; then the call moves on to the next."""
    request_s: Annotated[float, msgspec.Meta(ge=0.1, le=300)] = 10.0
    """For all members together; then the caller gets an error. At least twice ``attempt_s``, so that there is a second attempt."""


class LifecycleConfig(_Section, frozen=True):
    """What takes an approval in the life of keys."""

    recent_use_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = 30
    """A version that was used within so many days is not retired without an approval; 0: every one is."""
    deletion_needs_approval: bool = False
    """Whether a key that was used within them is not scheduled for deletion either. Clients of AWS KMS know no approvals."""


class CustodyConfig(_Section, frozen=True):
    """The officers of the cluster."""

    genesis_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """Hash of the genesis by which the cluster began (``custody/genesis.json`` of the home)."""


class Config(_Section, frozen=True):
    """The whole file."""

    version: Literal[1]
    cluster: ClusterConfig
    service: ServiceConfig = ServiceConfig()
    cache: CacheConfig = CacheConfig()
    deadlines: DeadlineConfig = DeadlineConfig()
    lifecycle: LifecycleConfig = LifecycleConfig()
    policy: PolicyConfig = PolicyConfig()
    pins: PinsConfig = PinsConfig()
    oidc: OidcConfig | None = None
    quotas: QuotasConfig = QuotasConfig()
    backups: BackupsConfig = BackupsConfig()
    custodians: CustodiansConfig = CustodiansConfig()
    audit: AuditConfig = AuditConfig()
    custody: CustodyConfig | None = None
    """None: the home has no officers, as homes for development have none."""


def load_config(home: Path) -> Config:
    """Read and check ``strongroom.toml`` of a home. Raises ConfigError that names the setting."""
    path = home / CONFIG_FILE
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no {path}", next_step="run 'strongroom init --development', or set STRONGROOM_HOME"
        ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    check_config(config, path)
    return config


def check_config(config: Config, path: Path) -> None:
    """Check what the types do not say; ``path`` is what errors name. Raises ConfigError."""
    check_policy(config.policy, path)
    check_sinks(config.audit.sinks, path)
    check_witnesses(config.audit.witnesses, path)
    check_retention(config.audit, path)
    callers = [(client.principal, client.roles) for client in config.service.clients]
    if config.oidc is not None:
        check_oidc(config.oidc, path)
        callers += [(caller.principal, caller.roles) for caller in config.oidc.callers]
    check_duties(callers, path)
    _check_members(config, path)
    check_pins(config.pins, [PinUse(member.name, member.pin) for member in config.cluster.members], path)
    if config.service.clients and (not config.service.tls_client_ca or not config.service.tls):
        raise ConfigError(
            f"{path}: service.clients needs tls and tls_client_ca, which says whose certificates count"
        )
    identities = [client.identity for client in config.service.clients]
    if len(set(identities)) != len(identities):
        raise ConfigError(f"{path}: two of service.clients have the same identity")
    if config.deadlines.attempt_s > config.deadlines.request_s / 2:
        raise ConfigError(
            f"{path}: deadlines.attempt_s = {config.deadlines.attempt_s} leaves no time for a second member within"
            f" request_s = {config.deadlines.request_s}",
            next_step="set attempt_s to at most half of request_s",
        )
    if not config.service.tls and not _is_loopback(config.service.host):
        raise ConfigError(
            f"{path}: tls = false on {config.service.host}, which others can reach",
            next_step="switch TLS on, or listen on 127.0.0.1",
        )


def _check_members(config: Config, path: Path) -> None:
    names = [member.name for member in config.cluster.members]
    if not names:
        raise ConfigError(f"{path}: a cluster has members, this one has none")
    if len(set(names)) != len(names):
        raise ConfigError(f"{path}: two members have the same name")
    for member in config.cluster.members:
        if (member.token_serial is None) == (member.token_label is None):
            raise ConfigError(
                f"{path}: member {member.name} needs exactly one of token_serial and token_label"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def render_config(config: Config) -> str:
    """Write a configuration as TOML; ``load_config`` reads it back as the same object."""
    tables = msgspec.to_builtins(config)
    members = tables["cluster"].pop("members")
    if not tables["cluster"]:
        del tables["cluster"]
    lines = [f"{key} = {toml_value(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())]
    for member in members:
        lines += [
            "",
            "[[cluster.members]]",
            *(f"{key} = {toml_value(value)}" for key, value in member.items()),
        ]
    return "\n".join(lines) + "\n"


def toml_value(value: object) -> str:
    """Write one value as TOML, on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case dict():
            return (
                "{ " + ", ".join(f"{_text(key)} = {toml_value(item)}" for key, item in value.items()) + " }"
            )
        case _:
            return _text(str(value))


def _text(value: str) -> str:
    """A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is and TOML forbids."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
