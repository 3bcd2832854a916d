"""What can be lost is said as it is: every set of locations that is named can go, and no other one."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED
from strongroom.wiring.custodian_losses import MOST_PLACES, losses

PLACES = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=MOST_PLACES)


def left_without(places, lost):
    return sum(place not in lost for place in places)


@UNHURRIED
@given(threshold=st.integers(1, MOST_PLACES), places=PLACES)
def test_a_set_of_locations_can_be_lost_exactly_if_it_is_part_of_one_that_is_named(threshold, places):
    found = losses(threshold, places)
    every = sorted(set(places))
    for size in range(len(every) + 1):
        for lost in combinations(every, size):
            is_enough = left_without(places, lost) >= threshold
            assert is_enough == any(set(lost) <= set(named) for named in found.locations)


@UNHURRIED
@given(threshold=st.integers(1, MOST_PLACES), places=PLACES)
def test_so_many_people_and_locations_can_be_lost_and_not_one_more(threshold, places):
    found = losses(threshold, places)
    assert found.people == len(places) - threshold
    assert found.is_recoverable == (len(places) >= threshold)
    every = sorted(set(places))
    number = found.any_locations
    if not found.is_recoverable:
        assert number < 0
        return
    assert all(left_without(places, lost) >= threshold for lost in combinations(every, number))
    assert number == len(every) or any(
        left_without(places, lost) < threshold for lost in combinations(every, number + 1)
    )


@UNHURRIED
@given(threshold=st.integers(1, MOST_PLACES), places=PLACES)
def test_a_vital_location_is_one_whose_loss_alone_is_too_much(threshold, places):
    found = losses(threshold, places)
    assert set(found.vital) == {place for place in places if left_without(places, {place}) < threshold}


@UNHURRIED
@given(threshold=st.integers(1, MOST_PLACES), places=PLACES)
def test_no_named_set_is_part_of_another(threshold, places):
    named = [set(one) for one in losses(threshold, places).locations]
    assert not any(one < other for one in named for other in named)


def test_three_of_five_in_three_cities():
    found = losses(3, ["Bern", "Bern", "Zug", "Genf", "Genf"])
    assert (found.people, found.any_locations, found.vital) == (2, 1, ())
    assert found.locations == (("Bern",), ("Genf",), ("Zug",))


def test_all_shares_in_one_place_is_said():
    assert losses(2, ["Bern"] * 3).vital == ("Bern",)


def test_sixteen_places_of_their_own_take_no_noticeable_time():
    assert len(losses(8, [str(number) for number in range(16)]).locations) == 12_870


def test_more_shares_than_a_set_can_have_are_refused():
    with pytest.raises(ValueError, match="16"):
        losses(2, ["x"] * 17)
