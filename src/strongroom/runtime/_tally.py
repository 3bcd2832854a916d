"""What has happened to one member since main started: how long it served and did not, failures, recoveries."""

from collections import Counter
from collections.abc import Mapping

from strongroom.core import Clock, StrongroomError
from strongroom.wiring.exposition import MemberCounts


class MemberTally:
    """Belongs to the event loop of main."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active_since: float | None = None
        self._lost_at: float | None = None
        self._failures = self._recycled = 0
        self._recoveries: Counter[str] = Counter()
        self._recoveries_before: Counter[str] = Counter()

    @property
    def served_s(self) -> float:
        """For how long it has served without a failure; 0 when it does not."""
        return 0.0 if self._active_since is None else self._clock.monotonic() - self._active_since

    def counts(self, generation: int) -> MemberCounts:
        """What is counted for the metrics."""
        recoveries = self._recoveries_before + self._recoveries
        return MemberCounts(generation, self._failures, self._recycled, recoveries)

    def tries_again(self) -> None:
        """It does not serve, and another worker is to be started."""
        self._active_since = None

    def serves(self, failure: StrongroomError | None) -> dict[str, object]:
        """It serves; returns what the log says of the outage that ended, if one did, with the failure that it began with."""
        self._active_since = self._clock.monotonic()
        if self._lost_at is None:
            return {}
        outage: dict[str, object] = {"outage_s": round(self._clock.monotonic() - self._lost_at, 3)}
        if failure is not None:
            outage["cause"] = failure.message
        self._lost_at = None
        return outage

    def failed(self) -> None:
        """It failed, while it served or before."""
        self._failures += 1
        if self._lost_at is None and self._active_since is not None:
            self._lost_at = self._clock.monotonic()

    def recycled(self) -> None:
        """A worker was replaced in good time."""
        self._recycled += 1

    def recovered(self, recoveries: Mapping[str, int]) -> None:
        """Take what the present worker counted so far."""
        self._recoveries = Counter(recoveries)

    def worker_ended(self) -> None:
        """The present worker counts no more."""
        self._recoveries_before += self._recoveries
        self._recoveries = Counter()
