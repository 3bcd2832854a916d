"""The metrics of members: valid Prometheus text that adds up over processes, with main's counts among them."""

import re
from collections import Counter

import pytest

from strongroom.core import SystemClock
from strongroom.hsm.cluster import ClusterTable, HsmCluster, MemberState, WorkerEntry
from strongroom.runtime._metrics import add_expositions
from strongroom.testing import RecordingEvents
from strongroom.wiring.exposition import MemberCounts, cluster_metrics, supervisor_metrics

LINE = re.compile(r'strongroom_[a-z_]+(\{([a-z]+="[^"\\]*",?)+\})? [0-9.e+-]+')


@pytest.fixture
async def cluster():
    made = HsmCluster(
        clock=SystemClock(), events=RecordingEvents(), attempt_s=1, report=lambda _suspicion: None
    )
    states = (MemberState.ACTIVE, MemberState.DEGRADED, MemberState.STOPPED)
    entries = [WorkerEntry(name, 0, 1, state, "/nowhere") for name, state in zip("abc", states, strict=True)]
    made.apply(ClusterTable(1, entries))
    for took_s in (0.00005, 0.0003, 0.3, 300.0):
        made.statistics.took("a", "sign RSA_2048", took_s)
    made.statistics.failovers.update(["a", "a", "b"])
    yield made
    made.close()


def samples(text):
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines), text
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_the_histogram_of_a_verb_rises_to_its_count(cluster):
    found = samples(cluster_metrics(cluster))
    labels = 'member="a",verb="sign RSA_2048"'
    buckets = [
        value for name, value in found.items() if name.startswith("strongroom_hsm_call_seconds_bucket")
    ]
    assert buckets == sorted(buckets)
    assert found[f'strongroom_hsm_call_seconds_bucket{{{labels},le="0.0001"}}'] == 1
    assert found[f'strongroom_hsm_call_seconds_bucket{{{labels},le="0.0004"}}'] == 2
    assert found[f'strongroom_hsm_call_seconds_bucket{{{labels},le="+Inf"}}'] == 4
    assert found[f"strongroom_hsm_call_seconds_count{{{labels}}}"] == 4
    assert found[f"strongroom_hsm_call_seconds_sum{{{labels}}}"] == pytest.approx(300.30035)


async def test_members_that_serve_count_as_active_and_every_state_is_told(cluster):
    found = samples(cluster_metrics(cluster))
    active = [found[f'strongroom_hsm_member_active{{member="{name}",worker="0"}}'] for name in "abc"]
    assert active == [1, 1, 0]
    assert found['strongroom_hsm_member_state{member="b",worker="0",state="degraded"}'] == 1
    assert found["strongroom_hsm_failovers_total"] == 3
    assert found['strongroom_hsm_member_failovers_total{member="c"}'] == 0


async def test_counts_of_two_processes_and_of_main_add_up(cluster):
    main = supervisor_metrics({"a": MemberCounts(3, 2, 1, Counter({"relogins": 4}))})
    found = samples(add_expositions([cluster_metrics(cluster), cluster_metrics(cluster), main]))
    assert found["strongroom_hsm_failovers_total"] == 6
    assert found['strongroom_hsm_call_seconds_count{member="a",verb="sign RSA_2048"}'] == 8
    assert found['strongroom_hsm_worker_starts_total{member="a"}'] == 3
    assert found['strongroom_hsm_recoveries_total{member="a",rung="relogins"}'] == 4
    assert found['strongroom_hsm_breaker_state{member="a",worker="0"}'] == 0
