"""The failure matrix is whole, and every test that it names exists."""

from faults.failure_matrix import PAGE, functions_named_test_in, render, rows


def test_every_row_is_there_once():
    assert [row.id for row in rows()] == [f"F{number}" for number in range(1, 47)]


def test_every_test_that_is_named_exists():
    named = [test.partition("::") for row in rows() for test in row.tests]
    assert [f"{file}::{name}" for file, _, name in named if name not in functions_named_test_in(file)] == []


def test_a_row_has_tests_or_says_why_not():
    assert [row.id for row in rows() if bool(row.tests) == bool(row.untested)] == []


def test_at_least_38_rows_are_tested():
    assert sum(bool(row.tests) for row in rows()) >= 38


def test_the_page_in_the_docs_is_the_matrix():
    assert PAGE.read_text() == render(), (
        "write it anew: .venv/bin/python -m faults.failure_matrix, in the folder tests"
    )
