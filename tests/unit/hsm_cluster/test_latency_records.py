"""Latency records: quantiles within a fifth, a past that is forgotten, memory that does not grow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.hsm.cluster._hedging import Budget, HedgeDelays
from strongroom.hsm.cluster._latency import BOUNDS_S, Latencies, Totals, middle
from strongroom.testing import FakeClock

SECONDS = st.floats(0, 200)


@given(took=st.lists(SECONDS, min_size=1, max_size=200), part=st.floats(0.01, 1))
def test_a_quantile_is_never_too_low_and_at_most_a_fifth_too_high(took, part):
    record = Latencies(FakeClock())
    for seconds in took:
        record.add(seconds)
    exact = sorted(took)[max(math.ceil(part * len(took) - 1e-9) - 1, 0)]
    found = record.quantile(part, at_least=1)
    assert found >= min(exact, 100) * (1 - 1e-9)
    assert found <= max(exact * 2**0.25, 0.0001) * (1 + 1e-6)


def test_what_was_long_ago_is_forgotten_and_what_was_just_now_is_not():
    clock = FakeClock()
    record = Latencies(clock)
    record.add(1.0)
    clock.advance(9)
    assert record.quantile(0.5, at_least=1) > 0.9
    clock.advance(10)
    record.add(0.001)
    assert record.quantile(1.0, at_least=1) > 0.9
    clock.advance(10)
    assert record.quantile(1.0, at_least=1) < 0.002
    clock.advance(20)
    assert record.quantile(0.5, at_least=1) is None


def test_the_recent_median_needs_enough_calls_that_are_fresh():
    clock = FakeClock()
    record = Latencies(clock)
    for seconds in [9.0] * 30 + [1.0] * 11:
        record.add(seconds)
    assert record.recent_median(20) == 1.0
    assert record.recent_median(5) == 1.0
    assert record.recent_median(33) is None
    clock.advance(10.5)
    assert record.recent_median(5) is None
    record.forget_recent()
    record.add(2.0)
    assert record.recent_median(1) == 2.0
    assert record.recent_median(2) is None


@given(took=st.lists(SECONDS, max_size=100))
def test_totals_count_each_call_in_the_first_bucket_that_holds_it(took):
    totals = Totals()
    for seconds in took:
        totals.add(seconds)
    for place, bound in enumerate(BOUNDS_S):
        assert sum(totals.buckets[: place + 1]) == sum(seconds <= bound * (1 + 1e-9) for seconds in took)
    assert totals.count == len(took)
    assert totals.sum_s == pytest.approx(sum(took))


@pytest.mark.parametrize(
    ("values", "expected"), [([], None), ([None], None), ([3], 3), ([9, 1], 1), ([1, 9, 2, None], 2)]
)
def test_the_middle_is_the_lower_of_two(values, expected):
    assert middle(values) == expected


@given(
    steps=st.lists(st.tuples(st.sampled_from(["call", "extra"]), st.floats(0, 1)), max_size=300),
    ratio=st.floats(0, 1),
    per_s=st.floats(0, 10),
    burst=st.integers(0, 20),
)
def test_never_more_extra_calls_than_the_budget_allows(steps, ratio, per_s, burst):
    clock = FakeClock()
    budget = Budget(clock, ratio=ratio, per_s=per_s, burst=burst)
    calls = extra = elapsed = 0
    for what, pause in steps:
        clock.advance(pause)
        elapsed += pause
        if what == "call":
            budget.earn()
            calls += 1
        else:
            extra += budget.spend()
    assert extra <= burst + calls * ratio + elapsed * per_s + 1e-6


def filled(clock, seconds, n_calls=100):
    record = Latencies(clock)
    for _ in range(n_calls):
        record.add(seconds)
    return record


@pytest.mark.parametrize(
    ("took", "expected"),
    [
        ([], 0.25),  # nobody knows: a quarter of an attempt
        ([0.001, 0.001], 0.01),  # never earlier than 10 ms
        ([0.04, 0.04, 0.04], 0.06),
        ([0.04, 0.4, 0.04], 0.06),  # one slow member of three does not move it
        ([0.04, 0.4], 0.06),  # nor one of two
        ([0.9, 0.9], 0.5),  # never later than half an attempt
    ],
)
def test_a_second_member_is_asked_by_what_the_middle_of_the_healthy_ones_takes(took, expected):
    clock = FakeClock()
    records = [filled(clock, seconds) for seconds in took]
    delay_s = HedgeDelays(clock, attempt_s=1.0).after_s("sign", lambda _verb: records)
    assert expected <= delay_s <= expected * 1.2


def test_members_with_few_calls_are_no_measure():
    clock = FakeClock()
    records = [filled(clock, 0.001, n_calls=19)]
    assert HedgeDelays(clock, attempt_s=1.0).after_s("sign", lambda _verb: records) == 0.25
