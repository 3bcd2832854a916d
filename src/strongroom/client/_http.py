"""A small HTTP client of our own service: signed requests, bounded answers, typed errors.

It repeats nothing: whether a call may be repeated is for its caller to know. One connection is kept open and
is made anew when it was idle for over a second, since the service closes idle ones.
"""

import http.client
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import msgspec

from strongroom.client._errors import ForeignAnswerError, RequestRefusedError, ServiceUnreachableError
from strongroom.client._service import Endpoint, Service
from strongroom.core import Clock, ConfigError

TIMEOUT_S = 30.0
_IDLE_S = 1.0
_MAX_ANSWER_BYTES = 8 * 1024 * 1024
_T = TypeVar("_T")


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


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
        body = msgspec.json.encode(members)
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}",
        }
        answer = self._send("POST", "/", self._signed("POST", "/", headers, body), body)
        return read_answer(answer, kind)

    def read(self, path: str, kind: type[_T]) -> _T:
        """GET a document, signed. Raises as ``call`` does."""
        return read_answer(self._send("GET", path, self._signed("GET", path, {}, b""), b""), kind)

    def probe(self, path: str) -> Answer:
        """GET something that needs no signature. Raises ServiceUnreachableError and ForeignAnswerError."""
        return self._send("GET", path, {}, b"")

    def _signed(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        from strongroom.api import sign_request  # late: it brings half the house with it

        key = self._service.access_key
        return sign_request(
            method=method,
            path=path,
            host=self.endpoint.authority,
            headers=headers,
            body=body,
            access_key_id=key.access_key_id,
            secret_access_key=key.secret,
            region=self._service.region,
            clock=self._clock,
        )

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        url = self.endpoint.url
        if self._clock.monotonic() - self._used_at > _IDLE_S:
            self.close()
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request(method, path, body=body or None, headers=dict(headers))
            response = self._connection.getresponse()
            content = response.read(_MAX_ANSWER_BYTES + 1)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise ServiceUnreachableError(
                f"what answers at {url} shows a certificate that {self._trusted()} does not vouch for",
                next_step="is another service on this port, or another STRONGROOM_HOME meant?",
            ) from error
        except TimeoutError as error:
            self.close()
            raise ServiceUnreachableError(
                f"{url} did not answer within {self._timeout_s:g} s",
                next_step="look at the log of the service",
            ) from error
        except OSError as error:
            self.close()
            raise self._unreachable(error) from error
        except http.client.HTTPException as error:
            self.close()
            raise ForeignAnswerError(
                f"what answers at {url} does not speak HTTP as a Strongroom does",
                next_step="is another program on this port?",
            ) from error
        self._used_at = self._clock.monotonic()
        if len(content) > _MAX_ANSWER_BYTES:
            self.close()
            raise ForeignAnswerError(f"the answer of {url} is over {_MAX_ANSWER_BYTES} bytes long")
        return Answer(response.status, content)

    def _connect(self) -> http.client.HTTPConnection:
        endpoint = self.endpoint
        if endpoint.scheme == "http":
            return http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=self._timeout_s)
        try:
            context = ssl.create_default_context(cafile=endpoint.ca_file)
        except OSError as error:
            raise ConfigError(
                f"cannot read the CA certificates in {endpoint.ca_file}: {error.strerror or error}",
                next_step="set AWS_CA_BUNDLE to a PEM file, or unset it",
            ) from error
        return http.client.HTTPSConnection(
            endpoint.host, endpoint.port, timeout=self._timeout_s, context=context
        )

    def _trusted(self) -> str:
        return str(self.endpoint.ca_file or "this system")

    def _unreachable(self, error: OSError) -> ServiceUnreachableError:
        url = self.endpoint.url
        match error:
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


def read_answer(answer: Answer, kind: type[_T]) -> _T:
    """Decode the body of an answer. Raises RequestRefusedError, ForeignAnswerError for what is not JSON of this kind."""
    try:
        if answer.status == 200:
            return msgspec.json.decode(answer.body or b"{}", type=kind)
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignAnswerError(
            f"the answer (HTTP {answer.status}) is not one that a Strongroom gives",
            next_step="is another program on this port, or another version of Strongroom?",
        ) from error
    raise RequestRefusedError(refusal.code, refusal.message, status=answer.status)
