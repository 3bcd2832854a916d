"""``strongroom root``: a new root KEK for the cluster, and the end of old ones.

``rotate``, ``rate`` and ``retire`` ask main at its control socket, which hears the user that owns the home: no role and no
key policy lets anybody do this. ``status`` reads the database alone, so it tells though no service runs.
"""

import sys
import time
from collections.abc import Callable
from typing import Final

import click

from strongroom.cli._endpoint import complete_home
from strongroom.cli._errors import NotDoneError
from strongroom.cli._main_door import answer_of, approval_option
from strongroom.cli._output import Output, plain, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.core import RootStanding, RotationShown, SystemClock
from strongroom.storage import RootState, RotationState
from strongroom.wiring.root_door import (
    DEFAULT_DOMAINS_PER_S,
    LEAST_DOMAINS_PER_S,
    MOST_DOMAINS_PER_S,
    RootAnswer,
    RootRequest,
    ask_root,
)
from strongroom.wiring.root_status import read_root_status, retirable

_MAKE_LIMIT_S: Final = 120.0
_RETIRE_LIMIT_S: Final = 6 * 3600.0
_LOOK_EVERY_S: Final = 0.5
_TELL_EVERY_S: Final = 5.0
_STALLED_S: Final = 60.0

_rate = click.FloatRange(LEAST_DOMAINS_PER_S, MOST_DOMAINS_PER_S)
_wait = click.option(
    "--wait", "waits", is_flag=True, help="Show progress until nothing hangs under old roots."
)


@click.group
def root() -> None:
    """Rotate the root KEK, watch it, and destroy old ones."""


@root.command
@click.option(
    "--rate",
    "domains_per_s",
    type=_rate,
    default=DEFAULT_DOMAINS_PER_S,
    show_default=True,
    help="Domain KEKs to rewrap in a second, at most; each costs three HSM operations.",
)
@approval_option
@_wait
@reporting
def rotate(output: Output, *, domains_per_s: float, approval: str, waits: bool) -> None:
    """Make a new root KEK on every member, and rewrap all domain KEKs under it.

    The new root is the current one when this returns; domain KEKs are rewrapped in the background, whatever is killed or
    restarted meanwhile, and callers notice nothing. The old root stays until 'strongroom root retire'. Ends with exit
    status 1 when it could not be made (all is as before), 3 when the service does not answer.
    """
    output.progress("making a new root on every member that serves, and proving each copy")
    answer = _ask(RootRequest("rotate", domains_per_s, approval), _MAKE_LIMIT_S)
    output.say(
        f"root {answer.root_id} is the current one, on {', '.join(map(visible, answer.held_by))}.",
        f"{answer.n_domains} domain KEKs are rewrapped under it, {domains_per_s:g} a second at most.",
    )
    if answer.lacking:
        names = ", ".join(map(visible, answer.lacking))
        output.say(f"{names} did not get it, and will not serve before that: see strongroom members list")
    if waits:
        _follow(output)
        return
    output.document(_document(answer, "root_id", "held_by", "lacking", "n_domains"))
    output.say("", "Try next: strongroom root status --wait")


@root.command
@_wait
@reporting
def status(output: Output, *, waits: bool) -> None:
    """Show the roots, what hangs under each, and how far the newest rotation is.

    Ends with exit status 1 when the newest rotation failed, or something is in its way.
    """
    if waits:
        _follow(output)
        return
    found = read_root_status(complete_home(), SystemClock())
    output.document(plain(found))
    _show(output, found)
    _complain(found)


@root.command
@click.argument("domains_per_s", metavar="RATE", type=_rate)
@reporting
def rate(output: Output, *, domains_per_s: float) -> None:
    """Rewrap RATE domain KEKs a second at most, for the rotation that is under way."""
    _ask(RootRequest("rate", domains_per_s), _MAKE_LIMIT_S)
    output.document({"domains_per_s": domains_per_s})
    output.say(f"From the next batch on {domains_per_s:g} a second at most.")


@root.command
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@approval_option
@reporting
def retire(output: Output, *, is_sure: bool, approval: str) -> None:
    """Destroy the old roots for good, once nothing hangs under them.

    Every domain KEK is opened under the current root first. Backups of the database from before the rotation was finished
    are useless afterwards: make a new one before. Members that are away destroy it when they come back. Ends with exit
    status 1 when something hangs under an old root, or too few members hold the current one; nothing is destroyed then.
    """
    home = complete_home()
    found = read_root_status(home, SystemClock())
    old = [shown.root_id for shown in found.roots if shown.state == RootState.OLD]
    if not is_sure:
        _make_sure(output, old)
    output.progress("opening every domain KEK under the current root")
    answer = _ask(RootRequest("retire", approval=approval), _RETIRE_LIMIT_S)
    output.document(_document(answer, "root_id", "held_by", "n_domains", "retired"))
    output.say(f"{answer.n_domains} domain KEKs opened under root {answer.root_id}.")
    for retired in answer.retired:
        left = (
            f"; still to be destroyed on {', '.join(map(visible, retired.left_on))}"
            if retired.left_on
            else ""
        )
        output.say(f"root {retired.root_id} is destroyed{left}.")


