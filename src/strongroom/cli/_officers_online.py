"""``strongroom officers list``, ``add``, ``revoke``, ``add-key``, ``revoke-key``, ``roles``: who the officers are, and changes of that.

Each change is a request that officers approve; the last signature that it needs brings it into force.
"""

from pathlib import Path
from typing import Any, Final

import click

from strongroom.cli._approval_calls import connect, read_custody
from strongroom.cli._approvals_online import ask
from strongroom.cli._output import Output, plain
from strongroom.cli._reporting import reporting

_PATH: Final = click.Path(path_type=Path)
_ROLES: Final = ("security-officer", "crypto-officer", "auditor", "operator", "custodian", "witness")
_MAX_KEY_BYTES: Final = 2_048

_roles = click.option(
    "--role", "roles", type=click.Choice(_ROLES), multiple=True, required=True,
    help="A role; may stand several times.",
)  # fmt: skip
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever reads it in years.")


@click.command("list")
@reporting
def list_officers(output: Output) -> None:
    """List the officers, those who were revoked among them."""
    with connect() as client:
        custody = read_custody(client)
    output.document(plain(custody))
    rows = [
        [
            officer.id,
            officer.name,
            ", ".join(officer.roles),
            str(len(officer.keys)),
            ", ".join(officer.principals) or "-",
            "revoked" if officer.is_revoked else "active",
        ]
        for officer in custody.officers
    ]
    output.table(["OFFICER", "NAME", "ROLES", "KEYS", "PRINCIPALS", "STATE"], rows)
    output.say(
        "",
        f"After record {custody.record}, SHA-256 {custody.head}",
        f"Genesis SHA-256 {custody.genesis_sha256}",
    )


@click.command
@click.argument("file", type=_PATH)
@_roles
@click.option("--principal", "principals", multiple=True, metavar="NAME", help="As whom they call the service; may stand several times.")  # fmt: skip
@reporting
def add(output: Output, *, file: Path, roles: tuple[str, ...], principals: tuple[str, ...]) -> None:
    """Ask that somebody becomes an officer. FILE is their enrolment (strongroom officers enrol)."""
    import msgspec

    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import MAX_ENROLMENT_BYTES, Role, person_enrolled, verify_enrolment

    body = verify_enrolment(read_bounded(file, MAX_ENROLMENT_BYTES))
    person = person_enrolled(body, tuple(sorted(map(Role, set(roles)))), tuple(sorted(set(principals))))
    ask(output, "AddOfficer", {"person": msgspec.to_builtins(person)})


@click.command
@click.argument("officer", metavar="ID")
@_reason
@reporting
def revoke(output: Output, *, officer: str, reason: str) -> None:
    """Ask that somebody is an officer no longer, for good."""
    ask(output, "RevokeOfficer", {"officer": officer, "reason": reason})


@click.command("add-key")
@click.argument("officer", metavar="ID")
@click.argument("file", type=_PATH)
@reporting
def add_key(output: Output, *, officer: str, file: Path) -> None:
    """Ask that an officer has one more key. FILE is its public half, as in a .pub file."""
    ask(output, "AddOfficerKey", {"officer": officer, "key": _key_line(file)})


@click.command("revoke-key")
@click.argument("officer", metavar="ID")
@click.argument("file", type=_PATH)
@_reason
@reporting
def revoke_key(output: Output, *, officer: str, file: Path, reason: str) -> None:
    """Ask that a key of an officer counts no longer, for good. FILE is its public half, as in a .pub file."""
    ask(output, "RevokeOfficerKey", {"officer": officer, "key": _key_line(file), "reason": reason})


@click.command("roles")
@click.argument("officer", metavar="ID")
@_roles
@reporting
def change_roles(output: Output, *, officer: str, roles: tuple[str, ...]) -> None:
    """Ask that an officer has these roles in place of those of now."""
    ask(output, "ChangeOfficerRoles", {"officer": officer, "roles": sorted(set(roles))})


ONLINE: Final[tuple[Any, ...]] = (list_officers, add, revoke, add_key, revoke_key, change_roles)
"""What ``strongroom officers`` does by the running service."""


def _key_line(file: Path) -> str:
    from strongroom.cli._officer_files import read_line_of
    from strongroom.custody import OfficerKey

    return OfficerKey.from_line(read_line_of(file, _MAX_KEY_BYTES)).line
