"""The example in the room's docstring runs."""

import doctest

import strongroom.storage


def test_the_example_in_the_docstring_runs():
    outcome = doctest.testmod(strongroom.storage)
    assert outcome.attempted > 0
    assert outcome.failed == 0
