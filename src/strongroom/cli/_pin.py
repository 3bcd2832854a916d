"""``strongroom pin``: PINs of the members' tokens: changed, watched, sealed, and opened where they were delivered."""

from pathlib import Path
from typing import Final, Literal

import click

from strongroom.cli._endpoint import complete_home
from strongroom.cli._errors import NotDoneError
from strongroom.cli._main_door import answer_of, approval_option
from strongroom.cli._officer_files import ask_pin, read_private
from strongroom.cli._output import Output, plain, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.config import load_config
from strongroom.core import SystemClock
from strongroom.wiring.home import locked_home
from strongroom.wiring.pin_door import PinOutcome, PinRequest, ask_pins
from strongroom.wiring.pin_status import PinStatus, last_departure, read_pin_status
from strongroom.wiring.process_protection import forbid_dumps

_ROTATE_LIMIT_S: Final = 3600.0
_MAX_KEY_BYTES: Final = 65_536
_member = click.option("--member", metavar="NAME", help="Of this member only.")
_role = click.option(
    "--role",
    type=click.Choice(["user", "so"]),
    default="user",
    show_default=True,
    help="so: the security officer.",
)


@click.group
def pin() -> None:
    """Change the PINs of the members' tokens, see how old they are, seal them, open delivered ones."""


@pin.command
@_member
@_role
@approval_option
@click.option(
    "--so-pin-file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Take the security officer's present PIN from the first line of this file; - is standard input.",
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="RECIPIENT",
    help="Whom the security officer's new PIN is delivered to (age1…, ssh-ed25519 …); else the security officers of the home.",
)
@reporting
def rotate(
    output: Output,
    *,
    member: str | None,
    role: Literal["user", "so"],
    approval: str,
    so_pin_file: Path | None,
    recipients: tuple[str, ...],
) -> None:
    """Give members new user PINs, one after the other, while all of them serve; or one its security officer's.

    A new user PIN is sealed and stored before it is set, proved by a login of its own, and only then the current one; callers
    notice nothing. A member that is away gets its new PIN when it is back. With --role so, the present PIN is asked for, and the
    new one delivered by age before it is set: it never stays here in clear. Ends with exit status 1 when a PIN could not be
    changed, or is still to be (see 'strongroom pin status'), 3 when the service does not answer.
    """
    if role == "so":
        if member is None:
            raise NotDoneError(
                "a security officer's PIN is of one member", next_step="name it: --member NAME"
            )
        present = ask_pin(
            so_pin_file,
            f"Present PIN of the security officer of {visible(member)}",
            option="--so-pin-file",
        )
        request = PinRequest("so", member, approval, present.reveal(), list(recipients))
        present.zeroize()
    else:
        request = PinRequest("user", member, approval)
    output.progress("changing PINs")
    answer = answer_of(ask_pins(complete_home(), request, timeout_s=_ROTATE_LIMIT_S))
    output.document(plain(answer))
    _tell(output, answer.outcomes)
    if answer.failure is not None:
        raise NotDoneError(answer.failure.message, next_step=answer.failure.next_step)
    if any(outcome.state != "changed" for outcome in answer.outcomes):
        raise NotDoneError("not every PIN was changed", next_step="see: strongroom pin status")


@pin.command
@reporting
def status(output: Output) -> None:
    """Show where each PIN lies, how old it is, when it is due, and how far a change is. Works without the service.

    Ends with exit status 1 when a PIN is due, or a change does not go on.
    """
    home = complete_home()
    config = load_config(home.root)
    found = read_pin_status(
        home, config.cluster.members, config.pins, now=SystemClock().now(), departed_at=last_departure(home)
    )
    output.document(found)
    output.table(
        ["MEMBER", "PIN OF", "FROM", "STATE", "CHANGED", "DUE", "DETAIL"], [_row(status) for status in found]
    )
    if any(status.state == "in trouble" for status in found):
        raise NotDoneError("a change of a PIN does not go on", next_step="see DETAIL above, and docs/pins.md")
    if any(status.is_due for status in found):
        raise NotDoneError("a PIN is due to be changed", next_step="change it: strongroom pin rotate")


