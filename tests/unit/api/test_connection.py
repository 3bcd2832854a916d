"""HTTP on the wire: malformed, slow, pipelined, oversized and smuggling requests, each with the right answer."""

import asyncio
import socket
import threading
import time

import pytest

from http_support import Serving, answers, receive_all, serve
from strongroom.api import Request, Response, Timeouts

HOST = b"Host: localhost\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
SIZES = {"/big": 1 << 20, "/part": 16_384}


class Echo:
    """Answers with what it was asked; ``/slow`` takes its time. ``seen`` is what reached it."""

    def __init__(self):
        self.seen: list[Request] = []
        self.release = threading.Event()
        self.running = 0
        self.most_at_once = 0

    async def handle(self, request: Request) -> Response:
        self.seen.append(request)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        if request.path.startswith("/slow"):
            await asyncio.sleep(0.1)
        if request.path in SIZES:
            self.running -= 1
            return Response(200, b"", bytes(SIZES[request.path]))
        self.running -= 1
        body = f"{request.method} {request.path}?{request.query} {request.body.decode('latin-1')}"
        return Response(200, b"x-from: echo\r\n", body.encode("latin-1"))

    async def reject(self, request: Request, error) -> Response:
        self.seen.append(request)
        return Response(error.status, b"", error.code.encode())


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
def server(echo):
    with serve(echo, timeouts=Timeouts(request_s=0.5, idle_s=1.0, write_s=1.0)) as serving:
        yield serving


