"""wrk itself, against a small server: what it sends is what was prepared, and what fails is counted."""

import time

import pytest

from strongroom.bench import BenchError, HttpRequest, Wrk, WrkMissingError, drive
from strongroom.client import Endpoint


def _request(operation, number=0):
    return HttpRequest("POST", "/", {"X-Amz-Target": f"TrentService.{operation}"}, b'{"n":%d}' % number)


def test_every_request_of_the_table_is_sent_as_it_was_made(wrk, key_server):
    requests = [_request("GenerateDataKey", number) for number in range(20)]
    run = drive(wrk, key_server.endpoint, requests, connections=2, seconds=0.2)
    bodies = {body for _, _, _, body in key_server.seen}
    assert bodies == {request.body for request in requests}
    hosts = {value for _, _, headers, _ in key_server.seen for name, value in headers if name == "Host"}
    assert hosts == {key_server.endpoint.authority}
    assert run.errors.total == 0
    assert 0 < run.requests <= len(key_server.seen)
    assert run.rate == pytest.approx(run.requests / run.seconds, rel=0.01)
    assert 0 < run.p50_ms <= run.p99_ms <= run.max_ms


def test_a_run_of_a_part_of_a_second_ends_in_time(wrk, key_server):
    began = time.monotonic()
    for _ in range(10):  # on a busy machine the signal that ends it comes late
        run = drive(wrk, key_server.endpoint, [_request("GenerateDataKey")], connections=1, seconds=0.3)
        assert run.seconds >= 0.2
        if run.seconds < 0.9:
            break
    else:
        pytest.fail("each of ten runs took a whole second")
    assert time.monotonic() - began < 60


def test_refused_requests_are_counted(wrk, key_server):
    key_server.refused = {"Decrypt"}
    requests = [_request("Decrypt"), _request("GenerateDataKey")]
    run = drive(wrk, key_server.endpoint, requests, connections=1, seconds=0.2)
    assert run.errors.status == pytest.approx(run.requests / 2, abs=1)


def test_a_target_where_nobody_listens_is_an_error(wrk):
    with pytest.raises(BenchError):
        drive(wrk, Endpoint("http", "127.0.0.1", 1, None), [_request("Decrypt")], connections=1, seconds=0.2)


@pytest.mark.parametrize(("connections", "seconds"), [(0, 1.0), (1, 0.0), (1, 121.0), (10_001, 1.0)])
def test_what_cannot_be_measured_is_refused(connections, seconds):
    target = Endpoint("http", "127.0.0.1", 1, None)
    with pytest.raises(ValueError, match="not measurable"):
        drive(Wrk("/nowhere"), target, [_request("Decrypt")], connections=connections, seconds=seconds)


def test_a_machine_without_wrk_is_told_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WrkMissingError, match="apt-get install wrk"):
        Wrk.find()


def test_wrk_tells_its_version(wrk):
    assert any(char.isdigit() for char in wrk.version())
