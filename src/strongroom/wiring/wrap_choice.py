"""Choosing the wrap algorithm of a cluster: the best one that every member can do, as tried on the tokens themselves."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from strongroom.config import Home, MemberConfig, read_pin
from strongroom.core import ConfigError, WrapAlgorithm
from strongroom.wiring.bootstrap import Started, WrapTried
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


def require_wrap_algorithm(
    member: str, tried: Sequence[WrapTried], algorithm: WrapAlgorithm, variant: str
) -> None:
    """Raise ConfigError unless a member that wants to join can do what its cluster does."""
    answer = next((one for one in tried if one.algorithm == algorithm), None)
    if answer is not None and answer.missing is None and answer.variant == variant:
        return
    reason = "it was not tried" if answer is None else answer.missing
    if reason is None and answer is not None:
        reason = f"its OAEP hash is {answer.variant}, the cluster's is {variant}"
    raise ConfigError(
        f"member {member} cannot join: the cluster wraps by {algorithm.name}, and {reason}",
        next_step="take another token, or correct the profile of the member where it does not fit the token",
    )


async def try_member(member: MemberConfig, home: Home, sockets: Path) -> list[WrapTried]:
    """Start a worker that logs in as user, tries every wrap algorithm, and ends. Raises HsmError."""
    pin = read_pin(member.pin, home.root)
    try:
        bootstrap = member_bootstrap(member, home, "probe", pin=pin.reveal(), sockets=sockets, generation=0)
    finally:
        pin.zeroize()
    child = await start_member(bootstrap, member_environment(member, home))
    started: Started = child.started
    await child.end()
    return started.wrapping


def asker(
    members: Sequence[MemberConfig], home: Home, sockets: Path
) -> Callable[[str], "asyncio.Future[list[WrapTried]]"]:
    """Return what tries all on one member, by its name."""
    by_name = {member.name: member for member in members}
    start = partial(try_member, home=home, sockets=sockets)
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
