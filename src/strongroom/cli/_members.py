"""``strongroom members``: the HSMs of the cluster, what they hold, and how they prove themselves.

``list`` asks the service over HTTP like every other client; ``test`` and ``reconcile`` ask main at its control
socket, which only the user that owns the home can reach: main alone has the doors by which keys are made.
"""

import asyncio
from pathlib import Path

import click

from strongroom.cli._answers import MemberEntry
from strongroom.cli._endpoint import complete_home, find_service
from strongroom.cli._errors import NotDoneError
from strongroom.cli._main_door import answer_of
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._status import read_status
from strongroom.client import ServiceClient
from strongroom.config import Home, home_from_environment
from strongroom.core import SystemClock
from strongroom.wiring.members_door import (
    MembersAnswer,
    MembersNotReachableError,
    MembersRequest,
    MemberTest,
    ask_members,
)

_LIMIT_S = 300.0
_SERVING = ("active", "read-only", "degraded")

_one_member = click.option("--member", default=None, metavar="NAME", help="Only this one; else all.")


@click.group
def members() -> None:
    """List, test, reconcile and add the HSMs of the cluster."""


@members.command("list")
@reporting
def list_members(output: Output) -> None:
    """List the members and their states.

    Ends with exit status 1 when one of them does not serve.
    """
    with ServiceClient(find_service(Home(home_from_environment())), clock=SystemClock()) as client:
        entries = read_status(client).members
    output.document({"members": entries})
    output.table(
        ["MEMBER", "STATE", "PRIORITY", "GENERATION", "REASON"],
        [[e.name, e.state, str(e.priority), str(e.generation), e.reason or "-"] for e in entries],
    )
    _complain_of_absent(entries)
    output.say("", "Try next: strongroom members test")


@members.command("test")
@_one_member
@reporting
def test_members(output: Output, *, member: str | None) -> None:
    """Have members prove that they hold the root and their Direct keys, and tell how long each step took.

    Ends with exit status 1 when one of them fails, 3 when the service does not answer.
    """
    answer = _ask(MembersRequest("test", member))
    output.document({"tests": answer.tests})
    for test in answer.tests:
        _show_test(output, test)
    failed = [test.member for test in answer.tests if test.failure]
    if failed:
        raise NotDoneError(
            f"{len(failed)} of {len(answer.tests)} members failed: {', '.join(failed)}",
            next_step="see 'strongroom members reconcile', and the log of the service",
        )


@members.command("reconcile")
@_one_member
@click.option(
    "--repair",
    is_flag=True,
    help="Also destroy keys that are not the same as those of the others, and copy these.",
)
@reporting
def reconcile(output: Output, *, member: str | None, repair: bool) -> None:
    """Compare what members hold with the records, and repair it.

    What is missing is copied from a member that has it, what was destroyed is destroyed again, what is strange is
    reported and left alone. Ends with exit status 1 when something is left to do, 3 when the service does not
    answer.
    """
    answer = _ask(MembersRequest("reconcile", member, repair))
    output.document({"reports": answer.reports, "failures": answer.failures})
    for report in answer.reports:
        output.say(*map(visible, report.in_words()))
        steps = {drift.next_step for drift in report.drifts if drift.next_step and drift.is_open}
        output.say(*(f"  what to do: {visible(step)}" for step in sorted(steps)))
    output.say(*(f"{visible(name)}: not looked at: {visible(why)}" for name, why in answer.failures.items()))
    unclean = [report.member for report in answer.reports if not report.is_clean] + list(answer.failures)
    if unclean:
        raise NotDoneError(
            f"something is left to do on: {', '.join(unclean)}",
            next_step="see above; docs/operations.md tells more",
        )


@members.command("add")
@click.argument("name")
@click.option(
    "--member-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Describes NAME, whose blank token is initialised first: a table [member], as [[members]] of init's script.",
)
@click.option(
    "--so-pin-file",
    "so_pin_files",
    multiple=True,
    metavar="MEMBER=PATH",
    help="The PIN of a member's security officer: the first line of a file that nobody else may read. Else it is asked for.",
)
@click.option(
    "--reset",
    default="",
    metavar="SERIAL",
    help="With --member-file: ERASE the token with this serial number, with all its keys, and take it in place of a blank one.",
)
@reporting
def add(
    output: Output, *, name: str, member_file: Path | None, so_pin_files: tuple[str, ...], reset: str
) -> None:
    """Give member NAME, whose token is new, replaced or emptied, what it needs to serve.

    All members get new keys for keys to travel under; then the root and the Direct keys are copied to NAME, and
    proved. The security officers of all other members present their PINs: from files, at the terminal, or from the home
    (pins/MEMBER-so, mode 0400). In a home with officers they approve it first. The other members may serve
    meanwhile. After an interruption run it again. Ends with exit status 1 when something could not be copied.
    """
    from strongroom.cli._so_pins import so_pin_source
    from strongroom.wiring.member_addition import add_member
    from strongroom.wiring.new_member import read_member_file
    from strongroom.wiring.process_protection import forbid_dumps

    forbid_dumps()  # it has the PINs of all members, as long as it works
    if reset and member_file is None:
        raise click.UsageError("--reset goes with --member-file: it erases the token of a member that is new")
    home = complete_home()
    work = add_member(
        home,
        name,
        events=_ReportTells(),
        clock=SystemClock(),
        progress=output.progress,
        described=None if member_file is None else read_member_file(member_file),
        so_pin=so_pin_source(home, so_pin_files),
        reset_serial=reset,
    )
    report = asyncio.run(work)
    output.document({"reports": [report]})
    output.say(*map(visible, report.in_words()))
    if not report.is_clean:
        raise NotDoneError(
            f"something is left to do on {name}", next_step="see above; docs/operations.md tells more"
        )
    output.say("", f"Done: {name} holds what it should.", *_serve_again(home, name))


class _ReportTells:
    """Drops events: the report that is printed says as much."""

    def emit(self, event: str, **fields: object) -> None:
        """Drop one."""


def _serve_again(home: Home, name: str) -> list[str]:
    """Have a service that runs start the member again; it does so by itself only where it was not given up."""
    try:
        answer = asyncio.run(ask_members(home, MembersRequest("revive", name), timeout_s=_LIMIT_S))
    except MembersNotReachableError:
        return ["It serves from the next start of the service on: strongroom serve"]
    if answer.failure is not None:
        return [
            f"The service that runs does not know it: {visible(answer.failure.message)}",
            "Restart the service.",
        ]
    states = [f"{visible(test.member)} is {visible(test.state)}" for test in answer.tests]
    return [*states, "Where its serial number changed in strongroom.toml, restart the service."]


def _ask(request: MembersRequest) -> MembersAnswer:
    answer = answer_of(ask_members(complete_home(), request, timeout_s=_LIMIT_S))
    if answer.failure is not None:
        raise NotDoneError(answer.failure.message, next_step=answer.failure.next_step)
    return answer


def _show_test(output: Output, test: MemberTest) -> None:
    output.say(f"{visible(test.member)} ({visible(test.state)}): {'FAILED' if test.failure else 'ok'}")
    output.say(*(f"  {step.took_ms:9.3f} ms  {visible(step.what)}" for step in test.steps))
    if test.failure:
        output.say(f"  because {visible(test.failure)}")


def _complain_of_absent(entries: list[MemberEntry]) -> None:
    absent = [entry.name for entry in entries if entry.state not in _SERVING]
    if absent:
        raise NotDoneError(
            f"{len(absent)} of {len(entries)} members do not serve: {', '.join(absent)}",
            next_step="see their reasons above, and 'strongroom members reconcile'",
        )
