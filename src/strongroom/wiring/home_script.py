"""What scripts of ``init`` and of ``backup restore`` have in common: how they are read, and what is checked of both."""

import ipaddress
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from strongroom.config import ClusterConfig, Config, MemberConfig, PinSource, check_config
from strongroom.core import ConfigError
from strongroom.hsm.token import load_profile
from strongroom.wiring.init_script_form import HomeScript, ScriptMember

ScriptT = TypeVar("ScriptT", bound=HomeScript)

MAX_SCRIPT_BYTES: Final = 256 * 1024

_SECRET_NAME: Final = re.compile(
    r"(?:\A|_)(?:PIN|PWD|PASS|PASSWORD|PASSPHRASE|SECRET|TOKEN)(?:_|\Z)", re.IGNORECASE
)
_SOFTHSM_CONF: Final = "SOFTHSM2_CONF"


def read_script(path: Path, parse: Callable[[bytes], ScriptT], example: str) -> ScriptT:
    """Read a script of at most 256 KiB. ``example``: where to find one. Raises ConfigError, which names no value."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the script {path}: {error.strerror}", next_step=example) from error
    try:
        return parse(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", next_step=error.next_step) from error


def read_tables(data: bytes) -> dict[str, Any]:
    """Return the tables of a script. Raises ConfigError."""
    if len(data) > MAX_SCRIPT_BYTES:
        raise ConfigError(f"the script is longer than {MAX_SCRIPT_BYTES} bytes")
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError("the script is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the script is not TOML: {_place(error)}") from error
    except RecursionError:
        raise ConfigError("the script is nested too deeply") from None


def convert_script(tables: dict[str, Any], kind: type[ScriptT]) -> ScriptT:
    """Return the script that the tables are; unknown keys are refused. Raises ConfigError."""
    try:
        return msgspec.convert(tables, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the script: {error}") from error


def check_home_script(script: HomeScript) -> None:
    """Refuse what makes no home: members, PINs, TLS and the sections of strongroom.toml. Raises ConfigError."""
    once("member", (member.name for member in script.members))
    once("token label", (member.label for member in script.members))
    for member in script.members:
        check_member(member, is_alone=len(script.members) == 1)
    _check_sealing_key(script)
    _check_tls(script)
    _check_configuration(script)


def once(what: str, names: Iterable[str]) -> None:
    """Refuse a name that stands twice. Raises ConfigError."""
    twice = [name for name, n_times in Counter(names).items() if n_times > 1]
    if twice:
        raise ConfigError(f"{what} {twice[0]} stands twice")


def check_member(member: ScriptMember, *, is_alone: bool) -> None:
    """Refuse a member whose token cannot be initialised here, or cannot be one of several. Raises ConfigError."""
    profile = load_profile(member.profile, member.profile_changes)
    where = f"member {member.name}"
    if profile.pin_form != "password":
        raise ConfigError(
            f"{where}: tokens of profile {member.profile} cannot be initialised here: their users are made with the vendor's tools"
        )
    if profile.replication != "trusted-wrapping" and not is_alone:
        raise ConfigError(
            f"{where}: roots do not travel from or to tokens of profile {member.profile}, so it can only be a member alone"
        )
    secret = [name for name in member.environment if _SECRET_NAME.search(name)]
    if secret:
        raise ConfigError(
            f"{where}: the environment variable {secret[0]} looks like a secret, and none may stand in the script"
        )
    if profile.store_protection == "softhsm" and _SOFTHSM_CONF in member.environment:
        raise ConfigError(f"{where}: {_SOFTHSM_CONF} is made by init; leave it out")


def _check_sealing_key(script: HomeScript) -> None:
    key = script.pins.sealing_key
    if (key.file is None) == (key.credential is None):
        raise ConfigError("pins.sealing_key needs exactly one of file and credential")


def _check_tls(script: HomeScript) -> None:
    service = script.service
    if not service.tls:
        if script.tls is not None:
            raise ConfigError("there is a table tls, and service.tls is false")
        return
    if script.tls is None:
        for name in ("tls_certificate", "tls_key"):
            if not str(getattr(service, name)).startswith("/"):
                raise ConfigError(
                    f"service.{name} must be the absolute path of your certificate or key",
                    next_step="or have a certificate authority made: [tls] make_for = ['localhost']",
                )
        return
    for host in script.tls.make_for:
        if ":" in host:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise ConfigError("tls.make_for holds something that is no host name or address") from None


def _check_configuration(script: HomeScript) -> None:
    """Have the other sections checked as they are in strongroom.toml."""
    members = [
        MemberConfig(
            name=member.name, profile=member.profile, pin=PinSource(file="-"), token_label=member.label
        )
        for member in script.members
    ]
    config = Config(
        version=1,
        cluster=ClusterConfig(members=members),
        service=script.service,
        cache=script.cache,
        deadlines=script.deadlines,
        lifecycle=script.lifecycle,
        oidc=script.oidc,
        quotas=script.quotas,
        policy=script.policy,
    )
    check_config(config, Path("the script"))


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Keep the place and leave out what stands there: somebody may have put a secret in the wrong file."""
    found = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
    return f"see {found[1]}" if found else "its syntax is wrong"
