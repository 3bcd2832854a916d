"""``Client``: the key service for programs, single items and any number of them, tried again while there is time."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

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
from strongroom.client._cache import DataKeyCache
from strongroom.client._calls import (
    Call,
    bare_key_id,
    decrypt_call,
    encrypt_call,
    find_key_call,
    generate_data_key_call,
)
from strongroom.client._connections import Connections
from strongroom.client._data_keys import KEY_LEN_BYTES, DataKey
from strongroom.client._envelope import Envelope
from strongroom.client._errors import ClientError, ServiceUnreachableError
from strongroom.client._http import TIMEOUT_S
from strongroom.client._items import Item, Result
from strongroom.client._retries import Retries, Tries
from strongroom.client._service import Endpoint, Service, find_service
from strongroom.config import Home, home_from_environment
from strongroom.core import Clock, Deadline, MacAlgorithm, Secret, SigningAlgorithm, SystemClock

_T = TypeVar("_T")
Context = Mapping[str, str] | None


class Client:
    """A key service. May be shared between threads; each that calls at the same time has a connection of its own.

    ``key`` is a key id, an alias (``alias/NAME``) or an ARN; batches look up the latter two once, which needs
    kms:DescribeKey. A call, or each request of a ``…_many``, has ``timeout_s`` seconds in all, in which it is tried again
    after ThrottlingException, answers of HTTP 5xx and failures of the connection. That is safe: every operation offered here may
    be repeated as a whole; what is lost is at most an answer that nobody saw.

    The ``…_many`` take any iterable of ``bytes`` or ``Item``, cut it into batches of at most ``batch_items`` items and
    about 1.5 MiB, and yield a ``Result`` for each item in order, in constant memory. They ask for nothing before the first
    result is asked for. An item that cannot be done has an error in its place; a batch that is refused as a whole raises.

    Raises ServiceUnreachableError, RequestRefusedError, ForeignAnswerError; TypeError and ValueError for arguments.
    """

    def __init__(
        self,
        service: Service | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        batch_items: int = MAX_ITEMS,
        clock: Clock | None = None,
    ) -> None:
        """Name the service: None is that of AWS_ENDPOINT_URL and its kin, else of STRONGROOM_HOME (ConfigError if neither)."""
        check_limits(timeout_s, batch_items)
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._retries = retries or Retries()
        self._batch_items = batch_items
        self._connections = Connections(
            service or service_of_environment(), clock=self._clock, timeout_s=timeout_s
        )
        self._source = _Source(self._do)

    def __repr__(self) -> str:
        return f"Client({self.endpoint.url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoint(self) -> Endpoint:
        """Whom it calls."""
        return self._connections.endpoint

    def close(self) -> None:
        """Close the idle connections, and the others as soon as their call has ended."""
        self._connections.close()

    def encrypt(self, key: str, plaintext: bytes, *, context: Context = None) -> bytes:
        """Encrypt 1 to 4,096 bytes."""
        return self._do(encrypt_call(key, plaintext, context))

    def decrypt(self, ciphertext: bytes, *, key: str | None = None, context: Context = None) -> bytes:
        """Decrypt; ``key`` is the only one that may have encrypted it, if given."""
        return self._do(decrypt_call(ciphertext, key, context)).plaintext

    def generate_data_key(
        self, key: str, *, n_bytes: int = KEY_LEN_BYTES, context: Context = None
    ) -> DataKey:
        """Make a data key of 1 to 1,024 bytes: in clear, and encrypted under the key."""
        return self._do(generate_data_key_call(key, n_bytes, context))

    def encrypt_many(
        self, key: str, plaintexts: Iterable[bytes | Item], *, context: Context = None
    ) -> Iterator[Result]:
        """Encrypt items of 1 to 4,096 bytes; ``context`` is that of those without one of their own."""
        return self._many(ENCRYPT, key, plaintexts, {"context": dict(context or {})})

    def decrypt_many(
        self, key: str, ciphertexts: Iterable[bytes | Item], *, context: Context = None
    ) -> Iterator[Result]:
        """Decrypt items that this key encrypted."""
        return self._many(DECRYPT, key, ciphertexts, {"context": dict(context or {})})

    def rewrap_many(
        self, key: str, ciphertexts: Iterable[bytes | Item], *, context: Context = None
    ) -> Iterator[Result]:
        """Encrypt items anew under the current version of the key that encrypted them; nobody sees them in clear."""
        return self._many(REWRAP, key, ciphertexts, {"context": dict(context or {})})

    def sign_many(
        self,
        key: str,
        messages: Iterable[bytes],
        *,
        algorithm: SigningAlgorithm | str,
        message_type: Literal["RAW", "DIGEST"] = "RAW",
    ) -> Iterator[Result]:
        """Sign messages of 1 to 4,096 bytes, or their digests; at most 1,000 in a request."""
        members = {"signingAlgorithm": SigningAlgorithm(algorithm), "messageType": message_type}
        return self._many(SIGN, key, messages, members)

    def mac_many(
        self, key: str, messages: Iterable[bytes], *, algorithm: MacAlgorithm | str
    ) -> Iterator[Result]:
        """Make MACs of messages of 1 to 4,096 bytes."""
        return self._many(MAC, key, messages, {"macAlgorithm": MacAlgorithm(algorithm)})

    def generate_data_keys(
        self, key: str, count: int, *, n_bytes: int = KEY_LEN_BYTES, context: Context = None
    ) -> Iterator[DataKey]:
        """Make ``count`` data keys of 1 to 1,024 bytes."""
        key_id, pairs = None, dict(context or {})
        for amount in portions(count, min(self._batch_items, max_data_keys(n_bytes))):
            key_id = key_id or self._key_id(key)
            arn, made = self._do(data_keys_call(key_id, amount, n_bytes, pairs))
            for item in made:
                yield DataKey(Secret(item.plaintext), item.ciphertext, arn)

    def envelope(self, key: str | None = None, *, cache: DataKeyCache | None = None) -> Envelope:
        """Return an ``Envelope`` for data of any size whose data keys come through this client, and stay in ``cache``.

        One cache serves all envelopes of a client. Closing the envelope forgets what is cached and leaves the client open.
        """
        return Envelope(key, source=self._source, cache=cache)

    def _many(
        self, verb: Verb, key: str, items: Iterable[bytes | Item], members: Mapping[str, object]
    ) -> Iterator[Result]:
        Cutter(verb, key, members)  # what is wrong with the arguments shows now, not at the first result

        def results() -> Iterator[Result]:
            cutter: Cutter | None = None
            for item in items:
                if cutter is None:
                    cutter = Cutter(verb, self._key_id(key), members, max_items=self._batch_items)
                if batch := cutter.add(item):
                    yield from self._batch(batch)
            if cutter is not None and (batch := cutter.finish()):
                yield from self._batch(batch)

        return results()

    def _batch(self, batch: Batch) -> list[Result]:
        return batch.results(None) if batch.request is None else self._do(Call(batch.request, batch.results))

    def _key_id(self, key: str) -> str:
        return bare_key_id(key) or self._do(find_key_call(key))

    def _do(self, call: Call[_T]) -> _T:
        tries = Tries(self._retries, Deadline.after(self._clock, self._timeout_s))
        while True:
            try:
                return attempt(self._connections, call, tries.deadline)
            except ClientError as error:
                pause_s = tries.pause_after(error)
            time.sleep(pause_s)


class _Source:
    """A ``Client`` as the ``DataKeySource`` of envelopes."""

    def __init__(self, do: Callable[[Call[Any]], Any]) -> None:
        self._do = do

    def generate_data_key(
        self,
        *,
        KeyId: str,  # noqa: N803
        KeySpec: Literal["AES_256"],  # noqa: N803, ARG002  # the only one that is asked for
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> Mapping[str, Any]:
        made = self._do(generate_data_key_call(KeyId, KEY_LEN_BYTES, EncryptionContext))
        return {"Plaintext": made.plaintext.reveal(), "CiphertextBlob": made.wrapped, "KeyId": made.key_id}

    def decrypt(
        self,
        *,
        CiphertextBlob: bytes,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
        KeyId: str | None = None,  # noqa: N803
    ) -> Mapping[str, Any]:
        opened = self._do(decrypt_call(CiphertextBlob, KeyId, EncryptionContext))
        return {"Plaintext": opened.plaintext, "KeyId": opened.key_id}


def attempt(connections: Connections, call: Call[_T], deadline: Deadline) -> _T:
    """Do a call once, by its deadline."""
    left_s = deadline.remaining_s()
    if left_s <= 0:  # spent in the queue of an ``AsyncClient``
        raise ServiceUnreachableError(
            f"no connection to {connections.endpoint.url} was free in the time of the call: nothing was sent",
            next_step="allow more connections (max_connections), or more time (timeout_s)",
        )
    with connections.borrowed() as client:
        return call.read(client.exchange(call.request, limit_s=left_s))


def portions(count: int, most: int) -> Iterator[int]:
    """Yield amounts of at most ``most`` whose sum is ``count``."""
    for done in range(0, count, most):
        yield min(most, count - done)


def check_limits(timeout_s: float, batch_items: int) -> None:
    """Raise ValueError unless a client can work with these."""
    if not timeout_s > 0:
        raise ValueError("timeout_s is above zero")
    if not 1 <= batch_items <= MAX_ITEMS:
        raise ValueError(f"batch_items is 1 to {MAX_ITEMS:,}")


def service_of_environment() -> Service:
    """Return the service that the environment names. Raises ConfigError."""
    return find_service(Home(home_from_environment()))
