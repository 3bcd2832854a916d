"""What all answers have: a request id, the head, and the one form of a failure."""

from email.utils import formatdate

from strongroom.api._errors import Where, to_api_error
from strongroom.api._failure_log import log_failure
from strongroom.api._http import Response
from strongroom.api._json import encode_document
from strongroom.core import Clock, RandomPool

AMZ_JSON = b"application/x-amz-json-1.1"
JSON = b"application/json"
_USUAL = (
    b"HTTP/1.1 200 OK\r\ncontent-type: "
    + AMZ_JSON
    + (b"\r\nx-amzn-requestid: %b%bcontent-length: %d\r\n\r\n%b")
)


class Answers:
    """Makes responses. For one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._dated = (-1, b"")  # a second, and the header lines that all its answers have
        self._random = RandomPool()

    def new_request_id(self) -> str:
        """Make a random UUID (RFC 9562, version 4)."""
        digits = self._random.take(16).hex()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def response(self, status: int, kind: bytes, body: bytes, request_id: str) -> Response:
        """Return a response with a body of a content type."""
        dated = self.dated(self._clock.now())
        return Response(
            status, b"content-type: %b\r\nx-amzn-requestid: %b%b" % (kind, request_id.encode(), dated), body
        )

    def dated(self, now: float) -> bytes:
        """Return the end of the line before, and the header lines that all answers of a second have."""
        second = int(now)
        if self._dated[0] != second:
            date = formatdate(second, usegmt=True).encode()
            self._dated = (second, b"\r\ndate: " + date + b"\r\ncache-control: no-store\r\n")
        return self._dated[1]

    def usual(self, body: bytes, request_id: str, now: float) -> bytes:
        """Return the bytes of a 200 with a JSON body, at a time, as ``response_bytes`` makes them of ``response``."""
        return _USUAL % (request_id.encode(), self.dated(now), len(body), body)

    def failure(
        self, error: Exception, where: Where, request_id: str, kind: bytes = AMZ_JSON
    ) -> tuple[str, Response]:
        """Return the code and the response of an error, in the form of KMS; what is our fault is logged."""
        answer = to_api_error(error, where)
        if answer.status >= 500:
            log_failure(error, operation=where.operation, request_id=request_id, code=answer.code)
        body = encode_document({"__type": answer.code, "message": answer.message})
        response = self.response(answer.status, kind, body, request_id)
        if answer.header:
            response = response._replace(head=b"%b\r\n%b" % (answer.header.encode(), response.head))
        return answer.code, response
