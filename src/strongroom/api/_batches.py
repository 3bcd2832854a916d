"""Batches: ``POST /api/v1/keys/KEY-ID/batch/VERB``, many items under one key in one request.

A request is JSON (``application/json``, bytes as base64) or MessagePack (``application/msgpack``, bytes as they are), signed as
any other; its answer has the same form. It has ``items``, and an encryption ``context`` for those that have none of
their own; the answer has ``items`` in the same order, each with its result or its ``error``. docs/batches.md has examples.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from strongroom.api._arns import Arns
from strongroom.api._errors import ApiError, Where, to_api_error, validation_error
from strongroom.api._json import encode_document
from strongroom.api._operation import Action, Document
from strongroom.api._requests import MAX_CIPHERTEXT_BYTES, MAX_PLAINTEXT_BYTES
from strongroom.core import MacAlgorithm, SigningAlgorithm
from strongroom.keyring import (
    MAX_ITEMS,
    BatchDataKey,
    BatchOfBytes,
    BatchOfPlaintexts,
    KeyById,
    KeyringError,
    MessageType,
    PlainItem,
    SealedItem,
)
from strongroom.service import Caller, KeyService

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
_PATH: Final = re.compile(r"/api/v1/keys/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/batch/([a-z-]{1,16})")
_MAX_DATA_KEY_BYTES: Final = 1_024
_MAX_DATA_KEYS_BYTES: Final = 1024 * 1024
"""Of all data keys of a batch: a request of a few bytes is not to have answers of any size made and held."""

_Context = dict[str, str]
_Items = Meta(min_length=1, max_length=MAX_ITEMS)


class _Members(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Members of a batch request; one that is not known is refused, for it would change what is asked."""


class _Plain(_Members, frozen=True, gc=False):
    plaintext: Annotated[bytes, Meta(min_length=1, max_length=MAX_PLAINTEXT_BYTES)]
    context: _Context | None = None


class _Sealed(_Members, frozen=True, gc=False):
    ciphertext: Annotated[bytes, Meta(min_length=1, max_length=MAX_CIPHERTEXT_BYTES)]
    context: _Context | None = None


class _Message(_Members, frozen=True, gc=False):
    message: Annotated[bytes, Meta(min_length=1, max_length=MAX_PLAINTEXT_BYTES)]


class _PlainBatch(_Members, frozen=True):
    items: Annotated[list[_Plain], _Items]
    context: _Context = {}


class _SealedBatch(_Members, frozen=True):
    items: Annotated[list[_Sealed], _Items]
    context: _Context = {}


class _DataKeyBatch(_Members, frozen=True):
    count: Annotated[int, Meta(ge=1, le=MAX_ITEMS)]
    bytes: Annotated[int, Meta(ge=1, le=_MAX_DATA_KEY_BYTES)] = 32
    context: _Context = {}


class _SignBatch(_Members, frozen=True, rename="camel"):
    items: Annotated[list[_Message], _Items]
    signing_algorithm: SigningAlgorithm
    message_type: MessageType = MessageType.RAW


class _MacBatch(_Members, frozen=True, rename="camel"):
    items: Annotated[list[_Message], _Items]
    mac_algorithm: MacAlgorithm


def _encrypt(members: _PlainBatch, key: KeyById, arns: Arns) -> Action:
    items = [
        PlainItem(item.plaintext, members.context if item.context is None else item.context)
        for item in members.items
    ]

    async def act(service: KeyService, caller: Caller) -> Document:
        return _of_bytes("ciphertext", await service.encrypt_batch(caller, key, items), arns)

    return act


def _sealed_items(members: _SealedBatch) -> list[SealedItem]:
    return [
        SealedItem(item.ciphertext, members.context if item.context is None else item.context)
        for item in members.items
    ]


def _decrypt(members: _SealedBatch, key: KeyById, arns: Arns) -> Action:
    items = _sealed_items(members)

    async def act(service: KeyService, caller: Caller) -> Document:
        return _of_bytes("plaintext", await service.decrypt_batch(caller, key, items), arns)

    return act


def _rewrap(members: _SealedBatch, key: KeyById, arns: Arns) -> Action:
    items = _sealed_items(members)

    async def act(service: KeyService, caller: Caller) -> Document:
        return _of_bytes("ciphertext", await service.rewrap_batch(caller, key, items), arns)

    return act


