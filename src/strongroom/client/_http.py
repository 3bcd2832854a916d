"""A small HTTP client of our own service: signed requests, bounded answers, typed errors.

It repeats nothing: whether a call may be repeated is for its caller to know. One connection is kept open and
is made anew when it was idle for over a second, since the service closes idle ones. A call, from the connection to
the last byte of the answer, ends within its time; only the look-up of a host's name is the system's own affair.
"""

import http.client
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import msgspec

from strongroom.client._deadline_socket import DeadlineSocket
from strongroom.client._errors import (
    ForeignAnswerError,
    GatewayError,
    RequestRefusedError,
    ServiceNotTrustedError,
    ServiceUnreachableError,
)
from strongroom.client._service import Endpoint, Service
from strongroom.core import Clock, ConfigError, Deadline

TIMEOUT_S = 30.0
_IDLE_S = 1.0
_MAX_ANSWER_BYTES = 8 * 1024 * 1024
_GATEWAYS = frozenset({502, 503, 504})
"""What proxies and load balancers answer, in words of their own, when there is no service behind them."""
_T = TypeVar("_T")


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes)"


class Outgoing(NamedTuple):
    """A request that is to be signed and sent by POST."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Outgoing({self.path}, {len(self.body)} bytes)"


def operation_request(operation: str, members: Mapping[str, object]) -> Outgoing:
    """Make the request for a KMS operation."""
    target = f"TrentService.{operation}"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    return Outgoing("/", headers, msgspec.json.encode(members))


class _Refusal(msgspec.Struct, frozen=True):
    code: str = msgspec.field(name="__type")
    message: str = ""


class ServiceClient:
    """Calls one service; for one thread, and as a context manager."""

    def __init__(self, service: Service, *, clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        self._service = service
        self._clock = clock
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0
        self._tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoint(self) -> Endpoint:
        """Whom it calls."""
        return self._service.endpoint

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, operation: str, members: Mapping[str, object], kind: type[_T]) -> _T:
        """Do a KMS operation. Raises RequestRefusedError, ServiceUnreachableError and ForeignAnswerError."""
        return read_answer(self.exchange(operation_request(operation, members)), kind)

    def exchange(self, request: Outgoing, *, limit_s: float | None = None) -> Answer:
        """Sign and send a request; returns the answer, whatever its status. ``limit_s``: for this call, if not as usual.

        Raises ServiceUnreachableError and ForeignAnswerError.
        """
        signed = self._signed("POST", request.path, request.headers, request.body)
        return self._send("POST", request.path, signed, request.body, limit_s=limit_s)

    def read(self, path: str, kind: type[_T], *, query: str = "") -> _T:
        """GET a document, signed. ``query`` is encoded already, without its ``?``. Raises as ``call`` does."""
        signed = self._signed("GET", path, {}, b"", query)
        return read_answer(self._send("GET", f"{path}?{query}" if query else path, signed, b""), kind)

    def probe(self, path: str) -> Answer:
        """GET something that needs no signature. Raises ServiceUnreachableError and ForeignAnswerError."""
        return self._send("GET", path, {}, b"")

    def _signed(  # in the order of a request
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: str = ""
    ) -> Mapping[str, str]:
        from strongroom.api import sign_request  # late: it brings half the house with it

        key = self._service.access_key
        return sign_request(
            method=method,
            path=path,
            query=query,
            host=self.endpoint.authority,
            headers=headers,
            body=body,
            access_key_id=key.access_key_id,
            secret_access_key=key.secret,
            region=self._service.region,
            clock=self._clock,
        )

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        limit_s: float | None = None,
    ) -> Answer:
        limit_s = self._timeout_s if limit_s is None else limit_s
        try:
            return self._exchanged(method, path, headers, body, Deadline.after(self._clock, limit_s))
        except TimeoutError as error:
            raise ServiceUnreachableError(
                f"{self.endpoint.url} did not answer within {limit_s:.3g} s",
                next_step="look at the log of the service",
            ) from error
        except OSError as error:
            raise self._unreachable(error) from error
        except http.client.IncompleteRead as error:
            raise ServiceUnreachableError(
                f"the connection to {self.endpoint.url} broke in the middle of an answer",
                next_step="look at the log of the service",
            ) from error
        except http.client.HTTPException as error:
            raise ForeignAnswerError(
                f"what answers at {self.endpoint.url} does not speak HTTP as a Strongroom does",
                next_step="is another program on this port?",
            ) from error

    def _exchanged(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, deadline: Deadline
    ) -> Answer:
        """Send a request and read its answer; raises what ``socket``, ``ssl`` and ``http.client`` raise."""
        if self._clock.monotonic() - self._used_at > _IDLE_S:
            self.close()
        try:
            connection = self._connected(deadline)
            connection.request(method, path, body=body or None, headers=dict(headers))
            response = connection.getresponse()
            content = response.read(_MAX_ANSWER_BYTES + 1)
            if _is_cut_off(response, content):
                raise http.client.IncompleteRead(b"")
            if len(content) > _MAX_ANSWER_BYTES:
                raise ForeignAnswerError(
                    f"the answer of {self.endpoint.url} is over {_MAX_ANSWER_BYTES} bytes long"
                )
            self._used_at = self._clock.monotonic()
        except BaseException:  # Ctrl-C too: what is left of the answer belongs to no later call
            self.close()
            raise
        return Answer(response.status, content)

    def _connected(self, deadline: Deadline) -> http.client.HTTPConnection:
        """Return a connection whose operations end by the deadline."""
        connection = self._connection
        if connection is not None and isinstance(connection.sock, DeadlineSocket):
            connection.sock.deadline = deadline
            return connection
        self.close()
        endpoint = self.endpoint
        if endpoint.scheme == "http":
            connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
            tls = None
        else:
            tls = self._tls = self._tls or self._tls_context()
            connection = http.client.HTTPSConnection(endpoint.host, endpoint.port, context=tls)
        self._connection = connection
        connection.sock = DeadlineSocket.connected(endpoint.host, endpoint.port, tls, deadline)
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        endpoint = self.endpoint
        try:
            return ssl.create_default_context(cafile=endpoint.ca_file)
        except OSError as error:
            raise ConfigError(
                f"cannot read the CA certificates in {endpoint.ca_file}: {error.strerror or error}",
                next_step="set AWS_CA_BUNDLE to a PEM file, or unset it",
            ) from error

    def _trusted(self) -> str:
        return str(self.endpoint.ca_file or "this system")

    def _unreachable(self, error: OSError) -> ServiceUnreachableError:
        url = self.endpoint.url
        match error:
            case ssl.SSLCertVerificationError():
                return ServiceNotTrustedError(
                    f"what answers at {url} shows a certificate that {self._trusted()} does not vouch for",
                    next_step="is another service on this port, or another STRONGROOM_HOME meant?",
                )
            case ConnectionRefusedError():
                return ServiceUnreachableError(
                    f"the service is not running: nothing listens at {url}",
                    next_step="start it with: strongroom serve",
                )
            case socket.gaierror():
                return ServiceUnreachableError(
                    f"the host of {url} is not known", next_step="check AWS_ENDPOINT_URL"
                )
            case ssl.SSLError():
                return ServiceUnreachableError(
                    f"what listens at {url} does not speak TLS as we do",
                    next_step="is another program on this port, or tls = false in strongroom.toml?",
                )
            case _:
                return ServiceUnreachableError(
                    f"the connection to {url} broke: {error.strerror or error}",
                    next_step="look at the log of the service",
                )


def _is_cut_off(response: http.client.HTTPResponse, content: bytes) -> bool:
    """Whether the connection ended before the answer did, of which ``http.client`` says nothing."""
    if response.length is None:
        return not content and not response.chunked
    return bool(response.length) and len(content) <= _MAX_ANSWER_BYTES


def read_answer(answer: Answer, kind: type[_T]) -> _T:
    """Decode the body of an answer. Raises as ``refusal_of``, and ForeignAnswerError for what is not JSON of this kind."""
    if answer.status != 200:
        raise refusal_of(answer)
    try:
        return msgspec.json.decode(answer.body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise foreign_answer(answer) from error


def refusal_of(answer: Answer) -> RequestRefusedError | ForeignAnswerError:
    """Return the error that an answer is whose status is not 200."""
    try:
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return GatewayError(answer.status) if answer.status in _GATEWAYS else foreign_answer(answer)
    return RequestRefusedError(refusal.code, refusal.message, status=answer.status)


def foreign_answer(answer: Answer) -> ForeignAnswerError:
    """Return the error for an answer that no Strongroom gives."""
    return ForeignAnswerError(
        f"the answer (HTTP {answer.status}) is not one that a Strongroom gives",
        next_step="is another program on this port, or another version of Strongroom?",
    )
