"""Turns: many changes at a time, or one look at what all of them made."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Turns:
    """Lets changes run side by side, and somebody be alone. Who wants to be alone goes before later changes.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._moved = asyncio.Event()
        self._changes = 0
        self._wanting = 0
        self._is_alone = False

    @asynccontextmanager
    async def change(self) -> AsyncIterator[None]:
        """Be one of several changes."""
        while self._is_alone or self._wanting:
            await self._moved.wait()
        self._changes += 1
        try:
            yield
        finally:
            self._changes -= 1
            self._move()

    def another(self) -> Callable[[], None]:
        """Begin a change that belongs to one which is under way, at once; returns what ends it.

        It must not wait for its turn: somebody who wants to be alone waits for the first one, which waits for this.
        """
        self._changes += 1

        def end() -> None:
            self._changes -= 1
            self._move()

        return end

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be alone. What follows the block without an await happens before any change that waits."""
        self._wanting += 1
        try:
            while self._is_alone or self._changes:
                await self._moved.wait()
            self._is_alone = True
        finally:
            self._wanting -= 1
            self._move()
        try:
            yield
        finally:
            self._is_alone = False
            self._move()

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
