"""One request to a witness: POST, an answer of bounded length within a bounded time. Blocks; for a thread of its own."""

import http.client
import socket
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from strongroom.audit import ADD_CHECKPOINT, MAX_ANSWER_BYTES
from strongroom.core import Clock, Deadline, StrongroomError
from strongroom.shipping import TlsFiles, end_calls

_HEADERS: Final = {
    "Content-Type": "text/plain; charset=utf-8",
    "Accept-Encoding": "identity",
    "User-Agent": "strongroom",
    "Connection": "close",
}


class WitnessFailedError(StrongroomError):
    """A witness did not cosign, for now."""


class Answered(NamedTuple):
    """What a witness answered."""

    status: int
    content_type: str
    body: bytes


class WitnessPost:
    """Sends requests to one witness, a connection for each: no redirect is followed, no proxy is asked."""

    def __init__(self, url: str, files: TlsFiles, timeout_s: float, *, clock: Clock) -> None:
        self._parts, self._files = urlsplit(url), files
        self._timeout_s, self._clock = timeout_s, clock
        self._socket: socket.socket | None = None

    def send(self, body: bytes) -> Answered:
        """Send a request. Raises WitnessFailedError and OSError."""
        deadline = Deadline.after(self._clock, self._timeout_s)
        connection = self._connection()
        try:
            connection.connect()
            self._socket = connection.sock
            connection.request("POST", self._parts.path.rstrip("/") + ADD_CHECKPOINT, body, _HEADERS)
            with connection.getresponse() as answer:
                data = _read(answer, deadline)
                return Answered(answer.status, answer.headers.get("Content-Type", ""), data)
        except OSError:
            raise  # that of a certificate is a ValueError too
        except (http.client.HTTPException, ValueError) as error:
            raise WitnessFailedError(f"the answer is not HTTP: {type(error).__name__}") from error
        finally:
            self._socket = None
            connection.close()

    def abort(self) -> None:
        """Have a request that hangs end."""
        if (connection := self._socket) is not None:
            end_calls(connection)

    def _connection(self) -> http.client.HTTPConnection:
        host, port, step_s = str(self._parts.hostname), self._parts.port, self._timeout_s / 2
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port or 80, timeout=step_s)
        context = self._files.context()
        return http.client.HTTPSConnection(host, port or 443, timeout=step_s, context=context)


def _read(answer: http.client.HTTPResponse, deadline: Deadline) -> bytes:
    data = b""
    while chunk := answer.read1(MAX_ANSWER_BYTES):
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise WitnessFailedError("the answer is too long")
        if deadline.has_passed():
            raise WitnessFailedError("the answer comes too slowly")
    return data
