"""``--context NAME=VALUE``: the encryption context, given pair by pair."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click


def _pairs(_ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or name in found:
            raise click.BadParameter("give NAME=VALUE, each name once", param=param)
        found[name] = value
    return found


def context_option(words: str) -> Callable[[Any], Any]:
    """Make the option; ``words`` are its help."""
    return click.option(
        "--context",
        "-c",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_pairs,
        help=f"{words}; may be repeated.",
    )
