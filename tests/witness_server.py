"""A witness behind HTTP in this process, over a folder; its answers can be held back or replaced."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from http_support import Serving, serve
from strongroom.api import Request, Response
from strongroom.audit import LogKey, Witness, WitnessSigner, WitnessStore
from strongroom.core import SystemClock
from strongroom.runtime._audit_witness_server import WitnessHandler


class ToldEvents:
    """An ``EventSink`` that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def emit(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    def named(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.events if name == event]


class ServedWitness:
    """A ``RequestHandler`` in front of the real one."""

    def __init__(
        self, folder: Path, keys: list[LogKey], *, name: str = "witness.example/w1", seed: int = 7
    ) -> None:
        if not (folder / "known").exists():
            WitnessStore.make(folder)
        self.signer = WitnessSigner(name, bytes([seed]) * 64)
        self.store = WitnessStore(folder)
        self.events = ToldEvents()
        logs = {key.name: (key,) for key in keys}
        witness = Witness(logs, self.signer, self.store, clock=SystemClock())
        self._handler = WitnessHandler(witness, events=self.events, clock=SystemClock())
        self.asked: list[bytes] = []
        self.statuses: list[int] = []
        self.instead: list[Response] = []
        """The next answers; then its own."""
        self.serving: Serving | None = None

    async def handle(self, request: Request) -> Response:
        self.asked.append(request.body)
        response = self.instead.pop(0) if self.instead else await self._handler.handle(request)
        self.statuses.append(response.status)
        return response

    async def reject(self, request: Request, error: Any) -> Response:
        return await self._handler.reject(request, error)

    @property
    def url(self) -> str:
        assert self.serving is not None
        return f"http://127.0.0.1:{self.serving.port}"

    @contextlib.contextmanager
    def served(self, **settings: Any) -> Iterator["ServedWitness"]:
        try:
            with serve(self, **settings) as self.serving:
                yield self
        finally:
            self._handler.close()
            self.store.close()


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says anything, as a witness does that is frozen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for one in taken:
                one.close()
            thread.join(60)
