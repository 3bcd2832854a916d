"""``strongroom bench`` without a service: its options, and what is missing."""

import pytest

from cli_support import make_home, run
from strongroom import bench
from strongroom.bench import _wrk
from strongroom.cli import _bench


@pytest.mark.parametrize(
    "arguments",
    [
        ["--connections", "0"],
        ["--connections", "1,,8"],
        ["--connections", "10001"],
        ["--connections", "9" * 5000],
        ["--connections", "¹"],
        ["--operations", "Verify"],
        ["--operations", ""],
        ["--seconds", "0"],
        ["--seconds", "121"],
    ],
)
def test_options_that_cannot_be_measured_are_wrong_usage(arguments):
    assert run("bench", *arguments).exit_code == 2


def test_lists_may_hold_blanks():
    assert _bench.numbers_of(None, None, "1, 8,64") == [1, 8, 64]
    assert _bench.operations_of(None, None, "Encrypt, Decrypt") == ["Encrypt", "Decrypt"]


def test_without_the_load_generator_the_command_says_where_to_get_it(tmp_path):
    result = run("bench", PATH=str(tmp_path), STRONGROOM_HOME=str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "apt-get install wrk" in result.stderr


def test_without_a_service_the_command_says_so(tmp_path):
    home = make_home(tmp_path / "home", port=1)
    (tmp_path / "wrk").write_text("#!/bin/sh\n")
    (tmp_path / "wrk").chmod(0o755)
    result = run("bench", PATH=str(tmp_path), STRONGROOM_HOME=str(home.root), STRONGROOM_PORT="1")
    assert result.exit_code == 1
    assert "is the service running" in result.stderr


def test_the_command_offers_what_the_room_measures():
    assert _bench.OPERATIONS == bench.OPERATIONS
    assert (_bench.MAX_SECONDS, _bench.MAX_CONNECTIONS) == (_wrk.MAX_SECONDS, _wrk.MAX_CONNECTIONS)
