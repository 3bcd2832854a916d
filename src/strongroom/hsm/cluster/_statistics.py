"""What a caller's process counts of its calls to members, for metrics and status."""

from collections import Counter

from strongroom.hsm.cluster._latency import Totals


class ClusterStatistics:
    """Counters since this process started. They outlive generations of workers. Belongs to the event loop."""

    def __init__(self) -> None:
        self.latencies: dict[tuple[str, str], Totals] = {}
        """By member and verb: how long calls took, those too that lost against another member or timed out."""
        self.failovers: Counter[str] = Counter()
        """By member: attempts that failed there and moved on."""
        self.busy: Counter[str] = Counter()
        """By member: attempts that it refused since it had enough to do, and that moved on."""
        self.hedges: Counter[str] = Counter()
        """By member: calls that took longer there than they should, so that another member was asked too."""
        self.hedges_won = 0
        """How often the second member answered first."""
        self.hedges_refused = 0
        """How often no second member was asked, for the budget was spent."""
        self.retries_delayed = 0
        """How often a call waited before it moved on, for the budget was spent."""
        self.probes: Counter[str] = Counter()
        """By member: calls that were sent there too, to see how it is."""

    def took(self, member: str, verb_name: str, seconds: float) -> None:
        """Count one attempt."""
        totals = self.latencies.get((member, verb_name))
        if totals is None:
            totals = self.latencies[(member, verb_name)] = Totals()
        totals.add(seconds)
