"""Bodies of batches: larger than others, a bounded number at a time, and each place is given back."""

import pytest

from http_support import answers, receive_all, serve
from strongroom.api import Response, Timeouts
from strongroom.api._large_bodies import MAX_LARGE_BODY_BYTES, PLACES

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


def test_who_goes_away_half_way_gives_the_place_back(server):
    for _ in range(3 * PLACES):
        with server.connect() as sock:
            sock.sendall(head(BATCH, 100_000) + b"x")
    for _ in range(500):
        (answer,) = statuses(server.exchange(head(BATCH, 100_000) + bytes(100_000)))
        if answer == (200, b"100000"):
            return
    raise AssertionError("the places never became free")