def _make_sure(output: Output, old: list[str]) -> None:
    what = f"{len(old)} old root{'' if len(old) == 1 else 's'}"
    if output.is_json or not sys.stdin.isatty():
        raise NotDoneError(f"{what} would be destroyed for good", next_step="say so: --yes")
    click.confirm(
        f"Destroy {what} for good? Backups of the database from before cannot be used any more.",
        abort=True,
        err=True,
    )


def _document(answer: RootAnswer, *names: str) -> dict[str, object]:
    """Return of an answer what its command tells; on its way from main it is an array without names."""
    return {name: plain(getattr(answer, name)) for name in names}


def _ask(request: RootRequest, timeout_s: float) -> RootAnswer:
    answer = answer_of(ask_root(complete_home(), request, timeout_s=timeout_s))
    if answer.failure is not None:
        raise NotDoneError(answer.failure.message, next_step=answer.failure.next_step)
    return answer


def _follow(output: Output) -> None:
    """Show progress until the newest rotation is over."""
    home, clock = complete_home(), SystemClock()
    show = _progress_shown(output)
    while True:
        found = read_root_status(home, clock)
        rotation = found.rotation
        if rotation is None or rotation.state not in {RotationState.MAKING, RotationState.REWRAPPING}:
            break
        show(rotation)
        time.sleep(_LOOK_EVERY_S)
    output.document(plain(found))
    _show(output, found)
    _complain(found)


def _progress_shown(output: Output) -> Callable[[RotationShown], None]:
    """Return what tells the state of a rotation on standard error now and then, and when it has stopped."""
    clock = SystemClock()
    told_at, changed_at, left = clock.monotonic() - _TELL_EVERY_S, clock.monotonic(), -1

    def show(rotation: RotationShown) -> None:
        nonlocal told_at, changed_at, left
        now = clock.monotonic()
        if rotation.left != left:
            left, changed_at = rotation.left, now
        if now - told_at < _TELL_EVERY_S:
            return
        told_at = now
        output.progress(_in_words(rotation, clock.now()))
        if now - changed_at >= _STALLED_S:
            output.progress("nothing was rewrapped for a minute: does the service run? (strongroom status)")

    return show


def _in_words(rotation: RotationShown, now: float) -> str:
    if rotation.state == RotationState.MAKING:
        return "the new root is being made"
    text = f"{rotation.rewrapped} of {rotation.domains} domain KEKs are under the current root"
    if rotation.measured_per_s is not None and rotation.ends_at is not None:
        text += f", {rotation.measured_per_s:.1f} a second, about {rotation.ends_at - now:.0f} s left"
    return text


def _show(output: Output, found: RootStanding) -> None:
    output.table(
        ["ROOT", "STATE", "DOMAIN KEKS", "MADE", "DESTROYED"],
        [
            [
                shown.root_id,
                shown.state,
                str(shown.domains),
                shown_time(shown.created_at),
                "-" if shown.destroyed_at is None else shown_time(shown.destroyed_at),
            ]
            for shown in found.roots
        ],
    )
    rotation = found.rotation
    if rotation is None:
        output.say("", "The root was never rotated. To do so: strongroom root rotate")
        return
    since = rotation.published_at or rotation.started_at
    until = f" until {shown_time(rotation.finished_at)}" if rotation.finished_at is not None else ""
    output.say(
        "", f"rotation  {rotation.state} since {shown_time(since)}{until}, by {visible(rotation.asked_by)}"
    )
    output.say(
        f"          {_in_words(rotation, SystemClock().now())}; {rotation.domains_per_s:g} a second at most"
    )
    if retirable(found) and not rotation.left:
        output.say("", "Nothing hangs under the old root. To destroy it: strongroom root retire")


def _complain(found: RootStanding) -> None:
    rotation = found.rotation
    if rotation is None or not (rotation.trouble or rotation.state == RotationState.FAILED):
        return
    raise NotDoneError(
        f"the rotation {'failed' if rotation.state == RotationState.FAILED else 'has trouble'}: {rotation.trouble}",
        next_step="see the log of the service, and docs/root-rotation.md",
    )
