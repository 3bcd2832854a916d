"""Batches: ``POST /api/v1/keys/KEY-ID/batch/VERB``, many items under one key in one request.

A request is JSON (``application/json``, bytes as base64) or MessagePack (``application/msgpack``, bytes as they are), signed as
any other; its answer has the same form. It has ``items``, and an encryption ``context`` for those that have none of
their own; the answer has ``items`` in the same order, each with its result or its ``error``. docs/batches.md has examples.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from strongroom.api._admin import JSON, MSGPACK, AdminCall, AdminRoute
from strongroom.api._arns import Arns
from strongroom.api._batch_forms import (
    CiphertextBatch,
    DataKeyBatch,
    DataKeysBatch,
    MacBatch,
    MacsBatch,
    PlainBatch,
    PlaintextBatch,
    SealedBatch,
    SignatureBatch,
    SignBatch,
)
from strongroom.api._errors import Where, to_api_error, validation_error
from strongroom.api._operation import Document
from strongroom.keyring import (
    BatchDataKey,
    BatchOfBytes,
    BatchOfPlaintexts,
    KeyById,
    KeyringError,
    PlainItem,
    SealedItem,
)

_MAX_DATA_KEYS_BYTES: Final = 1024 * 1024
"""Of all data keys of a batch: a request of a few bytes is not to have answers of any size made and held."""


def _plain_items(members: PlainBatch) -> list[PlainItem]:
    return [
        PlainItem(item.plaintext, members.context if item.context is None else item.context)
        for item in members.items
    ]


def _sealed_items(members: SealedBatch) -> list[SealedItem]:
    return [
        SealedItem(item.ciphertext, members.context if item.context is None else item.context)
        for item in members.items
    ]


async def _encrypt(call: AdminCall) -> Document:
    batch = await call.service.encrypt_batch(call.caller, _key(call), _plain_items(call.body))
    return _of_bytes("ciphertext", batch, call.arns)


async def _decrypt(call: AdminCall) -> Document:
    batch = await call.service.decrypt_batch(call.caller, _key(call), _sealed_items(call.body))
    return _of_bytes("plaintext", batch, call.arns)


async def _rewrap(call: AdminCall) -> Document:
    batch = await call.service.rewrap_batch(call.caller, _key(call), _sealed_items(call.body))
    return _of_bytes("ciphertext", batch, call.arns)


async def _data_keys(call: AdminCall) -> Document:
    members: DataKeyBatch = call.body
    if members.count * members.bytes > _MAX_DATA_KEYS_BYTES:
        raise validation_error(f"The data keys of a batch may have {_MAX_DATA_KEYS_BYTES:,} bytes in all.")
    batch = await call.service.make_data_keys(
        call.caller, _key(call), count=members.count, n_bytes=members.bytes, context=members.context
    )
    return _document(call.arns, batch.key_id, batch.material_id, map(BatchDataKey._asdict, batch.results))


async def _sign(call: AdminCall) -> Document:
    members: SignBatch = call.body
    batch = await call.service.sign_batch(
        call.caller,
        _key(call),
        [item.message for item in members.items],
        algorithm=members.signing_algorithm,
        kind=members.message_type,
    )
    return _of_bytes("signature", batch, call.arns)


async def _mac(call: AdminCall) -> Document:
    members: MacBatch = call.body
    messages = [item.message for item in members.items]
    batch = await call.service.mac_batch(call.caller, _key(call), messages, algorithm=members.mac_algorithm)
    return _of_bytes("mac", batch, call.arns)


def _key(call: AdminCall) -> KeyById:
    return KeyById(call.path["keyId"])


def _route(
    verb: str,
    verbs: tuple[str, ...],
    request: type[Struct],
    call: Callable[[AdminCall], Awaitable[Document]],
    answer: type[Struct],
) -> AdminRoute:
    return AdminRoute(
        method="POST",
        path=f"keys/{{keyId}}/batch/{verb}",
        operation="Batch" + verb.title().replace("-", ""),
        verbs=verbs,
        summary=_SUMMARIES[verb],
        request=request,
        call=call,
        answer=answer,
        forms=(JSON, MSGPACK),
        errors=(
            *("NotFoundException", "DisabledException", "InvalidKeyUsageException"),
            *("KMSInvalidStateException", "ThrottlingException"),
        ),
    )


_SUMMARIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "encrypt": "Encrypt up to 10,000 items under one key.",
        "decrypt": "Decrypt up to 10,000 items that were encrypted under one key.",
        "rewrap": "Encrypt ciphertexts of one key anew, under its current version.",
        "data-keys": "Make up to 10,000 data keys.",
        "sign": "Sign up to 10,000 messages.",
        "mac": "Make the MACs of up to 10,000 messages.",
    }
)
BATCH_ROUTES: Final = (
    _route("encrypt", ("Encrypt",), PlainBatch, _encrypt, CiphertextBatch),
    _route("decrypt", ("Decrypt",), SealedBatch, _decrypt, PlaintextBatch),
    _route("rewrap", ("ReEncryptFrom", "ReEncryptTo"), SealedBatch, _rewrap, CiphertextBatch),
    _route("data-keys", ("GenerateDataKey",), DataKeyBatch, _data_keys, DataKeysBatch),
    _route("sign", ("Sign",), SignBatch, _sign, SignatureBatch),
    _route("mac", ("GenerateMac",), MacBatch, _mac, MacsBatch),
)


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
