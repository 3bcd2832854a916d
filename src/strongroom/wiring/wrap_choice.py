"""Choosing the wrap algorithm of a cluster: the best one that every member can do, as tried on the tokens themselves.

Once the cluster has one, nobody chooses any more: a worker is told which it is, proves it on its token, and a member that
cannot do it does not serve.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from strongroom.config import Home, MemberConfig
from strongroom.core import ConfigError, Secret, WrapAlgorithm
from strongroom.wiring.bootstrap import Started, WrapTried
from strongroom.wiring.pin_sealing import read_pin
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member

WrapAnswers = Mapping[str, Sequence[WrapTried]]
"""What was tried on each member, by its name."""


async def choose_wrap_algorithm(
    answers: WrapAnswers, ask: Callable[[str], "asyncio.Future[list[WrapTried]]"]
) -> WrapAlgorithm:
    """Choose what all members can, the best first.

    ``answers`` may end with the first algorithm that works on a member; ``ask`` tries all on one, where that is not enough.
    Raises ConfigError, which says what each member lacks.
    """
    common = _common(answers)
    if common is None:
        tried = await asyncio.gather(*(ask(name) for name in answers))
        answers = dict(zip(answers, tried, strict=True))
        common = _common(answers)
    if common is None:
        raise ConfigError(
            "there is no wrap algorithm that all members can do",
            next_step="; ".join(f"{name}: {_complaints(tried)}" for name, tried in answers.items()),
        )
    return WrapAlgorithm(common.algorithm)


async def try_member(
    member: MemberConfig,
    home: Home,
    sockets: Path,
    user_pin: Callable[[MemberConfig], Secret] | None = None,
) -> list[WrapTried]:
    """Start a worker that logs in as user, tries every wrap algorithm, and ends. Raises HsmError."""
    pin = read_pin(member, home) if user_pin is None else user_pin(member)
    try:
        bootstrap = member_bootstrap(member, home, "probe", pin=pin.reveal(), sockets=sockets, generation=0)
    finally:
        pin.zeroize()
    child = await start_member(bootstrap, member_environment(member, home))
    started: Started = child.started
    await child.end()
    return started.wrapping


def asker(
    members: Sequence[MemberConfig],
    home: Home,
    sockets: Path,
    user_pin: Callable[[MemberConfig], Secret] | None = None,
) -> Callable[[str], "asyncio.Future[list[WrapTried]]"]:
    """Return what tries all on one member, by its name. ``user_pin``: else its PIN is read as it is configured."""
    by_name = {member.name: member for member in members}
    start = partial(try_member, home=home, sockets=sockets, user_pin=user_pin)
    return lambda name: asyncio.ensure_future(start(by_name[name]))


def _common(answers: WrapAnswers) -> WrapTried | None:
    able = [
        {(one.algorithm, one.variant) for one in tried if one.missing is None} for tried in answers.values()
    ]
    if not able:
        return None
    shared = set.intersection(*able)
    return next(
        (one for tried in answers.values() for one in tried if (one.algorithm, one.variant) in shared), None
    )


def _complaints(tried: Sequence[WrapTried]) -> str:
    return ", ".join(
        one.missing or f"can {WrapAlgorithm(one.algorithm).name} {one.variant}".rstrip() for one in tried
    )
