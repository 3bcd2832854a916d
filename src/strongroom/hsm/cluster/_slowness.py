"""Whether a member is far slower than the others, or again as fast: always compared with them, never with its own past."""

from collections.abc import Iterable
from typing import Literal

from strongroom.hsm.cluster._worker import Worker

_SLOW_CALLS = 20
_SLOW_FACTOR = 5.0
_SLOWER_BY_S = 0.01
"""A difference below this hurts nobody, whatever the factor."""
_FAST_CALLS = 5
_FAST_FACTOR = 2.0

Speed = Literal["slow", "recovered"]


def judge(worker: Worker, others: Iterable[Worker], verb_name: str) -> tuple[Speed, str] | None:
    """What is to be reported of a worker after a call for this verb, and why; None where nothing has changed.

    ``slow``: the middle one of its last 20 calls took 5 times as long as with the fastest of the others.
    ``recovered``: a degraded one took at most twice as long, for each verb that it was asked.
    """
    rivals = [other for other in others if other.entry.member != worker.entry.member and other.is_healthy]
    if worker.is_degraded:
        return _recovered(worker, rivals)
    own_s = worker.latencies_of(verb_name).recent_median(_SLOW_CALLS)
    best_s = _best_s(rivals, verb_name)
    if own_s is None or best_s is None or own_s < max(best_s * _SLOW_FACTOR, best_s + _SLOWER_BY_S):
        return None
    return "slow", f"{verb_name} takes {own_s * 1000:.3g} ms, with others {best_s * 1000:.3g} ms"


def _recovered(worker: Worker, rivals: list[Worker]) -> tuple[Speed, str] | None:
    is_known = False
    for verb_name, latencies in worker.latencies.items():
        own_s, best_s = latencies.recent_median(_FAST_CALLS), _best_s(rivals, verb_name)
        if own_s is None or best_s is None:
            continue
        if own_s > max(best_s * _FAST_FACTOR, best_s + _SLOWER_BY_S):
            return None
        is_known = True
    return ("recovered", "as fast as the others") if is_known else None


def _best_s(rivals: list[Worker], verb_name: str) -> float | None:
    known = [
        median_s
        for rival in rivals
        if verb_name in rival.latencies
        and (median_s := rival.latencies[verb_name].recent_median(_SLOW_CALLS)) is not None
    ]
    return min(known, default=None)
