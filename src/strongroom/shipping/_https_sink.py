"""Batches by HTTPS POST: a webhook, or an OpenTelemetry collector. Accepted is what is answered with 2xx."""

import contextlib
import http
import http.client
import ssl
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from strongroom.audit import Entry
from strongroom.core import Clock, Deadline, Secret
from strongroom.shipping._errors import SinkError
from strongroom.shipping._sink import HOLD_ENTRIES, HOLD_S
from strongroom.shipping._tls import TlsFiles, end_calls

_MAX_ANSWER_BYTES: Final = 64 * 1024
_LONGEST_ASKED_PAUSE_S: Final = 3600


class HttpsReceiver(NamedTuple):
    """Where batches go."""

    url: str
    files: TlsFiles
    timeout_s: float
    """For a whole batch; each step on the network has half of it."""
    token: Callable[[], Secret] | None = None
    """Fetches what is sent as ``Authorization: Bearer``; asked for each batch."""


class HttpsSink:
    """A connection for each batch: no redirect is followed, no proxy is asked."""

    hold_s = HOLD_S
    hold_entries = HOLD_ENTRIES

    def __init__(
        self,
        receiver: HttpsReceiver,
        *,
        document: Callable[[Sequence[Entry]], bytes],
        check: Callable[[bytes], None],
        clock: Clock,
    ) -> None:
        """``document`` makes the body of a batch, ``check`` raises SinkError where the body of a 2xx says that it was not taken."""
        self._receiver = receiver
        self._document, self._check = document, check
        self._clock = clock
        self._socket: ssl.SSLSocket | None = None

    def send(self, entries: Sequence[Entry]) -> None:
        """POST a batch. Raises SinkError and OSError."""
        body = self._document(entries)
        deadline = Deadline.after(self._clock, self._receiver.timeout_s)
        try:
            self._check(self._post(body, deadline))
        except OSError:
            raise  # that of a certificate is a ValueError too
        except (http.client.HTTPException, ValueError) as error:
            raise SinkError(f"the server's answer is not HTTP: {type(error).__name__}") from error

    def confirm(self) -> None:
        """Return: what was answered was accepted."""

    def abort(self) -> None:
        """Have a POST that hangs end."""
        if (connection := self._socket) is not None:
            end_calls(connection)

    def _post(self, body: bytes, deadline: Deadline) -> bytes:
        receiver = self._receiver
        parts = urlsplit(receiver.url)
        connection = http.client.HTTPSConnection(
            str(parts.hostname),
            parts.port or 443,
            timeout=receiver.timeout_s / 2,
            context=receiver.files.context(),
        )
        try:
            connection.connect()
            self._socket = connection.sock
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, self._headers())
            with connection.getresponse() as answer:
                return _taken(answer, deadline)
        finally:
            self._socket = None
            connection.close()

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "strongroom",
            "Connection": "close",
        }
        if self._receiver.token is not None:
            token = self._receiver.token()
            headers["Authorization"] = f"Bearer {token.reveal().decode('ascii')}"
            token.zeroize()
        return headers


def _taken(answer: http.client.HTTPResponse, deadline: Deadline) -> bytes:
    data = b""
    while len(data) < _MAX_ANSWER_BYTES and (chunk := answer.read1(_MAX_ANSWER_BYTES)):
        data += chunk
        if deadline.has_passed():
            raise SinkError("the server's answer comes too slowly")
    if http.HTTPStatus.OK <= answer.status < http.HTTPStatus.MULTIPLE_CHOICES:
        return data
    raise SinkError(
        f"the server answers HTTP {answer.status}",
        retry_after_s=_asked_pause_s(answer.headers.get("Retry-After", "")),
        is_too_much=answer.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


def _asked_pause_s(text: str) -> float:
    """Seconds that a server asks for (RFC 9110, section 10.2.3); a date is not heeded."""
    with contextlib.suppress(ValueError):
        if text.isascii() and text.isdigit():
            return float(min(int(text[:9]), _LONGEST_ASKED_PAUSE_S))
    return 0.0
