"""Where API processes ask main for Direct keys: at the control socket, which other processes of our user reach too."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from strongroom.core import ApprovalRequiredError, EventSink, StrongroomError
from strongroom.hsm.wire import Connection
from strongroom.runtime._key_making import KeyMaking
from strongroom.runtime._key_requests import KeyAnswer, KeyRequest, MakeKey, failed

_KNOWN_WITHIN_S: Final = 5.0
"""How long an API process that has just begun to serve may take to be known as one."""
_LOOK_EVERY_S: Final = 0.05


class KeyDoor:
    """Hears API processes that main started, by the process id that the kernel gives, and nobody else.

    Belongs to the event loop of main.
    """

    def __init__(
        self, making: KeyMaking, api_pids: Callable[[], Collection[int]], *, events: EventSink
    ) -> None:
        self._making = making
        self._api_pids = api_pids
        self._events = events
        self._answering: set[asyncio.Task[None]] = set()

    def received(self, connection: Connection, request: KeyRequest) -> None:
        """Take a request, and answer it in time."""
        task = asyncio.ensure_future(self._answer(connection, request))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def lost(self, connection: Connection) -> None:
        """Take notice that a caller has gone."""
        self._making.lost(connection)

    def close(self) -> None:
        """Answer nobody any more, and make nothing more."""
        for task in self._answering:
            task.cancel()
        self._making.close()

    async def _answer(self, connection: Connection, request: KeyRequest) -> None:
        try:
            answer = await self._done(connection, request)
        except Exception as error:  # noqa: BLE001  # whoever asks gets words
            cause = error.message if isinstance(error, StrongroomError) else type(error).__name__
            self._events.emit("key.not_made_or_destroyed", service_key=request.key_id, cause=cause)
            answer = failed(request, error)
        connection.send(answer)

    async def _done(self, connection: Connection, request: KeyRequest) -> KeyAnswer:
        await self._require_api_process(connection)
        if isinstance(request, MakeKey):
            return await self._making.make(request, connection)
        return await self._making.destroy(request)

    async def _require_api_process(self, connection: Connection) -> None:
        for _ in range(int(_KNOWN_WITHIN_S / _LOOK_EVERY_S)):
            if connection.pid in self._api_pids():
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        raise ApprovalRequiredError(f"process {connection.pid} is no API process of this service")
