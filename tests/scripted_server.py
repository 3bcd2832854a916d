"""A server on loopback that does with each request what a script says: answers, silence, half an answer, a closed door."""

import contextlib
import socket
import threading

DRIP_S = 0.01


def answer(status, body, *, kind="application/json", length=None):
    """The bytes of an answer; ``length`` is what it claims, if that is not so."""
    claimed = len(body) if length is None else length
    return (
        b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, kind.encode(), claimed)
    ) + body


def close(connection, stop):
    """Hang up without a word."""


def drip(connection, stop):
    """Send a header that never ends, a byte now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while not stop.wait(DRIP_S):
        connection.sendall(b"x")


def silence(connection, stop):
    """Take the request and say nothing."""
    stop.wait()


class ScriptedServer:
    """``script``: for each request in turn bytes to answer, a function of (connection, stop), or a function of (path, body)
    wrapped in a tuple that returns bytes; the last step is repeated. ``requests`` are (path, body)."""

    def __init__(self, script):
        self.script = list(script)
        self.requests = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._open = set()

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        with self._lock:
            ends = [self._listener, *self._open]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        self._listener.close()

    def _accept(self):
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            with self._lock:
                self._open.add(connection)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as reader:
            while not self._stop.is_set():
                first = reader.readline().split()
                if not first:
                    break
                length = 0
                while (line := reader.readline().strip()) != b"":
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                body = reader.read(length)
                with self._lock:
                    self.requests.append((first[1].decode(), body))
                    step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if isinstance(step, tuple):
                    step = step[0](first[1].decode(), body)
                if isinstance(step, bytes):
                    connection.sendall(step)
                else:
                    step(connection, self._stop)
                    break
        with self._lock:
            self._open.discard(connection)
