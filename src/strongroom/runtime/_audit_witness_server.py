"""A witness's answers to HTTP: ``POST /add-checkpoint`` (C2SP tlog-witness), ``/healthz`` and ``/metrics``."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from strongroom.api import ApiError, Request, Response
from strongroom.audit import (
    ADD_CHECKPOINT,
    SIZE_TYPE,
    Cosigned,
    Witness,
    WitnessRefusalError,
    encode_cosignatures,
    encode_size,
)
from strongroom.core import Clock, EventSink
from strongroom.wiring.exposition import family

_THREADS: Final = 4
_MOST_WAITING: Final = 64
_TELL_EVERY_S: Final = 60.0
_TEXT: Final = "text/plain; charset=utf-8"
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_READ_METHODS: Final = ("GET", "HEAD")


class WitnessHandler:
    """A ``RequestHandler``. Belongs to one event loop; the witness's own work is done in four threads, which may wait for the disk."""

    def __init__(self, witness: Witness, *, events: EventSink, clock: Clock) -> None:
        self._witness, self._events, self._clock = witness, events, clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="witness")
        self._n_waiting = 0
        self._answers: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._told: dict[str, float] = {}

    async def handle(self, request: Request) -> Response:
        """Answer a request that arrived whole."""
        if request.path == ADD_CHECKPOINT:
            response = await self._add_checkpoint(request)
        elif request.path in {"/healthz", "/metrics"}:
            response = self._probe(request)
        else:
            response = _response(404, _TEXT, b"there is nothing at this path\n")
        self._count(response.status)
        return response

    async def reject(self, request: Request, error: ApiError) -> Response:  # noqa: ARG002  # of the Protocol
        """Answer a request that broke a limit of the transport."""
        self._count(error.status)
        return _response(error.status, _TEXT, f"{error}\n".encode())

    def close(self) -> None:
        """End once what was begun is done."""
        self._threads.shutdown()

    async def _add_checkpoint(self, request: Request) -> Response:
        if request.method != "POST":
            return _response(405, _TEXT, b"POST a checkpoint\n", "allow: POST\r\n")
        if self._n_waiting >= _MOST_WAITING:
            return _response(503, _TEXT, b"too many requests wait\n", "retry-after: 1\r\n")
        self._n_waiting += 1
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._witness.add_checkpoint, request.body)
        except WitnessRefusalError as error:
            return self._refused(error, request.peer)
        except Exception as error:  # noqa: BLE001  # whatever it is, nothing is cosigned
            self._tell("witness.failed", cause=f"{type(error).__name__}: {error}")
            return _response(500, _TEXT, b"the witness cannot keep what it cosigns\n")
        finally:
            self._n_waiting -= 1
        return self._cosigned(found)

    def _cosigned(self, found: Cosigned) -> Response:
        origin, size = found.checkpoint.origin, found.checkpoint.size
        self._sizes[origin] = size
        self._tell("witness.cosigned", key=origin, origin=origin, size=size)
        return _response(200, _TEXT, encode_cosignatures(found.signatures))

    def _refused(self, error: WitnessRefusalError, peer: str) -> Response:
        status = int(error.refusal)
        if error.is_fork:
            key = f"{error.origin} {error.message}"
            self._tell("witness.fork_refused", key=key, origin=error.origin, cause=error.message, peer=peer)
        else:
            self._tell("witness.refused", key=f"{status} {error.origin}", status=status, origin=error.origin,
                       cause=error.message, peer=peer)  # fmt: skip
        if error.size is not None:
            return _response(status, SIZE_TYPE, encode_size(error.size))
        return _response(status, _TEXT, f"{error.message}\n".encode())

    def _probe(self, request: Request) -> Response:
        if request.method not in _READ_METHODS:
            return _response(405, _TEXT, b"GET it\n", "allow: GET, HEAD\r\n")
        if request.path == "/healthz":
            return _response(200, _TEXT, b"ok\n")
        answers = {f'{{status="{status}"}}': count for status, count in sorted(self._answers.items())}
        sizes = {f'{{origin="{_label(origin)}"}}': size for origin, size in sorted(self._sizes.items())}
        text = family("witness_answers_total", "counter", "Answers by status.", answers) + family(
            "witness_cosigned_size", "gauge", "Entries of the tree that was cosigned last.", sizes
        )
        return _response(200, _METRICS, text.encode())

    def _count(self, status: int) -> None:
        self._answers[str(status)] = self._answers.get(str(status), 0) + 1

    def _tell(self, event: str, *, key: str = "", **fields: object) -> None:
        """Log a line, of each kind one a minute: strangers do not fill the disk."""
        now, name = self._clock.monotonic(), f"{event} {key}"
        if now - self._told.get(name, -_TELL_EVERY_S) >= _TELL_EVERY_S:
            if len(self._told) >= 1000:
                self._told.clear()
            self._told[name] = now
            self._events.emit(event, **fields)


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _response(status: int, content_type: str, body: bytes, head: str = "") -> Response:
    head = f"content-type: {content_type}\r\ncache-control: no-store\r\n{head}"
    return Response(status, head.encode(), body)
