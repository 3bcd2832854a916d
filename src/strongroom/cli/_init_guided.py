"""``strongroom init`` at a terminal: questions, and a script that says the same and can be read, kept and run."""

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import read_bounded, write_new
from strongroom.cli._output import Output, visible
from strongroom.core import ConfigError
from strongroom.custody import Role
from strongroom.hsm.token import known_profiles
from strongroom.service import Role as CallerRole
from strongroom.wiring.init_example import EXAMPLE_SCRIPT
from strongroom.wiring.init_script import parse_init_script
from strongroom.wiring.init_script_form import InitScript
from strongroom.wiring.init_script_text import render_init_script

_MAX_KEY_FILE_BYTES: Final = 4096
_SECURITY, _CRYPTO = Role.SECURITY_OFFICER.value, Role.CRYPTO_OFFICER.value


def ask_for_script(output: Output) -> Path:
    """Ask what the home is to be, and write a script of the answers. Returns its path. Raises CliError, and click's Abort."""
    output.say(
        "Questions, and then a script. Nothing is initialised yet, and no PIN is asked for: PINs are made by init.",
        "",
    )
    raw: dict[str, Any] = {
        "version": 1,
        "cluster": {"name": _ask("Name of the cluster, as officers will read it")},
    }
    raw["members"] = _members(output)
    raw["officers"] = _officers(output)
    raw["rules"] = _rules(output)
    raw["policy"] = {
        "fips": click.confirm("Only FIPS-approved mechanisms and key sizes?", default=False, err=True)
    }
    _service(raw)
    raw["access_keys"] = _access_keys(output)
    text = _checked(raw)
    path = Path(_ask("Write the script to", default="init.toml"))
    write_new(path, text.encode(), mode=0o644)
    return path


def _members(output: Output) -> list[dict[str, Any]]:
    output.say("", "Members: HSMs whose tokens are blank, in the order in which they are taken.")
    names, members = ("alpha", "beta", "gamma", "delta"), list[dict[str, Any]]()
    profile = "softhsm2"
    while True:
        name = _ask(
            "  Name of the member", default=names[len(members)] if len(members) < len(names) else None
        )
        profile = click.prompt(
            "  Profile", type=click.Choice(known_profiles()), default=profile, show_choices=False, err=True
        )
        module = _ask("  Path of its PKCS#11 library (empty: where the profile looks)", default="")
        members.append({"name": name, "profile": profile} | ({"module": module} if module else {}))
        if not click.confirm("  Another member?", default=len(members) < 2, err=True):
            return members


def _officers(output: Output) -> list[dict[str, Any]]:
    output.say("", f"Officers. Roles: {', '.join(Role)}; security and crypto officers are different people.")
    officers = list[dict[str, Any]]()
    while True:
        one: dict[str, Any] = {"id": _ask("  Id, such as anna"), "name": _ask("  Full name")}
        role = _SECURITY if len(officers) < 2 else _CRYPTO
        one["roles"] = _ask_several("  Roles, with commas", default=role)
        line = _public_key()
        one["keys"] = [line]
        is_recipient = line.startswith("ssh-ed25519 ")
        one["recipient"] = _ask(
            "  Recipient of deliveries, age1… or ssh-ed25519",
            default=" ".join(line.split()[:2]) if is_recipient else "",
        )
        principal = _ask("  As whom they call the service, such as user/anna (empty: not at all)", default="")
        one["principals"] = [principal] if principal else []
        officers.append(one)
        if not click.confirm("  Another officer?", default=len(officers) < 4, err=True):
            return officers


def _public_key() -> str:
    """Ask for a line or for the file that holds it, again until it is there."""
    while True:
        answer = _ask("  Public key: the file .pub, or its line")
        if " " in answer:
            return answer
        try:
            return read_bounded(Path(answer), _MAX_KEY_FILE_BYTES).decode().strip()
        except (OSError, CliError, UnicodeDecodeError) as error:
            click.echo(f"  cannot read it: {visible(str(error))}", err=True)


def _rules(output: Output) -> dict[str, Any]:
    """Take the rules of the example, with as many people as are wanted."""
    output.say(
        "",
        "Rules: how many people approve what. The script lists them by verb, to be changed there; some take one person.",
    )
    people = {
        role: click.prompt(
            f"  How many {role}s approve what a {role} decides",
            type=click.IntRange(1, 16),
            default=2,
            err=True,
        )
        for role in (_SECURITY, _CRYPTO)
    }
    import tomllib

    rules: dict[str, Any] = tomllib.loads(EXAMPLE_SCRIPT)["rules"]
    return {verb: rule | {"m": people[rule["role"]] if rule["m"] > 1 else 1} for verb, rule in rules.items()}


def _service(raw: dict[str, Any]) -> None:
    host = _ask("Address to listen at", default="127.0.0.1")
    port = click.prompt("Port", type=click.IntRange(1, 65_535), default=8443, err=True)
    raw["service"] = {"host": host, "port": port}
    if click.confirm("Make a TLS certificate authority of our own?", default=True, err=True):
        names = _ask_several(
            "  Host names and addresses of the certificate, with commas", default="localhost, 127.0.0.1"
        )
        raw["tls"] = {"make_for": names}
    else:
        raw["service"]["tls_certificate"] = _ask("  Absolute path of your certificate")
        raw["service"]["tls_key"] = _ask("  Absolute path of its key")


def _access_keys(output: Output) -> list[dict[str, Any]]:
    output.say("", f"Access keys to begin with. Roles: {', '.join(CallerRole)}.")
    keys = list[dict[str, Any]]()
    while click.confirm("  An access key?", default=not keys, err=True):
        roles = _ask_several("  Roles, with commas", default=CallerRole.CRYPTO_USER.value)
        keys.append({"principal": _ask("  Principal", default="user/app"), "roles": roles})
    return keys


def _checked(raw: dict[str, Any]) -> str:
    """Return the script in words. Raises CliError for answers that make none."""
    try:
        text = render_init_script(msgspec.convert(raw, InitScript, strict=True))
        parse_init_script(text.encode())
    except (msgspec.ValidationError, ConfigError) as error:
        raise CliError(
            f"these answers make no script: {error}",
            next_step="run 'strongroom init' again; or begin with 'strongroom init --example-script'",
        ) from error
    return text


def _ask_several(question: str, *, default: str) -> list[str]:
    return [part.strip() for part in _ask(question, default=default).split(",") if part.strip()]


def _ask(question: str, *, default: str | None = None) -> str:
    return str(click.prompt(question, default=default, show_default=bool(default), err=True)).strip()
