"""What wrk says at its end, and the script that it is given."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.bench import BenchError, Errors, Run, lua_script, parse_report, request_table

REPORT = (
    '{"requests":1200,"duration_us":2000000,"p50_us":810.5,"p99_us":2400.0,"max_us":9000.0,'
    '"connect":1,"read":2,"write":3,"timeout":4,"status":5}'
)
SAID = f"""Running 2s test @ http://127.0.0.1:8443/
  Latency     0.97ms  421.60us   4.71ms   78.75%
Requests/sec:    600.00

strongroom-bench-report {REPORT}
"""


def test_a_report_becomes_a_run_in_seconds_and_milliseconds():
    assert parse_report(SAID) == Run(
        requests=1200,
        seconds=2.0,
        rate=600.0,
        p50_ms=0.8105,
        p99_ms=2.4,
        max_ms=9.0,
        errors=Errors(connect=1, read=2, write=3, timeout=4, status=5),
    )


def test_every_kind_of_error_counts():
    assert parse_report(SAID).errors.total == 15


@pytest.mark.parametrize(
    "said",
    [
        "",
        "unable to connect to 127.0.0.1:1 Connection refused",
        SAID + SAID,
        SAID.replace('"requests":1200', '"requests":0'),
        SAID.replace('"requests":1200', '"requests":-7'),
        SAID.replace('"duration_us":2000000', '"duration_us":0'),
        SAID.replace("810.5", "-nan"),
        SAID.replace('"status":5}', '"status":5'),
        SAID.replace('"status":5', '"state":5'),
    ],
)
def test_what_is_no_report_of_answered_requests_is_refused(said):
    with pytest.raises(BenchError):
        parse_report(said)


@given(st.text() | st.text().map(lambda text: f"strongroom-bench-report {text}"))
def test_whatever_wrk_says_only_our_error_comes_of_it(said):
    with pytest.raises(BenchError):
        parse_report(said)


def _requests_in(table):
    """Read the table back, as the script does."""
    found = []
    while table:
        length, _, rest = table.partition(b"\n")
        found.append(rest[: int(length)])
        table = rest[int(length) + 1 :]
    return found


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5))
def test_every_byte_of_a_request_survives_the_table(requests):
    assert _requests_in(request_table(requests)) == requests


@pytest.mark.parametrize("requests", [[], [b""], [b"one", b""]])
def test_a_table_without_requests_is_refused(requests):
    with pytest.raises(ValueError, match="at least one"):
        request_table(requests)


def test_the_script_names_its_table_whatever_the_folder_is_called():
    script = lua_script(Path('/tmp/a "b" \\ é/requests'))  # nothing is written there
    assert script.isascii()
    assert r'io.open("/tmp/a \034b\034 \092 \195\169/requests", "rb")' in script
