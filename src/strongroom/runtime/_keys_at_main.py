"""``KeysAtMain``: how an API process has Direct keys made and destroyed, which main alone can."""

import asyncio
import itertools
from collections.abc import Callable

from strongroom.core import DestroyedHsmKeys, HsmKeyId, KeySpec, KeyUsage, MadeHsmKey, NoMemberError
from strongroom.runtime._key_requests import (
    DESTROY_LIMIT_S,
    MAKE_LIMIT_S,
    DestroyKey,
    KeyAnswer,
    KeyDestroyed,
    KeyMade,
    KeyRequest,
    MakeKey,
    raise_failure_of,
)

_MARGIN_S = 2.0


class KeysAtMain:
    """A ``core.HsmKeyMaker`` over the control socket. Belongs to one event loop."""

    def __init__(self, send: Callable[[KeyRequest], None]) -> None:
        self._send = send
        self._calls = itertools.count()
        self._waiting: dict[int, asyncio.Future[KeyAnswer]] = {}
        self._is_over = False

    async def make(
        self, key_id: str, version: int, spec: KeySpec, usage: KeyUsage, *, approval: str = ""
    ) -> MadeHsmKey:
        """Have main make a Direct key (``core.HsmKeyMaker.make``)."""
        request = MakeKey(next(self._calls), key_id, version, spec, usage, approval)
        answer = await self._ask(request, MAKE_LIMIT_S + _MARGIN_S)
        if not isinstance(answer, KeyMade):
            raise NoMemberError("main answered something else")
        return MadeHsmKey(HsmKeyId(answer.hsm_key_id), answer.public_key)

    async def destroy(self, key_id: str, *, approval: str = "") -> DestroyedHsmKeys | None:
        """Have main destroy a key that is due (``core.HsmKeyMaker.destroy``)."""
        request = DestroyKey(next(self._calls), key_id, approval)
        answer = await self._ask(request, DESTROY_LIMIT_S + _MARGIN_S)
        if not isinstance(answer, KeyDestroyed) or not answer.was_due:
            return None
        return DestroyedHsmKeys(answer.n_versions, answer.n_aliases, tuple(answer.left_on))

    def answered(self, answer: KeyAnswer) -> None:
        """Take an answer of main; one that nobody waits for any more is dropped."""
        waiting = self._waiting.get(answer.call)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def over(self) -> None:
        """Take notice that main has gone: nobody gets an answer any more."""
        self._is_over = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(NoMemberError("the main process has gone"))

    async def _ask(self, request: KeyRequest, limit_s: float) -> KeyAnswer:
        if self._is_over:
            raise NoMemberError("the main process has gone")
        waiting: asyncio.Future[KeyAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[request.call] = waiting
        try:
            async with asyncio.timeout(limit_s):
                self._send(request)
                answer = await waiting
        except TimeoutError as error:
            raise NoMemberError(f"main did not answer within {limit_s:.0f} s") from error
        finally:
            del self._waiting[request.call]
        raise_failure_of(answer)
        return answer
