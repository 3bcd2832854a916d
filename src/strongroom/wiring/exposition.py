"""Metrics of members as Prometheus text (exposition format 0.0.4): what callers see, and what main did about it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from strongroom.hsm.cluster import BOUNDS_S, SERVING, BreakerState, HsmCluster

_Family: TypeAlias = tuple[str, str, Mapping[str, int | float]]
"""A metric of a kind that is known: its name, what it says, its samples."""
_BREAKER_NUMBERS: dict[BreakerState, int] = {"closed": 0, "half-open": 1, "open": 2}


class MemberCounts(NamedTuple):
    """What has happened to one member since main started."""

    starts: int
    failures: int
    recycled: int
    recoveries: Mapping[str, int]
    """By rung of the recovery ladder (``hsm.token.RecoveryCounters``)."""


def family(name: str, kind: str, text: str, samples: Mapping[str, int | float]) -> str:
    """One metric: its comments, and a line for each of its samples by their labels."""
    lines = [f"# HELP strongroom_{name} {text}", f"# TYPE strongroom_{name} {kind}"]
    lines += [f"strongroom_{name}{labels} {value}" for labels, value in samples.items()]
    return "\n".join(lines) + "\n"


def cluster_metrics(cluster: HsmCluster) -> str:
    """What an API process sees of the members: states, breakers, latencies, and what it did beyond plain calls."""
    counters = "".join(family(name, "counter", text, samples) for name, text, samples in _counters(cluster))
    gauges = "".join(family(name, "gauge", text, samples) for name, text, samples in _gauges(cluster))
    text = "How long a member took for a verb, seen from its caller."
    return counters + gauges + family("hsm_call_seconds", "histogram", text, dict(_latencies(cluster)))


def _counters(cluster: HsmCluster) -> Sequence[_Family]:
    counted = cluster.statistics
    names = sorted({worker.entry.member for worker in cluster.workers()})
    return (
        ("hsm_failovers_total", "HSM attempts that moved on.", {"": cluster.failovers}),
        (
            "hsm_member_failovers_total",
            "HSM attempts that failed on a member and moved on.",
            _by_member(names, counted.failovers),
        ),
        (
            "hsm_member_busy_total",
            "HSM attempts that a member refused since it had enough to do.",
            _by_member(names, counted.busy),
        ),
        (
            "hsm_hedges_total",
            "Calls that were late on a member, so that another one was asked too.",
            _by_member(names, counted.hedges),
        ),
        ("hsm_hedges_won_total", "Second members that answered first.", {"": counted.hedges_won}),
        (
            "hsm_hedges_refused_total",
            "Late calls for which no second member was asked: the budget was spent.",
            {"": counted.hedges_refused},
        ),
        (
            "hsm_retries_delayed_total",
            "Failed attempts that waited before they moved on: the budget was spent.",
            {"": counted.retries_delayed},
        ),
        (
            "hsm_probes_total",
            "Calls that a doubtful member got besides a healthy one.",
            _by_member(names, counted.probes),
        ),
    )


def _gauges(cluster: HsmCluster) -> Sequence[_Family]:
    workers = cluster.workers()
    entries = [
        (_labels(member=worker.entry.member, worker=worker.entry.worker), worker) for worker in workers
    ]
    return (
        (
            "hsm_member_active",
            "Whether a member's worker serves.",
            {labels: int(worker.entry.state in SERVING) for labels, worker in entries},
        ),
        (
            "hsm_member_state",
            "The state of a member's worker: 1 for the one that it is in.",
            {
                _labels(member=worker.entry.member, worker=worker.entry.worker, state=worker.entry.state): 1
                for worker in workers
            },
        ),
        (
            "hsm_member_generation",
            "How often a member's worker was started.",
            {labels: worker.entry.generation for labels, worker in entries},
        ),
        (
            "hsm_breaker_state",
            "The breaker of a member's worker: 0 closed, 1 half-open, 2 open.",
            {labels: _BREAKER_NUMBERS[worker.breaker.state] for labels, worker in entries},
        ),
    )


def supervisor_metrics(counts: Mapping[str, MemberCounts]) -> str:
    """What main did for each member."""
    columns: Sequence[_Family] = [
        (
            "hsm_worker_starts_total",
            "Worker processes started for a member.",
            {_labels(member=name): count.starts for name, count in counts.items()},
        ),
        (
            "hsm_worker_failures_total",
            "Worker processes of a member that failed or could not be started.",
            {_labels(member=name): count.failures for name, count in counts.items()},
        ),
        (
            "hsm_workers_recycled_total",
            "Worker processes of a member that handed over to a new one in order.",
            {_labels(member=name): count.recycled for name, count in counts.items()},
        ),
        (
            "hsm_recoveries_total",
            "Recoveries inside a member's workers, by rung of the ladder.",
            {
                _labels(member=name, rung=rung): times
                for name, count in counts.items()
                for rung, times in sorted(count.recoveries.items())
            },
        ),
    ]
    return "".join(family(name, "counter", text, samples) for name, text, samples in columns)


def _by_member(names: Iterable[str], counted: Mapping[str, int]) -> dict[str, int | float]:
    return {_labels(member=name): counted.get(name, 0) for name in names}


def _latencies(cluster: HsmCluster) -> Iterator[tuple[str, int | float]]:
    """Samples of the histogram, the suffix of its name before the labels."""
    for (member, verb), totals in sorted(cluster.statistics.latencies.items()):
        up_to = 0
        for bound_s, count in zip(BOUNDS_S, totals.buckets, strict=True):
            up_to += count
            yield f"_bucket{_labels(member=member, verb=verb, le=f'{bound_s:.4f}')}", up_to
        yield f"_bucket{_labels(member=member, verb=verb, le='+Inf')}", totals.count
        yield f"_sum{_labels(member=member, verb=verb)}", round(totals.sum_s, 6)
        yield f"_count{_labels(member=member, verb=verb)}", totals.count


def _labels(**values: object) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in values.items()) + "}"
