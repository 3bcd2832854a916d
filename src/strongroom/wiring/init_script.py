"""The script of ``strongroom init``: one strict TOML file that says what a production home becomes.

It is checked whole before any token is touched: unknown keys are refused, officers and rules must make a genesis that could
be signed, and profiles must be ones whose blank tokens can be initialised. No PIN, passphrase or access key can stand in
it: nothing in ``init_script_form`` has a place for one. So the script may be reviewed, kept and shown.
"""

from pathlib import Path

from strongroom.config import check_duties
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
from strongroom.wiring.home_script import check_home_script, convert_script, once, read_script, read_tables
from strongroom.wiring.init_script_form import InitScript, ScriptMember, ScriptOfficer


def read_init_script(path: Path) -> InitScript:
    """Read and check a script of at most 256 KiB. Raises ConfigError, which names the setting and never its value."""
    return read_script(path, parse_init_script, "strongroom init --example-script prints one to begin with")


def parse_init_script(data: bytes) -> InitScript:
    """Read and check a script. Raises ConfigError."""
    script = convert_script(read_tables(data), InitScript)
    _check(script)
    return script


def _check(script: InitScript) -> None:
    """Refuse a script that cannot be run as a whole. Raises ConfigError."""
    once("access key for", (key.principal for key in script.access_keys))
    check_home_script(script)
    _check_genesis(script)
    _check_deliveries(script)
    callers = [(key.principal, list(key.roles)) for key in script.access_keys]
    officers = [(name, list(one.roles)) for one in script.officers for name in one.principals]
    check_duties([*callers, *officers], Path("the script"))


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
