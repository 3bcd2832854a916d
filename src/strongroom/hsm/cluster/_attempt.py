"""One attempt of a call on one worker, and what holds for all attempts of a cluster."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from strongroom.core import MemberDeadlineError, Secret
from strongroom.hsm.cluster._batch_cluster import BatchOutcome
from strongroom.hsm.cluster._hedging import Budget, HedgeDelays
from strongroom.hsm.cluster._worker import Worker

_FAIR_SHARE = 0.5
"""A member that got less than this part of an attempt's time is not blamed for having given no answer."""


class CallLimits(NamedTuple):
    """What holds for all calls of a cluster together."""

    attempt_s: float
    hedges: Budget
    retries: Budget
    delays: HedgeDelays
    jitter: Callable[[], float]
    """Numbers from 0 to 1."""


class Attempt:
    """``is_shadow``: sent besides the call proper, to see how the worker is; its answer counts, its errors do not."""

    __slots__ = ("given_s", "is_late", "is_second", "is_shadow", "worker")

    def __init__(self, worker: Worker, given_s: float, *, is_shadow: bool, is_second: bool) -> None:
        self.worker = worker
        self.given_s = given_s
        self.is_shadow = is_shadow
        self.is_second = is_second
        self.is_late = False


def is_hurry(error: BaseException, attempt: Attempt, attempt_s: float) -> bool:
    """Whether a worker gave no answer only because the call had so little time left for it."""
    return isinstance(error, MemberDeadlineError) and attempt.given_s < attempt_s * _FAIR_SHARE


def overwrite(task: asyncio.Task[Any]) -> None:
    """Take notice of an attempt that nobody waits for."""
    if not task.cancelled() and task.exception() is None:
        result = task.result()
        if isinstance(result, Secret | BatchOutcome):
            result.zeroize()
