"""The options that say which entries somebody wants, of ``audit tail``, ``search`` and ``report``."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import click

from strongroom.audit import Criteria
from strongroom.core import SystemClock

_AGO: Final = re.compile(r"(\d{1,6})(s|m|h|d|w)(?: ago)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_PATTERNS: Final = {
    "principal": ("principals", "Who, such as user/app or user/*."),
    "access_key": ("access_keys", "The id of an access key."),
    "key": (
        "keys",
        "A key as it stands in the entries: its id, its alias (alias/NAME), or the ARN of either.",
    ),
    "event": ("events", "What, such as kms.* or service.started; without a dot any verb: Decrypt."),
    "outcome": ("outcomes", "ok, failed (anything but ok), or a name such as AccessDeniedError."),
    "writer": ("writers", "The process that wrote it, such as api-0."),
    "request": ("requests", "The id of a request."),
    "member": ("members", "The HSM that did the work."),
    "source": ("sources", "The address that a call came from."),
    "approval": ("approvals", "The id of an approval."),
}
_KINDS: Final = ("intent", "outcome", "refusal", "event")


class Asked(NamedTuple):
    """What was asked for."""

    criteria: Criteria
    texts: Mapping[str, str]
    """Option by option, as it was typed; of times, what they came to."""


def with_filters(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of filters; it gets them as they are for ``asked_of``."""
    decorated = click.option(
        "--detail",
        multiple=True,
        metavar="NAME=VALUE",
        help="A name in the detail, and a pattern for its value.",
    )(with_times(function))
    decorated = click.option(
        "--kind", multiple=True, type=click.Choice(_KINDS), help="The kind of entry; may be given again."
    )(decorated)
    for name, (_, help_text) in reversed(_PATTERNS.items()):
        names = [f"--{name.replace('_', '-')}", *(["--verb"] if name == "event" else [])]
        decorated = click.option(*names, name, multiple=True, metavar="PATTERN", help=help_text)(decorated)
    return decorated


def with_times(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--since`` and ``--until``."""
    text = (
        "2026-11-22, 2026-11-22T18:00 (UTC unless it says otherwise), or so long ago: 90s, 30m, 2h, 3d, 1w."
    )
    decorated = click.option("--until", metavar="TIME", help="Before this time; as --since.")(function)
    return click.option("--since", metavar="TIME", help=f"From this time on: {text}")(decorated)


def asked_of(options: Mapping[str, Any]) -> Asked:
    """Read the options. Raises click.UsageError."""
    texts: dict[str, str] = {}
    wanted: dict[str, Any] = {}
    for name, (field, _) in _PATTERNS.items():
        if values := options.get(name):
            wanted[field] = values
            texts[name] = ", ".join(values)
    if kinds := options.get("kind"):
        wanted["kinds"] = kinds
        texts["kind"] = ", ".join(kinds)
    if details := options.get("detail"):
        wanted["details"] = dict(_detail(text) for text in details)
        texts["detail"] = ", ".join(details)
    times = asked_times(options)
    return Asked(times.criteria._replace(**wanted), {**texts, **times.texts})


def asked_times(options: Mapping[str, Any]) -> Asked:
    """Read ``--since`` and ``--until`` alone. Raises click.UsageError."""
    now_us = int(SystemClock().now() * 1_000_000)
    moments = {name: moment(text, now_us) for name in ("since", "until") if (text := options.get(name))}
    since, until = moments.get("since"), moments.get("until")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")
    return Asked(Criteria(since=since, until=until), {name: moment_text(at) for name, at in moments.items()})


def moment(text: str, now_us: int) -> int:
    """Read a time as microseconds since the epoch: ISO 8601, UTC by default, or so long before now. Raises click.UsageError."""
    if found := _AGO.fullmatch(text.strip()):
        return now_us - int(found[1]) * _SECONDS[found[2]] * 1_000_000
    try:
        at = dt.datetime.fromisoformat(text.strip())
        at = at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)
        return (at - _EPOCH) // dt.timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"{text!r} is no time: 2026-11-22, 2026-11-22T18:00, 2026-11-22T18:00+01:00, or 2h, 3d"
        ) from error


def moment_text(at: int) -> str:
    """Write microseconds since the epoch as ISO 8601 in UTC."""
    try:
        return (
            (_EPOCH + dt.timedelta(microseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
    except OverflowError:
        return str(at)


def _detail(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--detail {text!r} is not NAME=VALUE; NAME=* for any value")
    return name, value
