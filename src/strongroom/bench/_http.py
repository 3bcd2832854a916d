"""Requests as values, as bytes for the load generator, and sent one by one to prepare a measurement."""

import http.client
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

from strongroom.bench._errors import RequestFailedError
from strongroom.client import Endpoint

_TIMEOUT_S = 30.0
_MAX_ANSWER_BYTES = 1024 * 1024
_SHOWN_BYTES = 200


class HttpRequest(NamedTuple):
    """One request. ``headers`` do not name Host and Content-Length: those are added when it is sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def render_request(request: HttpRequest, endpoint: Endpoint) -> bytes:
    """Return the bytes of an HTTP/1.1 request that keeps the connection open (RFC 9112)."""
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        f"Host: {endpoint.authority}",
        *(f"{name}: {value}" for name, value in request.headers.items()),
        f"Content-Length: {len(request.body)}",
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


class Connection:
    """One connection to an endpoint, for the requests that prepare a measurement. A context manager."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        if endpoint.scheme == "https":
            context = ssl.create_default_context(cafile=endpoint.ca_file)
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                endpoint.host, endpoint.port, timeout=_TIMEOUT_S, context=context
            )
        else:
            self._http = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def send(self, request: HttpRequest, *, accept: tuple[int, ...] = (200,)) -> bytes:
        """Send one request and return the body of its answer. Raises RequestFailedError unless it is accepted."""
        headers = {"Host": self._endpoint.authority, **request.headers}
        where = f"{request.method} {self._endpoint.url}{request.path}"
        try:
            self._http.request(request.method, request.path, body=request.body or None, headers=headers)
            answer = self._http.getresponse()
            body = answer.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise RequestFailedError(
                f"{where} failed: {str(error) or type(error).__name__}", next_step="is the service running?"
            ) from error
        if answer.status not in accept:
            said = body[:_SHOWN_BYTES].decode("utf-8", "replace")
            raise RequestFailedError(f"{where} was answered with {answer.status}: {said}")
        return body
