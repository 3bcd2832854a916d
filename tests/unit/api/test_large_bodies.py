"""Bodies of batches: larger than others, a bounded number at a time, and each place is given back."""

import select
import time

import pytest

from http_support import answers, receive_all, serve
from strongroom.api import Response, Timeouts
from strongroom.api._large_bodies import MAX_LARGE_BODY_BYTES, MIN_BYTES_PER_S, PLACES, LargeBodies

BATCH = b"/api/v1/keys/x/batch/encrypt"


class Length:
    """Answers with the length of the body that reached it."""

    async def handle(self, request):
        return Response(200, b"", b"%d" % len(request.body))

    async def reject(self, request, error):
        return Response(error.status, b"", error.code.encode())


@pytest.fixture
def server():
    with serve(Length()) as serving:
        yield serving


@pytest.fixture
def impatient_server():
    with serve(Length(), timeouts=Timeouts(request_s=2.0, idle_s=60.0, write_s=60.0)) as serving:
        yield serving


@pytest.fixture
def patient_server():
    with serve(Length(), timeouts=Timeouts(request_s=600.0, idle_s=600.0, write_s=600.0)) as serving:
        yield serving


def head(path, length):
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path, length)


def statuses(raw):
    return [(status, body) for status, _, body in answers(raw)]


def test_a_batch_may_be_large_and_nothing_else(server):
    for path, length, expected in (
        (BATCH, MAX_LARGE_BODY_BYTES, (200, b"%d" % MAX_LARGE_BODY_BYTES)),
        (BATCH, MAX_LARGE_BODY_BYTES + 1, (413, b"RequestEntityTooLargeException")),
        (b"/", 65_537, (413, b"RequestEntityTooLargeException")),
        (b"/api/v1/status", 65_537, (413, b"RequestEntityTooLargeException")),
    ):
        raw = server.exchange(head(path, length), bytes(min(length, MAX_LARGE_BODY_BYTES)))
        assert statuses(raw) == [expected]


def test_a_connection_sends_one_large_request_after_the_other(server):
    with server.connect() as sock:
        for _ in range(3):
            sock.sendall(head(BATCH, 100_000) + bytes(100_000))
            assert sock.recv(65_536).endswith(b"100000")


def test_a_large_request_is_not_pipelined_behind_others(server):
    raw = server.exchange(head(BATCH, 1) + b"x" + head(BATCH, 100_000) + bytes(100_000))
    assert statuses(raw)[-1] == (400, b"ThrottlingException")


def test_beyond_the_places_large_bodies_are_refused_and_others_served(impatient_server):
    server = impatient_server
    holding = [server.connect() for _ in range(PLACES)]
    try:
        for sock in holding:
            sock.sendall(head(BATCH, 100_000) + b"x")
        # A place is taken when the head was read, which the next connection may be faster than.
        seen = set()
        for _ in range(200):
            (answer,) = statuses(server.exchange(head(BATCH, 100_000) + bytes(100_000)))
            seen.add(answer)
            if answer == (400, b"ThrottlingException"):
                break
        assert (400, b"ThrottlingException") in seen
        assert statuses(server.exchange(head(b"/", 5) + b"12345")) == [(200, b"5")]
        for sock in holding:
            assert statuses(receive_all(sock)) == [(408, b"RequestTimeoutException")]
    finally:
        for sock in holding:
            sock.close()
    assert statuses(server.exchange(head(BATCH, 100_000) + bytes(100_000))) == [(200, b"100000")]


class Slow:
    """A holder of a place, of whose body so much has come."""

    def __init__(self, n_bytes):
        self.body_bytes_on_the_way = n_bytes
        self.refused = None

    def refuse(self, error):
        self.refused = error


def test_the_slowest_body_makes_room_when_it_is_slow_and_all_places_are_taken():
    bodies = LargeBodies(places=3)
    fast, slow, slower = Slow(2 * MIN_BYTES_PER_S), Slow(1_000), Slow(10)
    for holder in (fast, slow, slower):
        assert bodies.refusal(holder, BATCH, 100_000, 5.0) is None
    newcomers = [Slow(0) for _ in range(4)]
    assert bodies.refusal(newcomers[0], BATCH, 100_000, 5.9).code == "ThrottlingException"
    assert [bodies.refusal(newcomer, BATCH, 100_000, 6.0) for newcomer in newcomers[1:3]] == [None, None]
    assert [holder.refused and holder.refused.status for holder in (fast, slow, slower)] == [None, 408, 408]
    assert bodies.refusal(newcomers[3], BATCH, 100_000, 6.0).code == "ThrottlingException"
    bodies.give_back(fast)
    assert bodies.refusal(newcomers[3], BATCH, 100_000, 6.0) is None


def test_a_body_that_has_come_keeps_its_place_however_long_its_work_takes():
    bodies = LargeBodies(places=1)
    assert bodies.refusal(Slow(None), BATCH, 100_000, 0.0) is None
    assert bodies.refusal(Slow(0), BATCH, 100_000, 60.0).code == "ThrottlingException"


def test_connections_that_send_nothing_keep_nobody_out(patient_server):
    server = patient_server
    holding = [server.connect() for _ in range(PLACES)]
    try:
        for sock in holding:
            sock.sendall(head(BATCH, 100_000) + b"x")
        deadline = time.monotonic() + 60.0
        while not select.select(holding, [], [], 0)[0]:  # until one of them was told to go
            assert time.monotonic() < deadline
            (answer,) = statuses(server.exchange(head(BATCH, 100_000) + bytes(100_000)))
        assert answer == (200, b"100000")
    finally:
        for sock in holding:
            sock.close()


def test_who_goes_away_half_way_gives_the_place_back(server):
    for _ in range(3 * PLACES):
        with server.connect() as sock:
            sock.sendall(head(BATCH, 100_000) + b"x")
    for _ in range(500):
        (answer,) = statuses(server.exchange(head(BATCH, 100_000) + bytes(100_000)))
        if answer == (200, b"100000"):
            return
    raise AssertionError("the places never became free")
