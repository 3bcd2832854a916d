"""Connections to one service for any number of threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.client._http import TIMEOUT_S, ServiceClient
from strongroom.client._service import Endpoint, Service
from strongroom.core import Clock


class Connections:
    """Lends a connection to each thread that calls; it stays open for the next one."""

    def __init__(self, service: Service, *, clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        self._service = service
        self._clock = clock
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[ServiceClient] = []  # guarded by the lock, and so is what follows
        self._is_closed = False

    @property
    def endpoint(self) -> Endpoint:
        """Whom they call."""
        return self._service.endpoint

    @property
    def n_idle(self) -> int:
        """How many wait for somebody to use them."""
        with self._lock:
            return len(self._idle)

    @contextmanager
    def borrowed(self) -> Iterator[ServiceClient]:
        """Lend a connection for one call."""
        with self._lock:
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = ServiceClient(self._service, clock=self._clock, timeout_s=self._timeout_s)
        try:
            yield client
        finally:
            with self._lock:
                is_kept = not self._is_closed
                if is_kept:
                    self._idle.append(client)
            if not is_kept:
                client.close()

    def close(self) -> None:
        """Close the idle connections, and the others as soon as their call has ended."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()
