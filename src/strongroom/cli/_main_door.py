"""What the commands have in common that ask main of the service, at its control socket."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from strongroom.cli._errors import NotReadyError
from strongroom.wiring.members_door import MembersNotReachableError

AnswerT = TypeVar("AnswerT")


def _checked_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value and not re.fullmatch("[0-9a-f]{8,64}", value):
        raise click.BadParameter("an id of a request has 8 to 64 of the characters 0-9a-f")
    return value


approval_option = click.option(
    "--approval",
    metavar="ID",
    default="",
    callback=_checked_id,
    help="The request by which officers approved it; else one for just this is looked for, and officers are asked if there is none.",
)


def answer_of(asked: Coroutine[Any, Any, AnswerT]) -> AnswerT:
    """Return what main answers to ``ask_members`` or one of its kin. Raises NotReadyError when it does not."""
    try:
        return asyncio.run(asked)
    except MembersNotReachableError as error:
        raise NotReadyError(error.message, next_step=error.next_step) from error
