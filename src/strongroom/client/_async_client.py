"""``AsyncClient``: the same for programs on an event loop."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from strongroom.client._batches import (
    DECRYPT,
    ENCRYPT,
    MAC,
    MAX_ITEMS,
    REWRAP,
    SIGN,
    Batch,
    Cutter,
    Verb,
    data_keys_call,
    max_data_keys,
)
from strongroom.client._calls import (
    Call,
    bare_key_id,
    decrypt_call,
    encrypt_call,
    find_key_call,
    generate_data_key_call,
)
from strongroom.client._client import Context, attempt, check_limits, portions, service_of_environment
from strongroom.client._connections import Connections
from strongroom.client._data_keys import KEY_LEN_BYTES, DataKey
from strongroom.client._errors import ClientError
from strongroom.client._http import TIMEOUT_S
from strongroom.client._items import Item, Result
from strongroom.client._retries import Retries, Tries
from strongroom.client._service import Endpoint, Service
from strongroom.core import Clock, Deadline, MacAlgorithm, Secret, SigningAlgorithm, SystemClock

MAX_CONNECTIONS: Final = 32
_T = TypeVar("_T")
Items = Iterable[bytes | Item] | AsyncIterable[bytes | Item]


class AsyncClient:
    """``Client`` for event loops: methods, arguments and errors are the same, and iterables of items may be asynchronous.

    Requests run in threads of the client's own, at most ``max_connections`` at a time; pauses between tries hold none. A
    call that is cancelled stops waiting; its request ends by itself within its time.
    """

    def __init__(
        self,
        service: Service | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        batch_items: int = MAX_ITEMS,
        max_connections: int = MAX_CONNECTIONS,
        clock: Clock | None = None,
    ) -> None:
        """As ``Client``. No thread is started before the first call."""
        check_limits(timeout_s, batch_items)
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._retries = retries or Retries()
        self._batch_items = batch_items
        self._connections = Connections(
            service or service_of_environment(), clock=self._clock, timeout_s=timeout_s
        )
        self._threads = ThreadPoolExecutor(max_connections, thread_name_prefix="strongroom-client")

    def __repr__(self) -> str:
        return f"AsyncClient({self.endpoint.url})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def endpoint(self) -> Endpoint:
        """Whom it calls."""
        return self._connections.endpoint

    async def close(self) -> None:
        """Close the connections; requests that are under way end first, within their time."""
        self._connections.close()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def encrypt(self, key: str, plaintext: bytes, *, context: Context = None) -> bytes:
        """Encrypt 1 to 4,096 bytes."""
        return await self._do(encrypt_call(key, plaintext, context))

    async def decrypt(self, ciphertext: bytes, *, key: str | None = None, context: Context = None) -> bytes:
        """Decrypt; ``key`` is the only one that may have encrypted it, if given."""
        return (await self._do(decrypt_call(ciphertext, key, context))).plaintext

    async def generate_data_key(
        self, key: str, *, n_bytes: int = KEY_LEN_BYTES, context: Context = None
    ) -> DataKey:
        """Make a data key of 1 to 1,024 bytes: in clear, and encrypted under the key."""
        return await self._do(generate_data_key_call(key, n_bytes, context))

    def encrypt_many(self, key: str, plaintexts: Items, *, context: Context = None) -> AsyncIterator[Result]:
        """Encrypt items of 1 to 4,096 bytes; ``context`` is that of those without one of their own."""
        return self._many(ENCRYPT, key, plaintexts, {"context": dict(context or {})})

    def decrypt_many(self, key: str, ciphertexts: Items, *, context: Context = None) -> AsyncIterator[Result]:
        """Decrypt items that this key encrypted."""
        return self._many(DECRYPT, key, ciphertexts, {"context": dict(context or {})})

    def rewrap_many(self, key: str, ciphertexts: Items, *, context: Context = None) -> AsyncIterator[Result]:
        """Encrypt items anew under the current version of the key that encrypted them."""
        return self._many(REWRAP, key, ciphertexts, {"context": dict(context or {})})

    def sign_many(
        self,
        key: str,
        messages: Items,
        *,
        algorithm: SigningAlgorithm | str,
        message_type: Literal["RAW", "DIGEST"] = "RAW",
    ) -> AsyncIterator[Result]:
        """Sign messages of 1 to 4,096 bytes, or their digests; at most 1,000 in a request."""
        members = {"signingAlgorithm": SigningAlgorithm(algorithm), "messageType": message_type}
        return self._many(SIGN, key, messages, members)

    def mac_many(self, key: str, messages: Items, *, algorithm: MacAlgorithm | str) -> AsyncIterator[Result]:
        """Make MACs of messages of 1 to 4,096 bytes."""
        return self._many(MAC, key, messages, {"macAlgorithm": MacAlgorithm(algorithm)})

    async def generate_data_keys(
        self, key: str, count: int, *, n_bytes: int = KEY_LEN_BYTES, context: Context = None
    ) -> AsyncIterator[DataKey]:
        """Make ``count`` data keys of 1 to 1,024 bytes."""
        key_id, pairs = None, dict(context or {})
        for amount in portions(count, min(self._batch_items, max_data_keys(n_bytes))):
            key_id = key_id or await self._key_id(key)
            arn, made = await self._do(data_keys_call(key_id, amount, n_bytes, pairs))
            for item in made:
                yield DataKey(Secret(item.plaintext), item.ciphertext, arn)

    def _many(
        self, verb: Verb, key: str, items: Items, members: Mapping[str, object]
    ) -> AsyncIterator[Result]:
        Cutter(verb, key, members)  # what is wrong with the arguments shows now, not at the first result
        return self._results(verb, key, items, members)

    async def _results(
        self, verb: Verb, key: str, items: Items, members: Mapping[str, object]
    ) -> AsyncIterator[Result]:
        cutter: Cutter | None = None
        async for item in _each(items):
            if cutter is None:
                cutter = Cutter(verb, await self._key_id(key), members, max_items=self._batch_items)
            if batch := cutter.add(item):
                for result in await self._batch(batch):
                    yield result
        if cutter is not None and (batch := cutter.finish()):
            for result in await self._batch(batch):
                yield result

    async def _batch(self, batch: Batch) -> list[Result]:
        if batch.request is None:
            return batch.results(None)
        return await self._do(Call(batch.request, batch.results))

    async def _key_id(self, key: str) -> str:
        bare = bare_key_id(key)
        return await self._do(find_key_call(key)) if bare is None else bare

    async def _do(self, call: Call[_T]) -> _T:
        loop = asyncio.get_running_loop()
        tries = Tries(self._retries, Deadline.after(self._clock, self._timeout_s))
        while True:
            try:
                return await loop.run_in_executor(
                    self._threads, attempt, self._connections, call, tries.deadline
                )
            except ClientError as error:
                pause_s = tries.pause_after(error)
            await asyncio.sleep(pause_s)


async def _each(items: Items) -> AsyncIterator[bytes | Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
