"""The script of ``strongroom init``: one strict TOML file that says what a production home becomes.

It is checked whole before any token is touched: unknown keys are refused, officers and rules must make a genesis that could
be signed, and profiles must be ones whose blank tokens can be initialised. No PIN, passphrase or access key can stand in
it: nothing in ``init_script_form`` has a place for one. So the script may be reviewed, kept and shown.
"""

import ipaddress
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from strongroom.config import ClusterConfig, Config, MemberConfig, PinSource, check_config, check_duties
from strongroom.core import ConfigError
from strongroom.custody import (
    CustodyError,
    GenesisBody,
    OfficerKey,
    Person,
    Role,
    check_genesis_body,
    write_document,
)
from strongroom.hsm.token import load_profile
from strongroom.wiring.init_script_form import InitScript, ScriptMember, ScriptOfficer

MAX_SCRIPT_BYTES: Final = 256 * 1024

_SECRET_NAME: Final = re.compile(
    r"(?:\A|_)(?:PIN|PWD|PASS|PASSWORD|PASSPHRASE|SECRET|TOKEN)(?:_|\Z)", re.IGNORECASE
)
_SOFTHSM_CONF: Final = "SOFTHSM2_CONF"


def read_init_script(path: Path) -> InitScript:
    """Read and check a script of at most 256 KiB. Raises ConfigError, which names the setting and never its value."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"cannot read the script {path}: {error.strerror}",
            next_step="strongroom init --example-script prints one to begin with",
        ) from error
    try:
        return parse_init_script(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", next_step=error.next_step) from error


def parse_init_script(data: bytes) -> InitScript:
    """Read and check a script. Raises ConfigError."""
    if len(data) > MAX_SCRIPT_BYTES:
        raise ConfigError(f"the script is longer than {MAX_SCRIPT_BYTES} bytes")
    try:
        raw = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError("the script is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the script is not TOML: {_place(error)}") from error
    except RecursionError:
        raise ConfigError("the script is nested too deeply") from None
    try:
        script = msgspec.convert(raw, InitScript, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the script: {error}") from error
    _check(script)
    return script


def _check(script: InitScript) -> None:
    """Refuse a script that cannot be run as a whole. Raises ConfigError."""
    _once("member", (member.name for member in script.members))
    _once("token label", (member.label for member in script.members))
    _once("access key for", (key.principal for key in script.access_keys))
    for member in script.members:
        check_member(member, is_alone=len(script.members) == 1)
    _check_genesis(script)
    _check_deliveries(script)
    _check_sealing_key(script)
    _check_tls(script)
    _check_rest(script)


def genesis_body_of(script: InitScript, *, cluster: str, created: int) -> GenesisBody:
    """Return the body of the genesis that the script describes: what its security officers are to sign.

    ``cluster``: 16 random bytes in hex; ``created``: seconds since the Unix epoch. Raises ConfigError.
    """
    try:
        return GenesisBody(
            type="strongroom-genesis-v1",
            cluster=cluster,
            name=script.cluster.name,
            created=created,
            people=tuple(_person(officer) for officer in script.officers),
            rules={verb: rule.rule() for verb, rule in script.rules.items()},
        )
    except CustodyError as error:
        raise ConfigError(f"officers: {error.message}", next_step=error.next_step) from error


def require_same_custody(script: InitScript, body: GenesisBody) -> None:
    """Check that a genesis is the one that the script describes: same name, people and rules. Raises ConfigError."""
    described = genesis_body_of(script, cluster=body.cluster, created=body.created)
    if write_document(described) == write_document(body):
        return
    if described.name != body.name:
        raise ConfigError(f"the genesis is of {body.name!r}, the script of {described.name!r}")
    theirs = {person.id: person for person in body.people}
    ours = {person.id: person for person in described.people}
    differing = sorted(id_ for id_ in theirs.keys() | ours.keys() if theirs.get(id_) != ours.get(id_))
    if differing:
        raise ConfigError(
            f"the officers of script and genesis are not the same: {', '.join(differing[:5])}",
            next_step="the script that the genesis was made from is the one to run; or make and sign a new genesis",
        )
    verbs = sorted(
        verb
        for verb in body.rules.keys() | described.rules.keys()
        if body.rules.get(verb) != described.rules.get(verb)
    )
    if verbs:
        raise ConfigError(f"the rules of script and genesis are not the same: {', '.join(verbs[:5])}")
    raise ConfigError("the people stand in another order in script and genesis")


def receivers_of(script: InitScript, member: ScriptMember) -> tuple[ScriptOfficer, ...]:
    """Return the officers who get the PIN of the security officer of a member's token."""
    officers = [one for one in script.officers if Role.SECURITY_OFFICER in one.roles]
    if member.security_officers:
        return tuple(one for one in officers if one.id in member.security_officers)
    return tuple(one for one in officers if one.recipient)


def _person(officer: ScriptOfficer) -> Person:
    return Person(
        id=officer.id,
        name=officer.name,
        roles=tuple(sorted(officer.roles)),
        keys=tuple(OfficerKey.from_line(line).line for line in officer.keys),
        principals=officer.principals,
        recipient=_without_comment(officer.recipient),
    )


def _without_comment(recipient: str) -> str:
    return " ".join(recipient.split()[:2]) if recipient.startswith("ssh-") else recipient


def _once(what: str, names: Iterable[str]) -> None:
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


def _check_genesis(script: InitScript) -> None:
    body = genesis_body_of(script, cluster="00" * 16, created=0)
    try:
        check_genesis_body(body)
    except CustodyError as error:
        raise ConfigError(f"officers and rules: {error.message}", next_step=error.next_step) from error


def _check_deliveries(script: InitScript) -> None:
    officers = {officer.id: officer for officer in script.officers}
    for member in script.members:
        for name in member.security_officers:
            officer = officers.get(name)
            if officer is None or Role.SECURITY_OFFICER not in officer.roles:
                raise ConfigError(f"member {member.name}: {name} is no security officer of the script")
        if not all(one.recipient for one in receivers_of(script, member)) or not receivers_of(script, member):
            raise ConfigError(
                f"member {member.name}: the PIN of its security officer can be delivered to nobody",
                next_step="give its security officers a recipient: an age1… or ssh-ed25519 public key",
            )
    for key in script.access_keys:
        for name in key.deliver_to:
            if name not in officers or not officers[name].recipient:
                raise ConfigError(f"access key of {key.principal}: {name} is no officer with a recipient")


def _check_sealing_key(script: InitScript) -> None:
    key = script.pins.sealing_key
    if (key.file is None) == (key.credential is None):
        raise ConfigError("pins.sealing_key needs exactly one of file and credential")


def _check_tls(script: InitScript) -> None:
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


def _check_rest(script: InitScript) -> None:
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
    callers = [(key.principal, list(key.roles)) for key in script.access_keys]
    officers = [(name, list(one.roles)) for one in script.officers for name in one.principals]
    check_duties([*callers, *officers], Path("the script"))


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Keep the place and leave out what stands there: somebody may have put a secret in the wrong file."""
    found = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
    return f"see {found[1]}" if found else "its syntax is wrong"
