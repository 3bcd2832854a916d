"""The metrics of several processes as one: nothing is counted twice, nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from strongroom.runtime._metrics import add_expositions

ONE = """\
# HELP a_total Things.
# TYPE a_total counter
a_total{kind="x"} 1
a_total{kind="y"} 2
# HELP ready Ready.
# TYPE ready gauge
ready 1
# HELP t Seconds.
# TYPE t histogram
t_bucket{le="0.1"} 1
t_bucket{le="+Inf"} 2
t_sum 0.25
t_count 2
# HELP strongroom_kek_cache_entries Kept.
# TYPE strongroom_kek_cache_entries gauge
strongroom_kek_cache_entries 3
"""


def test_counters_and_histograms_add_and_gauges_of_the_same_thing_do_not() -> None:
    both = add_expositions([ONE, ONE]).splitlines()
    assert 'a_total{kind="x"} 2' in both
    assert 'a_total{kind="y"} 4' in both
    assert "ready 1" in both
    assert 't_bucket{le="+Inf"} 4' in both
    assert "t_sum 0.500000" in both
    assert "strongroom_kek_cache_entries 6" in both
    assert both.count("# TYPE a_total counter") == 1


def test_one_process_stays_as_it_is() -> None:
    assert add_expositions([ONE]).replace("0.250000", "0.25") == ONE


def test_a_series_that_only_one_process_has_is_kept() -> None:
    assert 'a_total{kind="z"} 7' in add_expositions([ONE, '# TYPE a_total counter\na_total{kind="z"} 7\n'])


@given(st.lists(st.text(max_size=80), max_size=4))
def test_whatever_a_process_says_does_no_harm(texts: list[str]) -> None:
    add_expositions(texts)