def _data_keys(members: _DataKeyBatch, key: KeyById, arns: Arns) -> Action:
    if members.count * members.bytes > _MAX_DATA_KEYS_BYTES:
        raise validation_error(f"The data keys of a batch may have {_MAX_DATA_KEYS_BYTES:,} bytes in all.")

    async def act(service: KeyService, caller: Caller) -> Document:
        batch = await service.make_data_keys(
            caller, key, count=members.count, n_bytes=members.bytes, context=members.context
        )
        return _document(arns, batch.key_id, batch.material_id, map(BatchDataKey._asdict, batch.results))

    return act


def _sign(members: _SignBatch, key: KeyById, arns: Arns) -> Action:
    async def act(service: KeyService, caller: Caller) -> Document:
        batch = await service.sign_batch(
            caller,
            key,
            [item.message for item in members.items],
            algorithm=members.signing_algorithm,
            kind=members.message_type,
        )
        return _of_bytes("signature", batch, arns)

    return act


def _mac(members: _MacBatch, key: KeyById, arns: Arns) -> Action:
    async def act(service: KeyService, caller: Caller) -> Document:
        messages = [item.message for item in members.items]
        batch = await service.mac_batch(caller, key, messages, algorithm=members.mac_algorithm)
        return _of_bytes("mac", batch, arns)

    return act


class _Verb(NamedTuple):
    operation: str
    """What metrics and refusals call it."""
    json: "msgspec.json.Decoder[Any]"
    msgpack: "msgspec.msgpack.Decoder[Any]"
    prepare: Callable[[Any, KeyById, Arns], Action]


def _verb(operation: str, members: type[_Members], prepare: Callable[[Any, KeyById, Arns], Action]) -> _Verb:
    return _Verb(operation, msgspec.json.Decoder(members), msgspec.msgpack.Decoder(members), prepare)


_VERBS: Final[Mapping[str, _Verb]] = MappingProxyType(
    {
        "encrypt": _verb("BatchEncrypt", _PlainBatch, _encrypt),
        "decrypt": _verb("BatchDecrypt", _SealedBatch, _decrypt),
        "rewrap": _verb("BatchRewrap", _SealedBatch, _rewrap),
        "data-keys": _verb("BatchDataKeys", _DataKeyBatch, _data_keys),
        "sign": _verb("BatchSign", _SignBatch, _sign),
        "mac": _verb("BatchMac", _MacBatch, _mac),
    }
)


class BatchRoute(NamedTuple):
    """A request for a batch, by its path alone."""

    key: KeyById
    verb: _Verb

    @property
    def operation(self) -> str:
        """What metrics and refusals call it."""
        return self.verb.operation

    def prepare(self, content_type: str, body: bytes, arns: Arns) -> Action:
        """Read the items. Raises ApiError."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in {JSON, MSGPACK}:
            raise validation_error(f"Content-Type must be {JSON} or {MSGPACK}.")
        decoder = self.verb.msgpack if kind == MSGPACK else self.verb.json
        try:
            members = decoder.decode(body)
        except msgspec.ValidationError as error:
            raise ApiError("ValidationException", f"1 validation error detected: {error}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ApiError("SerializationException", f"The body is not a document of {kind}.") from None
        return self.verb.prepare(members, self.key, arns)


def find_batch(path: str) -> BatchRoute | None:
    """Return the batch that a path asks for; None when it is another path."""
    found = _PATH.fullmatch(path)
    verb = None if found is None else _VERBS.get(found[2])
    return None if found is None or verb is None else BatchRoute(KeyById(found[1]), verb)


def render_batch(document: Document, content_type: str) -> tuple[bytes, bytes]:
    """Return content type and body of an answer, in the form of its request."""
    if content_type.lower().startswith(MSGPACK):
        return MSGPACK.encode(), msgspec.msgpack.encode(document)
    return JSON.encode(), encode_document(document)


def _of_bytes(name: str, batch: BatchOfBytes | BatchOfPlaintexts, arns: Arns) -> Document:
    results = [
        {name: result} if isinstance(result, bytes) else _failed(result, arns) for result in batch.results
    ]
    return _document(arns, batch.key_id, batch.material_id, results)


def _document(arns: Arns, key_id: str, material_id: str, items: Iterable[Mapping[str, object]]) -> Document:
    results: Sequence[Mapping[str, object]] = list(items)
    return {"keyId": arns.key(key_id), "keyMaterialId": material_id, "items": results}


def _failed(error: KeyringError, arns: Arns) -> Document:
    answer = to_api_error(error, Where(arns, "-"))
    return {"error": {"code": answer.code, "message": answer.message}}
