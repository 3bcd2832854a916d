"""What goes into a batch, and what comes out: items and results."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import NamedTuple

from strongroom.client._errors import ItemRefusedError


class Item(NamedTuple):
    """Bytes with an encryption context of their own."""

    data: bytes
    context: Mapping[str, str] | None = None
    """None: that of the whole call."""

    def __repr__(self) -> str:
        return f"Item(<{len(self.data)} bytes>)"


class Result(NamedTuple):
    """What became of one item: bytes, or the error in their place."""

    value: bytes | None
    error: ItemRefusedError | None = None

    def get(self) -> bytes:
        """Return the bytes. Raises the error."""
        if self.value is None:
            raise self.error or ValueError("a Result has a value or an error")
        return self.value

    def __repr__(self) -> str:
        if self.value is None:
            return f"Result({self.error.code if self.error else None})"
        return f"Result(<{len(self.value)} bytes>)"


def values(results: Iterable[Result]) -> Iterator[bytes]:
    """Yield the bytes of results. Raises the first ItemRefusedError; what came before it was yielded."""
    return map(Result.get, results)


async def values_async(results: AsyncIterable[Result]) -> AsyncIterator[bytes]:
    """Do as ``values`` with what ``AsyncClient`` yields."""
    async for result in results:
        yield result.get()
