"""What a witness answers over HTTP: statuses and types of the protocol, limits, and how little it logs of strangers."""

import pytest

from http_support import answers
from strongroom.audit import read_cosignatures, read_size
from strongroom.runtime import _audit_witness_server
from unit.audit.witness_logs import KEY, ORIGIN, leaves_of_past, request_of
from witness_server import ServedWitness

TRUE, FALSE = leaves_of_past("true", 20), leaves_of_past("false", 20)


@pytest.fixture
def served(tmp_path):
    with ServedWitness(tmp_path / "w", [KEY]).served() as served:
        yield served


def post(served, body, *, path="/add-checkpoint", method="POST"):
    head = f"{method} {path} HTTP/1.1\r\nhost: w\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    ((status, headers, answer),) = answers(served.serving.exchange(head + body))
    return status, headers, answer


def test_statuses_and_types_are_those_of_the_protocol(served):
    status, _, body = post(served, request_of(TRUE, 0, 8))
    assert (status, len(read_cosignatures(body))) == (200, 2)
    for request in (request_of(TRUE, 3, 9), request_of(FALSE, 8, 8)):
        status, headers, body = post(served, request)
        assert (status, headers["content-type"], read_size(body)) == (409, "text/x.tlog.size", 8)
    found = [post(served, request)[0] for request in (
        b"nonsense", request_of(TRUE, 9, 8), request_of(TRUE, 0, 8, "another/log"), request_of(FALSE, 8, 9),
    )]  # fmt: skip
    assert found == [400, 400, 404, 422]
    assert post(served, b"", path="/add-checkpoint", method="GET")[0] == 405
    assert post(served, b"", path="/")[0] == 404


def test_health_and_metrics(served):
    post(served, request_of(TRUE, 0, 8))
    post(served, b"nonsense")
    assert post(served, b"", path="/healthz", method="GET")[0] == 200
    status, _, body = post(served, b"", path="/metrics", method="GET")
    assert status == 200
    assert f'strongroom_witness_cosigned_size{{origin="{ORIGIN}"}} 8' in body.decode()
    assert 'strongroom_witness_answers_total{status="400"} 1' in body.decode()
    assert post(served, b"", path="/metrics", method="DELETE")[0] == 405


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(served):
    head = b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 70000\r\n\r\n"
    ((status, _, _),) = answers(served.serving.exchange(head))
    assert status == 413


def test_requests_of_one_connection_are_answered_in_turn(served):
    bodies = [request_of(TRUE, 0, 3), request_of(TRUE, 3, 8), request_of(TRUE, 3, 9)]
    sent = b"".join(
        b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    )
    assert [status for status, _, _ in answers(served.serving.exchange(sent))] == [200, 200, 409]


def test_of_what_strangers_send_one_line_of_each_kind_is_logged(served):
    for number in range(20):
        post(served, b"nonsense")
        post(served, request_of(TRUE, 0, 1, f"log/{number}"))
    assert [fields["status"] for fields in served.events.named("witness.refused")] == [400, 404]


def test_a_fork_is_logged_by_its_log_even_among_many(served):
    post(served, request_of(TRUE, 0, 8))
    for new in (8, 9, 9):
        post(served, request_of(FALSE, 8, new))
    told = served.events.named("witness.fork_refused")
    assert {fields["origin"] for fields in told} == {ORIGIN}
    assert len(told) == 2


def test_nothing_is_cosigned_on_a_disk_that_fails(served, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "keep", full)
        status, _, body = post(served, request_of(TRUE, 0, 8))
        assert (status, b"\xe2\x80\x94" in body) == (500, False)
    assert "No space" in served.events.named("witness.failed")[0]["cause"]
    assert post(served, request_of(TRUE, 0, 9))[0] == 200


def test_more_requests_than_may_wait_are_sent_away(served, monkeypatch):
    monkeypatch.setattr(_audit_witness_server, "_MOST_WAITING", 0)
    status, headers, _ = post(served, request_of(TRUE, 0, 8))
    assert (status, headers["retry-after"]) == (503, "1")