@pin.command
@_member
@click.option(
    "--pin-file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Seal the PIN on the first line of this file; - is standard input. Needs --member.",
)
@click.option("--ask", "asks", is_flag=True, help="Ask for the PIN at the terminal. Needs --member.")
@reporting
def seal(output: Output, *, member: str | None, pin_file: Path | None, asks: bool) -> None:
    """Seal PINs under the home's sealing key, and have the configuration name them. The service must be stopped.

    Without options, those that the configuration names in clear: their files are then overwritten and removed. With
    --pin-file or --ask, another PIN of one member, such as one that was set by the vendor's tool. Where the configuration
    names no sealing key, one is made in pins/sealing-key. The configuration is written anew, without its comments.
    """
    from strongroom.wiring.pin_upkeep import seal_pins

    forbid_dumps()
    home = complete_home()
    given = ask_pin(pin_file, "PIN") if asks or pin_file is not None else None
    try:
        with locked_home(home):
            sealed = seal_pins(home, member=member, pin=given, clock=SystemClock())
    finally:
        if given is not None:
            given.zeroize()
    output.document({"sealed": sealed})
    output.say(f"Sealed: {', '.join(map(visible, sealed))}" if sealed else "Every PIN is sealed already.")


@pin.command
@click.option("--member", metavar="NAME", required=True, help="Of this member.")
@_role
@reporting
def retry(output: Output, *, member: str, role: Literal["user", "so"]) -> None:
    """Allow tries of PINs again in a change that does not go on. The service must be stopped.

    Say so only after a login with the vendor's tool has reset the token's counter of wrong PINs: what was counted of tries
    is forgotten, and the next start sends each of the two PINs once at most.
    """
    from strongroom.wiring.pin_upkeep import allow_tries

    home = complete_home()
    known = {one.name: one for one in load_config(home.root).cluster.members}
    if member not in known:
        raise NotDoneError(f"there is no member {member!r}", next_step=f"the members are: {', '.join(known)}")
    with locked_home(home):
        is_open = allow_tries(home, known[member], role)
    output.document({"member": member, "role": role, "changed": is_open})
    again = (
        "The next start tries again." if role == "user" else "The next 'strongroom pin rotate' tries again."
    )
    output.say(again if is_open else f"No PIN of {visible(member)} is being changed: nothing to do.")


@pin.command("open")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path),
    help="Your private key: a file of age-keygen, or an ssh-ed25519 key without a passphrase.",
)
@reporting
def open_(output: Output, *, file: Path, key: Path) -> None:
    """Open a delivered PIN, offline, and print it.

    For an SSH key under a passphrase take age itself: age -d -i KEY FILE.
    """
    from strongroom.wiring.pin_delivery import open_delivery

    letter = open_delivery(file, read_private(key, _MAX_KEY_BYTES))
    output.document(letter)
    output.say(
        f"Member:  {visible(letter.member)}",
        f"Token:   {visible(letter.token)}",
        f"PIN of:  {'security officer' if letter.role == 'so' else 'user'}",
        f"Made:    {visible(letter.made_at)}",
        f"PIN:     {visible(letter.pin)}",
    )


def _row(status: PinStatus) -> list[str]:
    return [
        status.member,
        "user" if status.role == "user" else "security officer",
        status.source,
        status.state,
        "-" if status.changed_at is None else shown_time(status.changed_at),
        "-" if status.due_at is None else f"{shown_time(status.due_at)}{' (due)' if status.is_due else ''}",
        visible(status.detail) or "-",
    ]


def _tell(output: Output, outcomes: list[PinOutcome]) -> None:
    for outcome in outcomes:
        name = visible(outcome.member)
        cause = f": {visible(outcome.cause)}" if outcome.cause else ""
        if outcome.delivery:
            cause += f"; delivered in {visible(outcome.delivery)}"
        output.say(
            {
                "changed": f"{name}: changed{cause}",
                "pending": f"{name}: still to be changed{cause}",
                "failed": f"{name}: not changed{cause}",
            }[outcome.state]
        )
