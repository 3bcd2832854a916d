"""``strongroom doctor``: look at home and machine without the service, and say what to do."""

from collections.abc import Iterator

import click

from strongroom.cli._checks import Finding, findings_of
from strongroom.cli._checks_archive import check_audit_archive
from strongroom.cli._checks_backups import check_backups
from strongroom.cli._checks_custodians import check_custodians
from strongroom.cli._checks_custody import check_custody
from strongroom.cli._checks_home import (
    check_audit_log,
    check_certificate,
    check_database,
    check_issuer,
    check_pins,
    check_private_files,
    recorded_serials,
)
from strongroom.cli._checks_hsm import check_member
from strongroom.cli._checks_machine import check_clock, check_labels, check_memory, check_port
from strongroom.cli._checks_roles import check_roles
from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.config import Config, Home, home_from_environment, load_config
from strongroom.core import Clock, SystemClock
from strongroom.wiring.home import require_complete
from strongroom.wiring.quotas import check_quotas

_COLOURS = {"ok": "green", "note": "cyan", "warn": "yellow", "fail": "red"}


@click.command
@reporting
def doctor(output: Output) -> None:
    """Check home and machine: files, members, certificate, database, audit log, memory, clock, port.

    Works whether the service runs or not, changes nothing and logs in nowhere. Ends with exit status 1 when
    something fails.
    """
    home = Home(home_from_environment())
    found: list[Finding] = []
    for finding in examine(home, SystemClock()):
        found.append(finding)
        _show(output, finding)
    failures = [finding for finding in found if finding.level == "fail"]
    output.document(
        {"home": str(home.root), "healthy": not failures, "checks": [finding._asdict() for finding in found]}
    )
    if failures:
        raise NotDoneError(
            f"{len(failures)} of {len(found)} checks failed, first: {failures[0].name}",
            next_step="do what stands under each failed check, then run this again",
        )
    warnings = sum(finding.level == "warn" for finding in found)
    output.say("", f"Nothing failed; {warnings} warnings." if warnings else "All is well.")


def examine(home: Home, clock: Clock) -> Iterator[Finding]:
    """Yield what every check finds, as soon as it is known."""
    loaded: list[Config] = []

    def check_configuration() -> Iterator[Finding]:
        require_complete(home)
        yield Finding("home", "ok", f"{home.root} is complete and private")
        loaded.append(check_quotas(load_config(home.root)))
        yield Finding("configuration", "ok", f"{len(loaded[0].cluster.members)} members")

    yield from findings_of("home or configuration", check_configuration)
    for config in loaded:
        yield from _examine_home(home, config, clock)
    yield from findings_of("memory", check_memory)
    yield from findings_of("clock", lambda: check_clock(home, clock))


def _examine_home(home: Home, config: Config, clock: Clock) -> Iterator[Finding]:
    yield from findings_of("secret files", lambda: check_private_files(home, config))
    serials = recorded_serials(home)
    for member in config.cluster.members:
        yield from findings_of(
            f"member {member.name}",
            lambda member=member: check_member(home, member, recorded_serial=serials.get(member.name)),  # type: ignore[misc]
        )
    yield from findings_of("PINs", lambda: check_pins(home, config, clock))
    yield from findings_of("TLS", lambda: check_certificate(home, config, clock))
    yield from findings_of("token issuer", lambda: check_issuer(home, config, clock))
    yield from findings_of("database", lambda: check_database(home))
    yield from findings_of("backups", lambda: check_backups(home, config, clock))
    yield from findings_of("roles", lambda: check_roles(home, config))
    yield from findings_of("custody", lambda: check_custody(home, config))
    yield from findings_of("custodians", lambda: check_custodians(home, config, clock))
    yield from findings_of("audit log", lambda: check_audit_log(home))
    yield from findings_of("audit archive", lambda: check_audit_archive(home, config.audit, clock))
    yield from findings_of("port", lambda: check_port(home, config, clock))
    yield from findings_of("labels", lambda: check_labels(config))


def _show(output: Output, finding: Finding) -> None:
    label = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
    output.say(f"{label}  {finding.name}: {visible(finding.message)}")
    if finding.next_step is not None and finding.level != "ok":
        output.say(f"      what to do: {visible(finding.next_step)}")
