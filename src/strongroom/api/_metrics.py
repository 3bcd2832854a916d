"""Counters of the api room, in the Prometheus text format 0.0.4.

Plain integers, changed by the event loop's thread only. Labels come from closed sets (operations and error
codes that we know), so the number of series is bounded whatever callers send.
"""

from bisect import bisect_left
from collections import Counter

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0


class ApiMetrics:
    """Requests by operation and code, how long they took, and connections that were too many."""

    def __init__(self) -> None:
        self.connections_refused = 0
        """Connections that were closed at once, since there were too many."""
        self._requests: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, _Histogram] = {}

    def record(self, operation: str, code: str, elapsed_s: float, count: int = 1) -> None:
        """Count answered requests that took as long."""
        self._requests[operation, code] += count
        histogram = self._seconds.get(operation)
        if histogram is None:
            histogram = self._seconds[operation] = _Histogram()
        histogram.counts[bisect_left(BUCKETS_S, elapsed_s)] += count
        histogram.sum_s += elapsed_s * count

    def text(self) -> str:
        """Return the exposition."""
        lines = [
            "# HELP strongroom_api_requests_total Requests answered, by operation and AWS error code.",
            "# TYPE strongroom_api_requests_total counter",
        ]
        lines += [
            f'strongroom_api_requests_total{{operation="{operation}",code="{code}"}} {count}'
            for (operation, code), count in sorted(self._requests.items())
        ]
        lines += [
            "# HELP strongroom_api_request_seconds Time from the whole request to its answer.",
            "# TYPE strongroom_api_request_seconds histogram",
        ]
        for operation, histogram in sorted(self._seconds.items()):
            lines += _histogram_lines(operation, histogram)
        lines += [
            "# HELP strongroom_http_connections_refused_total Connections closed at once, since there were too many.",
            "# TYPE strongroom_http_connections_refused_total counter",
            f"strongroom_http_connections_refused_total {self.connections_refused}",
        ]
        return "\n".join(lines) + "\n"


def _histogram_lines(operation: str, histogram: _Histogram) -> list[str]:
    name, label = "strongroom_api_request_seconds", f'operation="{operation}"'
    total = 0
    lines = []
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), histogram.counts, strict=True):
        total += count
        lines.append(f'{name}_bucket{{{label},le="{bound}"}} {total}')
    lines.append(f"{name}_sum{{{label}}} {histogram.sum_s:.6f}")
    lines.append(f"{name}_count{{{label}}} {total}")
    return lines
