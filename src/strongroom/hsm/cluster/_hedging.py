"""How much more than the calls themselves may be asked of the members, and when it is worth it."""

from collections.abc import Callable

from strongroom.core import Clock
from strongroom.hsm.cluster._latency import Latencies, middle

_FACTOR = 1.5
_SHORTEST_S = 0.01
"""Nobody asks a second member earlier than this, whatever the first usually takes."""
_UNKNOWN = 0.25
"""Of an attempt's time: when a second member is asked while nobody knows how long the verb takes."""
_LATEST = 0.5
"""Of an attempt's time: when a second member is asked at the latest."""
_ENOUGH_CALLS = 20
_KEPT_FOR_S = 0.25


class Budget:
    """Extra work as a part of the regular: each call earns ``ratio``, each extra one spends 1; ``burst`` can be saved.

    So whatever goes wrong, the members get at most ``1 + ratio`` times the calls, beyond the burst and ``per_s`` extra
    calls each second, which keep those going who have few calls. It begins full.
    """

    __slots__ = ("_burst", "_clock", "_earned_at", "_per_s", "_ratio", "_saved")

    def __init__(self, clock: Clock, *, ratio: float, per_s: float, burst: float) -> None:
        self._clock = clock
        self._ratio = ratio
        self._per_s = per_s
        self._burst = burst
        self._saved = burst
        self._earned_at = clock.monotonic()

    def earn(self) -> None:
        """Count one regular call."""
        self._saved = min(self._saved + self._ratio, self._burst)

    def spend(self) -> bool:
        """Take leave for one extra call; False where none is left."""
        now = self._clock.monotonic()
        self._saved = min(self._saved + (now - self._earned_at) * self._per_s, self._burst)
        self._earned_at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


class HedgeDelays:
    """When a call has taken longer than it should: 1.5 times what 99 % of them take in the healthy cluster.

    The healthy cluster is the middle one of its members (the better of two), never the slow one's own past.
    """

    def __init__(self, clock: Clock, attempt_s: float) -> None:
        self._clock = clock
        self._attempt_s = attempt_s
        self._known: dict[str, tuple[float, float]] = {}

    def after_s(self, verb_name: str, healthy: Callable[[str], list[Latencies]]) -> float:
        """How long to wait for a member before another one is asked too, in seconds.

        ``healthy`` gives the records of the healthy members for a verb; it is asked four times a second.
        """
        now = self._clock.monotonic()
        until, delay_s = self._known.get(verb_name, (0.0, 0.0))
        if now >= until:
            usual_s = middle(each.quantile(0.99, at_least=_ENOUGH_CALLS) for each in healthy(verb_name))
            wanted_s = self._attempt_s * _UNKNOWN if usual_s is None else usual_s * _FACTOR
            delay_s = min(max(wanted_s, _SHORTEST_S), self._attempt_s * _LATEST)
            self._known[verb_name] = (now + _KEPT_FOR_S, delay_s)
        return delay_s
