"""Signed batches (``POST /api/v1/keys/KEY-ID/batch/VERB``, MessagePack): a table of different ones for each verb."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from strongroom.bench._errors import BenchError
from strongroom.bench._http import Connection, HttpRequest
from strongroom.client import Endpoint
from strongroom.core import random_bytes

BATCH_ITEMS: Final = 100
BATCH_ITEM_BYTES: Final = 64
BATCH_TABLE_SIZE: Final = 50
_FORM: Final = "application/msgpack"
_VERBS: Final[Mapping[str, str]] = MappingProxyType(
    {"BatchEncrypt": "encrypt", "BatchDecrypt": "decrypt", "BatchSign": "sign"}
)
BATCH_OPERATIONS: Final = tuple(_VERBS)
"""Batches that can be measured, as the routes are called."""

_Item = dict[str, Any]


class _Answer(msgspec.Struct, frozen=True):
    items: list[_Item]


class Poster(Protocol):
    """What signs requests."""

    @property
    def endpoint(self) -> Endpoint:
        """Where they go."""
        ...

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpRequest:
        """Return a request, signed now."""
        ...


def items_of(operation: str) -> int:
    """Return how many items one request of an operation has."""
    return BATCH_ITEMS if operation in _VERBS else 1


class BatchMaker:
    """Makes tables of batches, of ``BATCH_ITEMS`` items of ``BATCH_ITEM_BYTES`` each."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster
        self._texts = [
            [random_bytes(BATCH_ITEM_BYTES) for _ in range(BATCH_ITEMS)] for _ in range(BATCH_TABLE_SIZE)
        ]
        self._ciphertexts: list[list[bytes]] = []

    def requests(self, operation: str, key_id: str) -> list[HttpRequest]:
        """Return batches signed now, after every item of a first one was done. Raises BenchError."""
        if operation == "BatchDecrypt" and not self._ciphertexts:
            sealed = [
                self._send("BatchEncrypt", key_id, members) for members in self._members("BatchEncrypt")
            ]
            self._ciphertexts = [[item["ciphertext"] for item in items] for items in sealed]
        documents = self._members(operation)
        self._send(operation, key_id, documents[0])
        return [self._request(operation, key_id, document) for document in documents]

    def _members(self, operation: str) -> Sequence[Mapping[str, object]]:
        if operation == "BatchDecrypt":
            return [{"items": [{"ciphertext": one} for one in batch]} for batch in self._ciphertexts]
        if operation == "BatchSign":
            return [
                {"items": [{"message": one} for one in batch], "signingAlgorithm": "ECDSA_SHA_256"}
                for batch in self._texts
            ]
        return [{"items": [{"plaintext": one} for one in batch]} for batch in self._texts]

    def _request(self, operation: str, key_id: str, members: Mapping[str, object]) -> HttpRequest:
        path = f"/api/v1/keys/{key_id}/batch/{_VERBS[operation]}"
        return self._poster.post(
            path, {"Content-Type": _FORM, "Accept": _FORM}, msgspec.msgpack.encode(members)
        )

    def _send(self, operation: str, key_id: str, members: Mapping[str, object]) -> list[_Item]:
        """Have one batch done. Raises RequestFailedError, and BenchError when an item failed: the load generator sees neither."""
        with Connection(self._poster.endpoint) as connection:
            answer = connection.send(self._request(operation, key_id, members))
        try:
            items = msgspec.msgpack.decode(answer, type=_Answer).items
        except msgspec.DecodeError as error:
            raise BenchError(f"the answer to {operation} cannot be read: {error}") from error
        failed = [item["error"] for item in items if "error" in item]
        if failed or len(items) != BATCH_ITEMS:
            raise BenchError(
                f"{operation}: {len(items)} items were answered, {len(failed)} failed: {failed[:1]}"
            )
        return items
