"""All HTTP connections of a process: how many, their time-outs, and an end in order."""

import asyncio

from strongroom.api._connection import HttpConnection
from strongroom.api._express import ExpressLane
from strongroom.api._http import RequestHandler
from strongroom.api._large_bodies import LargeBodies
from strongroom.api._metrics import ApiMetrics
from strongroom.api._timeouts import Timeouts

MAX_CONNECTIONS = 4_096
_CHECK_EVERY_S = 1.0
_POLL_S = 0.02


class HttpConnections:
    """Makes the protocol of each connection, for ``loop.create_server``; belongs to one event loop."""

    def __init__(
        self,
        handler: RequestHandler,
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # immutable
        max_connections: int = MAX_CONNECTIONS,
        lane: ExpressLane | None = None,
        metrics: ApiMetrics | None = None,
    ) -> None:
        """``lane`` is the handler's, if it has one: what it can do at once does not become the handler's.

        ``metrics``, the handler's as well, count connections that are refused.
        """
        self._metrics = metrics or ApiMetrics()
        self.large_bodies = LargeBodies()
        self._handler = handler
        self._timeouts = timeouts
        self._max_connections = max_connections
        self._open: set[HttpConnection] = set()
        self._is_draining = False
        self._lane = lane

    def __len__(self) -> int:
        return len(self._open)

    def protocol(self) -> HttpConnection:
        """Make the protocol of one connection."""
        return HttpConnection(self._handler, self, timeouts=self._timeouts, lane=self._lane)

    def opened(self, connection: HttpConnection) -> bool:
        """Take notice of a connection; False when there are too many."""
        if len(self._open) >= self._max_connections:
            self._metrics.connections_refused += 1
            return False
        self._open.add(connection)
        if self._is_draining:
            connection.drain()
        return True

    def closed(self, connection: HttpConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    async def watch(self) -> None:
        """Enforce time-outs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            now = loop.time()
            for connection in list(self._open):
                connection.check(now)

    async def drain(self, *, ask_s: float, limit_s: float) -> None:
        """End all connections without losing a request.

        Until ``ask_s`` each answer says ``Connection: close``, so that busy callers leave between two of their
        requests; then connections that stand idle are closed; after ``limit_s`` what is left is given up.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._is_draining = True
        for connection in self._open:
            connection.drain()
        while self._open and loop.time() < began + limit_s:
            if loop.time() >= began + ask_s:
                for connection in list(self._open):
                    connection.close_if_idle()
            await asyncio.sleep(_POLL_S)