def wait_until(what, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def post(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    declared = b"Content-Length: %d\r\n" % (len(body) if length is None else length)
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(h + b"\r\n" for h in headers) + declared + b"\r\n" + body


CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"

TABLE = {
    # name: (bytes sent, statuses answered in order)
    "a plain request": (GET, [200]),
    "two pipelined requests": (GET + GET, [200, 200]),
    "a body": (post(b"hello"), [200]),
    "a body of exactly the limit": (post(bytes(65_536)), [200]),
    "a body over the limit, declared": (post(b"", length=65_537), [413]),
    "a declared length beyond any number": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n", [400]),
    "a chunked body": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", [200]),
    "a chunked body over the limit": (CHUNKED + (b"8000\r\n" + bytes(0x8000) + b"\r\n") * 3 + b"0\r\n\r\n", [413]),
    "a chunk size that is no number": (CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n", [400]),
    "trailers": (CHUNKED + b"0\r\nX-Amz-Target: TrentService.DisableKey\r\n\r\n", [400]),
    "two Content-Lengths that differ": (post(b"hello", b"Content-Length: 4"), [400]),
    "two Content-Lengths that agree": (post(b"hello", b"Content-Length: 5"), [400]),
    "Content-Length with Transfer-Encoding": (post(b"0\r\n\r\n", b"Transfer-Encoding: chunked"), [400]),
    "Transfer-Encoding in disguise": (post(b"hello", b"Transfer-Encoding: xchunked"), [400]),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", [400]),
    "a folded header": (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\r\n c\r\n\r\n", [400]),
    "a bare line feed": (b"GET / HTTP/1.1\nHost: a\n\n", [400]),
    "a null byte in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\x00c\r\n\r\n", [400]),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", [400]),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", [200]),
    "HTTP/2 by prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    "no version, which HTTP/0.9 has not": (b"GET /a\r\n" + HOST + b"\r\n" + GET, [400]),
    "HTTP/0.9": (b"GET /a HTTP/0.9\r\n" + HOST + b"\r\n" + GET, [400]),
    "HTTP/2.0 framed as HTTP/1.1": (b"GET /a HTTP/2.0\r\n" + HOST + b"\r\n" + GET, [400]),
    "HTTP/9.9": (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", [400]),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), [400]),
    "an upgrade": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" + GET, [200]),
    "an upgrade of a request with a body": (post(b"hello", b"Connection: upgrade", b"Upgrade: h2c") + GET, [400]),
    "an upgrade of a request with a chunked body": (
        CHUNKED[:-2] + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + GET, [400]),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
    "an unknown method": (b"FROB / HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
    "a target of 2 KiB": (b"GET /" + b"a" * 2_040 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "a target over 2 KiB": (b"GET /" + b"a" * 2_048 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [414]),
    "65 headers": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 65 + b"\r\n", [431]),
    "a header of 16 KiB": (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 16_384 + b"\r\n\r\n", [431]),
    "an expectation that nobody has": (post(b"x", b"Expect: a miracle"), [417]),
    "100-continue": (post(b"x", b"Expect: 100-continue"), [100, 200]),
    "a request after Connection: close": (
        b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + GET, [200]),
    "a good request before a bad one": (GET + b"garbage\r\n\r\n", [200, 400]),
    "nothing good after a bad one": (b"garbage\r\n\r\n" + GET, [400]),
    "a body cut short": (post(b"hel", length=5), []),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_each_gets_its_answers_and_nothing_else(server: Serving, name: str) -> None:
    sent, expected = TABLE[name]
    assert [status for status, _, _ in answers(server.exchange(sent))] == expected


@pytest.mark.parametrize("name", [name for name, (sent, _) in TABLE.items() if len(sent) <= 4_096])
def test_the_answers_are_the_same_byte_by_byte(server: Serving, name: str) -> None:
    sent, expected = TABLE[name]
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for at in range(len(sent)):
                sock.sendall(sent[at : at + 1])
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before the end, and the answer may be lost with the connection
        got = [status for status, _, _ in answers(receive_all(sock))]
    assert got in (expected, [])


def test_answers_come_in_the_order_of_the_requests_and_one_is_handled_at_a_time(
    server: Serving, echo: Echo
) -> None:
    paths = [b"/slow1", b"/fast1", b"/slow2", b"/fast2"]
    sent = b"".join(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n" for path in paths)
    bodies = [body for _, _, body in answers(server.exchange(sent))]
    assert [body.split()[1].rstrip(b"?") for body in bodies] == paths
    assert echo.most_at_once == 1


def test_more_pipelined_requests_than_may_wait_end_the_connection_and_hold_little(
    server: Serving, echo: Echo
) -> None:
    got = answers(server.exchange(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n" + GET * 5_000))
    assert 1 <= len(got) <= 70
    assert len(echo.seen) <= 70


@pytest.mark.parametrize("start", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b", post(b"", length=9)])
def test_a_request_that_does_not_end_is_given_up_and_an_idle_connection_closed(
    server: Serving, start: bytes
) -> None:
    with server.connect() as sock:
        sock.sendall(start)
        began = time.monotonic()
        got = [status for status, _, _ in answers(receive_all(sock))]
        took_s = time.monotonic() - began
    assert got == ([408] if start else [])
    assert took_s < 30


def test_a_slow_trickle_of_headers_is_given_up(server: Serving) -> None:
    with server.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        sent = 0
        try:
            while time.monotonic() < began + 60:
                sock.sendall(b"A: b\r\n"[sent % 6 : sent % 6 + 1])
                sent += 1
                time.sleep(0.1)
        except ConnectionError:
            pass
        assert time.monotonic() - began < 30


def test_a_header_that_never_ends_is_refused_before_it_fills_memory(server: Serving, echo: Echo) -> None:
    with server.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
        sent = 0
        try:
            while sent < 50_000_000:
                sent += sock.send(b"b" * 65_536)
        except OSError:
            pass
    assert sent < 20_000_000
    assert echo.seen == [] or all(len(str(request)) < 40_000 for request in echo.seen)


def test_a_peer_that_takes_no_answers_is_cut_off(server: Serving, echo: Echo) -> None:
    with server.connect() as sock:
        sock.sendall((b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n") * 40)
        wait_until(lambda: echo.seen)
        wait_until(lambda: len(server.connections) == 0)
        assert len(echo.seen) < 40


@pytest.mark.parametrize("ending", [b"", b"garbage\r\n\r\n"], ids=["idle", "refused"])
def test_a_peer_that_takes_all_but_the_last_of_its_answers_is_cut_off(
    server: Serving, echo: Echo, ending: bytes
) -> None:
    """What is left is less than what pauses writing, so only the end of the connection waits for it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.connect(("127.0.0.1", server.port))
        left = 0
        while not left:
            asked = len(echo.seen)
            sock.sendall(b"GET /part HTTP/1.1\r\n" + HOST + b"\r\n")
            wait_until(lambda asked=asked: len(echo.seen) > asked and not echo.running)
            [connection] = server.connections._open
            left = connection._transport.get_write_buffer_size()
        assert left < 65_536
        sock.sendall(ending)
        wait_until(lambda: len(server.connections) == 0)


def test_too_many_connections_are_closed_at_once_and_those_open_go_on(echo: Echo) -> None:
    with serve(echo, max_connections=2) as serving, serving.connect() as one, serving.connect() as two:
        for sock in (one, two):
            sock.sendall(GET)
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        with serving.connect() as three:
            assert receive_all(three) == b""
        one.sendall(GET)
        assert one.recv(100).startswith(b"HTTP/1.1 200")
        assert "strongroom_http_connections_refused_total 1" in serving.metrics.text().splitlines()


def test_draining_answers_what_comes_says_close_and_loses_nothing(echo: Echo) -> None:
    with serve(echo) as serving, serving.connect() as sock, serving.connect() as idle:
        sock.sendall(GET)
        assert b"connection: close" not in sock.recv(1000)
        drained = asyncio.run_coroutine_threadsafe(
            serving.connections.drain(ask_s=3.0, limit_s=60), serving.loop
        )
        time.sleep(0.1)
        sock.sendall(GET)
        assert b"connection: close" in receive_all(sock)
        assert receive_all(idle) == b""
        drained.result(60)


def test_a_handler_that_breaks_ends_the_connection_without_half_an_answer() -> None:
    class Broken(Echo):
        async def handle(self, request):
            raise RuntimeError("not meant to happen")

    broken = Broken()
    with serve(broken) as serving:
        serving.loop.call_soon_threadsafe(serving.loop.set_exception_handler, lambda loop, context: None)
        assert serving.exchange(GET) == b""


def test_head_has_the_length_and_no_body(server: Serving) -> None:
    raw = server.exchange(b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"content-length: 9" in head
    assert body == b""
