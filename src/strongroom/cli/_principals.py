"""``strongroom principals``: who may call, by which access keys, with which roles.

For the user who owns the home: the database and the audit log are opened directly. Making an access key also needs the
running service, whose HSMs wrap the secret.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

import click

from strongroom.cli._endpoint import complete_home
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.config import (
    ClientConfig,
    Config,
    TokenCallerConfig,
    load_config,
)
from strongroom.core import SystemClock
from strongroom.service import Counted, Role
from strongroom.wiring.events import LoggedEvents
from strongroom.wiring.principals import KnownAccessKey, NewAccessKey, Principals

T = TypeVar("T")

_roles = click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="What the access key may; may be given several times. None: only what policies and grants allow. "
    "Nobody is two of security-officer, crypto-officer and auditor, and an auditor is nothing else. "
    "Where the home has custody, an officer has the roles of the chain.",
)


@click.group
def principals() -> None:
    """Make, list and change access keys and their roles."""


@principals.command("list")
@reporting
def list_principals(output: Output) -> None:
    """List principals, their access keys, and the certificates and claims of tokens in the configuration."""

    async def ask(desk: Principals) -> tuple[list[KnownAccessKey], Mapping[str, Counted]]:
        return desk.list(), desk.counted()

    config, (known, counted) = _at_desk(ask)
    claims = [] if config.oidc is None else config.oidc.callers
    output.document(
        {
            "access_keys": [_document(entry, counted) for entry in known],
            "certificates": [_configured(client, counted) for client in config.service.clients],
            "claims": [_configured(caller, counted) for caller in claims],
        }
    )
    configured: list[ClientConfig | TokenCallerConfig] = [*config.service.clients, *claims]
    rows = [
        [
            entry.record.principal,
            entry.record.access_key_id,
            _shown_roles(entry.record.access_key_id, entry.record.roles, counted),
            "active" if entry.record.active else "disabled",
            shown_time(entry.record.created_at),
            shown_time(entry.used_at),
        ]
        for entry in known
    ]
    rows += [
        [
            caller.principal,
            caller.identity,
            _shown_roles(caller.identity, caller.roles, counted),
            *("configured", "-", "-"),
        ]
        for caller in configured
    ]
    output.table(["PRINCIPAL", "ACCESS KEY", "ROLES", "STATE", "CREATED", "LAST USED"], rows)
    for identity, one in sorted(counted.items()):
        if one.why:
            output.say(f"{visible(identity)}: {visible(one.why)}.")


def _shown_roles(identity: str, recorded: Iterable[str], counted: Mapping[str, Counted]) -> str:
    """The roles that count; of a disabled access key those that are recorded."""
    return " ".join(sorted(counted[identity].roles) if identity in counted else recorded) or "-"


def _configured(
    caller: ClientConfig | TokenCallerConfig, counted: Mapping[str, Counted]
) -> dict[str, object]:
    return {
        "identity": caller.identity,
        "principal": caller.principal,
        "roles": list(caller.roles),
        **_counting(caller.identity, counted),
    }


def _counting(identity: str, counted: Mapping[str, Counted]) -> dict[str, object]:
    one = counted.get(identity, Counted(frozenset()))
    return {"counting_roles": sorted(one.roles), "why": one.why}


@principals.command
@click.argument("principal")
@_roles
@reporting
def create(output: Output, *, principal: str, roles: tuple[str, ...]) -> None:
    """Make an access key for PRINCIPAL (user/NAME or role/NAME), which need not exist before. Its secret is printed once."""
    _, made = _at_desk(
        lambda desk: desk.create(principal, tuple(dict.fromkeys(roles)), LoggedEvents("principals"))
    )
    _show_new(output, made)


@principals.command
@click.argument("access_key_id")
@reporting
def rotate(output: Output, *, access_key_id: str) -> None:
    """Make another access key for the same principal with the same roles. The old one works until it is disabled."""
    _, made = _at_desk(lambda desk: desk.rotate(access_key_id, LoggedEvents("principals")))
    _show_new(output, made)
    output.say(
        "", f"When nobody uses the old one any more: strongroom principals disable {visible(access_key_id)}"
    )


@principals.command
@click.argument("access_key_id")
@reporting
def disable(output: Output, *, access_key_id: str) -> None:
    """Disable an access key: its next request is refused, by every process."""
    _at_desk(lambda desk: desk.set_active(access_key_id, is_active=False))
    _tell(output, access_key_id, "is disabled")


@principals.command
@click.argument("access_key_id")
@reporting
def enable(output: Output, *, access_key_id: str) -> None:
    """Enable an access key that was disabled."""
    _at_desk(lambda desk: desk.set_active(access_key_id, is_active=True))
    _tell(output, access_key_id, "is active")


@principals.command
@click.argument("access_key_id")
@_roles
@reporting
def roles(output: Output, *, access_key_id: str, roles: tuple[str, ...]) -> None:
    """Give an access key exactly these roles, in place of those that it had."""
    _at_desk(lambda desk: desk.set_roles(access_key_id, tuple(dict.fromkeys(roles))))
    _tell(output, access_key_id, f"has the roles: {' '.join(roles) or 'none'}")


@principals.command
@click.argument("access_key_id")
@reporting
def delete(output: Output, *, access_key_id: str) -> None:
    """Delete an access key with its secret. There is no way back; disable it first and wait."""
    _at_desk(lambda desk: desk.delete(access_key_id))
    _tell(output, access_key_id, "is deleted")


def _at_desk(act: Callable[[Principals], Awaitable[T]]) -> tuple[Config, T]:
    home = complete_home()
    config = load_config(home.root)

    async def run() -> T:
        with Principals.opened(home, config, SystemClock()) as desk:
            return await act(desk)

    return config, asyncio.run(run())


def _show_new(output: Output, made: NewAccessKey) -> None:
    secret = made.secret.reveal().decode()
    output.document(
        {
            "principal": made.record.principal,
            "access_key_id": made.record.access_key_id,
            "secret_access_key": secret,
            "roles": list(made.record.roles),
        }
    )
    output.say(
        f"principal          {made.record.principal}",
        f"access key         {made.record.access_key_id}",
        f"secret access key  {secret}",
        f"roles              {' '.join(made.record.roles) or 'none'}",
        "",
        "The secret is shown this once. The service recognises the access key within two seconds.",
    )


def _tell(output: Output, access_key_id: str, what: str) -> None:
    output.document({"access_key_id": access_key_id, "done": what})
    output.say(f"{visible(access_key_id)} {what}.")


def _document(entry: KnownAccessKey, counted: Mapping[str, Counted]) -> dict[str, object]:
    return {
        "principal": entry.record.principal,
        "access_key_id": entry.record.access_key_id,
        "roles": list(entry.record.roles),
        **_counting(entry.record.access_key_id, counted),
        "active": entry.record.active,
        "created_at": entry.record.created_at,
        "last_used_at": entry.used_at,
    }
