"""The example in the room's docstring runs."""

import doctest

import strongroom.envelope


def test_the_example_in_the_docstring_runs():
    outcome = doctest.testmod(strongroom.envelope)
    assert outcome.attempted > 0
    assert outcome.failed == 0
