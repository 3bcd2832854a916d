"""Batches without I/O: items in, requests of bounded size out; and answers into results, in order.

The wire is docs/batches.md, in MessagePack. Items are encoded one by one as they come, so what a request holds is known to the
byte, and a context that its owner changes later does no harm.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from strongroom.client._calls import Call
from strongroom.client._errors import ForeignAnswerError, ItemRefusedError
from strongroom.client._http import Answer, Outgoing, foreign_answer, refusal_of
from strongroom.client._items import Item, Result

MAX_ITEMS: Final = 10_000
"""In a request of encrypt, decrypt, rewrap and mac."""
MAX_SIGN_ITEMS: Final = 1_000
"""In a request of sign: an ML-DSA-87 signature has 4,627 bytes, and an RSA-4096 one takes milliseconds."""
MAX_BODY_BYTES: Final = 1_572_864
"""1.5 MiB; the service takes 2 MiB."""
_MAX_MESSAGE_BYTES: Final = 4_096
_MAX_CIPHERTEXT_BYTES: Final = 6_144
_MAX_DATA_KEY_BYTES: Final = 1_024
_MAX_MAP_MEMBERS: Final = 15
_ENCODER: Final = msgspec.msgpack.Encoder()
_HEADERS: Final = MappingProxyType({"Content-Type": "application/msgpack"})
_T = TypeVar("_T")


class _Hidden(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Base of what may hold plaintext: it does not show itself."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Plain(_Hidden, frozen=True, gc=False, omit_defaults=True):
    data: bytes = msgspec.field(name="plaintext")
    context: dict[str, str] | None = None


class _Sealed(_Hidden, frozen=True, gc=False, omit_defaults=True):
    data: bytes = msgspec.field(name="ciphertext")
    context: dict[str, str] | None = None


class _Message(_Hidden, frozen=True, gc=False, omit_defaults=True):
    data: bytes = msgspec.field(name="message")
    context: None = None


class _Error(msgspec.Struct, frozen=True, gc=False):
    code: str
    message: str = ""


class _Answered(_Hidden, frozen=True, gc=False):
    error: _Error | None = None


class _WithCiphertext(_Answered, frozen=True, gc=False):
    value: bytes | None = msgspec.field(default=None, name="ciphertext")


class _WithPlaintext(_Answered, frozen=True, gc=False):
    value: bytes | None = msgspec.field(default=None, name="plaintext")


class _WithSignature(_Answered, frozen=True, gc=False):
    value: bytes | None = msgspec.field(default=None, name="signature")


class _WithMac(_Answered, frozen=True, gc=False):
    value: bytes | None = msgspec.field(default=None, name="mac")


class DataKeyItem(_Hidden, frozen=True, gc=False):
    """A data key of an answer."""

    plaintext: bytes
    ciphertext: bytes


class _Document(_Hidden, Generic[_T], frozen=True, rename="camel"):
    key_id: str
    items: list[_T]


_AnsweredItem = _WithCiphertext | _WithPlaintext | _WithSignature | _WithMac


class Verb(NamedTuple):
    """One of the batch endpoints."""

    name: str
    item: type[_Plain] | type[_Sealed] | type[_Message]
    max_item_bytes: int
    max_items: int
    answers: "msgspec.msgpack.Decoder[Any]"


def _decoder(kind: Any) -> "msgspec.msgpack.Decoder[Any]":
    return msgspec.msgpack.Decoder(_Document[kind])


ENCRYPT: Final = Verb("encrypt", _Plain, _MAX_MESSAGE_BYTES, MAX_ITEMS, _decoder(_WithCiphertext))
DECRYPT: Final = Verb("decrypt", _Sealed, _MAX_CIPHERTEXT_BYTES, MAX_ITEMS, _decoder(_WithPlaintext))
REWRAP: Final = Verb("rewrap", _Sealed, _MAX_CIPHERTEXT_BYTES, MAX_ITEMS, _decoder(_WithCiphertext))
SIGN: Final = Verb("sign", _Message, _MAX_MESSAGE_BYTES, MAX_SIGN_ITEMS, _decoder(_WithSignature))
MAC: Final = Verb("mac", _Message, _MAX_MESSAGE_BYTES, MAX_ITEMS, _decoder(_WithMac))
_DATA_KEYS: Final = _decoder(DataKeyItem)


class Batch(NamedTuple):
    """Items for one request, and the places of those that are refused before it."""

    verb: Verb
    n_items: int
    """Those refused included."""
    refused: Mapping[int, ItemRefusedError]
    """By place in this batch."""
    first: int
    """Place of its first item among all."""
    request: Outgoing | None
    """None when all are refused."""

    def results(self, answer: Answer | None) -> list[Result]:
        """Return a result for each item, in order; ``answer`` belongs to ``request``.

        Raises RequestRefusedError and GatewayError for a batch that was refused as a whole, ForeignAnswerError.
        """
        answered = iter([] if answer is None else self._answered(answer))
        if not self.refused:
            return [_result(item, self.first + at) for at, item in enumerate(answered)]
        return [
            Result(None, self.refused[at]) if at in self.refused else _result(next(answered), self.first + at)
            for at in range(self.n_items)
        ]

    def _answered(self, answer: Answer) -> list[_AnsweredItem]:
        items: list[_AnsweredItem] = _decoded(answer, self.verb.answers).items
        if len(items) != self.n_items - len(self.refused):
            raise foreign_answer(answer)
        return items


class Cutter:
    """Collects items and cuts them into batches. For one thread."""

    def __init__(
        self, verb: Verb, key_id: str, members: Mapping[str, object], *, max_items: int = MAX_ITEMS
    ) -> None:
        """Begin. ``members`` are those of the request beside its items. Raises ValueError when they are too long."""
        self._verb = verb
        self._path = batch_path(key_id, verb.name)
        common = _ENCODER.encode(dict(members))
        if len(members) >= _MAX_MAP_MEMBERS or len(common) > MAX_BODY_BYTES // 2:
            raise ValueError("the encryption context is too long")
        # MessagePack: 0x80 + n begins a map of up to 15 members, 0xdd an array whose length follows in 32 bits.
        self._head = bytes((0x80 + len(members) + 1,)) + common[1:] + _ENCODER.encode("items") + b"\xdd"
        self._max_items = min(max_items, verb.max_items)
        self._first = 0
        self._begin()

    def add(self, item: bytes | Item) -> Batch | None:
        """Take an item; returns the batch that is full without it. Raises TypeError for what is no bytes."""
        data, context = (item.data, item.context) if isinstance(item, Item) else (item, None)
        if not isinstance(data, bytes):
            raise TypeError(f"an item is bytes or an Item of bytes, not {type(data).__name__}")
        if not 1 <= len(data) <= self._verb.max_item_bytes:
            why = f"has {len(data)} bytes, where 1 to {self._verb.max_item_bytes} are allowed"
            return self._refuse(why)
        encoded = _ENCODER.encode(self._verb.item(data, None if context is None else dict(context)))  # type: ignore[arg-type]  # the client gives messages no context
        if len(encoded) > MAX_BODY_BYTES // 2:
            return self._refuse("has an encryption context that is too long")
        full = None
        if self._n_items >= self._max_items or self._n_bytes + len(encoded) > MAX_BODY_BYTES:
            full = self.finish()
        self._encoded.append(encoded)
        self._n_bytes += len(encoded)
        self._n_items += 1
        return full

    def finish(self) -> Batch | None:
        """Return what is collected; None when that is nothing."""
        if not self._n_items:
            return None
        request = None
        if self._encoded:
            count = len(self._encoded).to_bytes(4)
            request = Outgoing(self._path, _HEADERS, b"".join((self._head, count, *self._encoded)))
        batch = Batch(self._verb, self._n_items, self._refused, self._first, request)
        self._first += self._n_items
        self._begin()
        return batch

    def _begin(self) -> None:
        self._encoded: list[bytes] = []
        self._refused: dict[int, ItemRefusedError] = {}
        self._n_items = 0
        self._n_bytes = len(self._head) + 4

    def _refuse(self, why: str) -> Batch | None:
        full = self.finish() if self._n_items >= self._max_items else None
        error = ItemRefusedError(self._first + self._n_items, "ValidationException", why)
        self._refused[self._n_items] = error
        self._n_items += 1
        return full


def batch_path(key_id: str, verb: str) -> str:
    """Return the path of an endpoint; ``key_id`` is the bare id."""
    return f"/api/v1/keys/{key_id}/batch/{verb}"


def data_keys_call(
    key_id: str, count: int, n_bytes: int, context: Mapping[str, str]
) -> Call[tuple[str, list[DataKeyItem]]]:
    """Ask for ``count`` data keys; the value is the ARN of the key and the data keys. Raises as ``Batch.results``."""
    members = {"count": count, "bytes": n_bytes, "context": dict(context)}
    request = Outgoing(batch_path(key_id, "data-keys"), _HEADERS, _ENCODER.encode(members))

    def read(answer: Answer) -> tuple[str, list[DataKeyItem]]:
        document = _decoded(answer, _DATA_KEYS)
        items: list[DataKeyItem] = document.items
        if len(items) != count or any(
            len(item.plaintext) != n_bytes or not item.ciphertext for item in items
        ):
            raise foreign_answer(answer)
        return document.key_id, items

    return Call(request, read)


def max_data_keys(n_bytes: int) -> int:
    """Return how many data keys of a length fit into an answer of about 1.5 MiB. Raises ValueError for another length than 1 to 1,024."""
    if not 1 <= n_bytes <= _MAX_DATA_KEY_BYTES:
        raise ValueError(f"a data key has 1 to {_MAX_DATA_KEY_BYTES:,} bytes")
    return min(MAX_ITEMS, MAX_BODY_BYTES // (2 * n_bytes + 256))


def _decoded(answer: Answer, decoder: "msgspec.msgpack.Decoder[Any]") -> Any:
    if answer.status != 200:
        raise refusal_of(answer)
    try:
        return decoder.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Without its cause: a message about the content might quote a plaintext.
        raise foreign_answer(answer) from None


def _result(item: _AnsweredItem, position: int) -> Result:
    if item.value is not None:
        return Result(item.value)
    if item.error is None:
        raise ForeignAnswerError(f"the answer has neither a result nor an error for item {position}")
    return Result(None, ItemRefusedError(position, item.error.code, item.error.message))
