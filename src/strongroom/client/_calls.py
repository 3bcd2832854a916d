"""Single calls without I/O: requests, and how their answers are read."""

import re
from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from strongroom.client._data_keys import DataKey
from strongroom.client._errors import ForeignAnswerError
from strongroom.client._http import Answer, Outgoing, operation_request, read_answer
from strongroom.core import Secret

_BARE_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_T = TypeVar("_T")


class Call(NamedTuple, Generic[_T]):
    """A request, and what makes a value of its answer (or raises a ClientError)."""

    request: Outgoing
    read: Callable[[Answer], _T]


class _Hidden(msgspec.Struct, frozen=True, rename="pascal"):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Encrypted(_Hidden, frozen=True):
    ciphertext_blob: bytes


class Decrypted(_Hidden, frozen=True):
    """Opened data and the ARN of the key that had encrypted it."""

    plaintext: bytes
    key_id: str


class _Generated(_Hidden, frozen=True):
    plaintext: bytes
    ciphertext_blob: bytes
    key_id: str


class _Metadata(msgspec.Struct, frozen=True):
    key_id: str = msgspec.field(name="KeyId")


class _Described(msgspec.Struct, frozen=True):
    metadata: _Metadata = msgspec.field(name="KeyMetadata")


def encrypt_call(key: str, plaintext: bytes, context: Mapping[str, str] | None) -> Call[bytes]:
    """Encrypt."""
    members = {"KeyId": key, "Plaintext": _bytes(plaintext), "EncryptionContext": dict(context or {})}
    return Call(
        operation_request("Encrypt", members),
        lambda answer: read_answer(answer, _Encrypted).ciphertext_blob,
    )


def decrypt_call(ciphertext: bytes, key: str | None, context: Mapping[str, str] | None) -> Call[Decrypted]:
    """Decrypt; ``key`` is the only one that may have encrypted it, if given."""
    members: dict[str, object] = {
        "CiphertextBlob": _bytes(ciphertext),
        "EncryptionContext": dict(context or {}),
    }
    if key is not None:
        members["KeyId"] = key
    return Call(operation_request("Decrypt", members), lambda answer: read_answer(answer, Decrypted))


def generate_data_key_call(key: str, n_bytes: int, context: Mapping[str, str] | None) -> Call[DataKey]:
    """Make a data key."""
    members = {"KeyId": key, "NumberOfBytes": n_bytes, "EncryptionContext": dict(context or {})}

    def read(answer: Answer) -> DataKey:
        made = read_answer(answer, _Generated)
        if len(made.plaintext) != n_bytes:
            raise ForeignAnswerError("the service answered a data key of another length")
        return DataKey(Secret(made.plaintext), made.ciphertext_blob, made.key_id)

    return Call(operation_request("GenerateDataKey", members), read)


def bare_key_id(key: str) -> str | None:
    """Return a key id that needs no look-up; None for an alias or an ARN."""
    return key if _BARE_ID.fullmatch(key) else None


def find_key_call(key: str) -> Call[str]:
    """Look up the bare id of a key by its alias or ARN."""

    def read(answer: Answer) -> str:
        found = read_answer(answer, _Described).metadata.key_id
        if bare_key_id(found) is None:  # it becomes a part of a path
            raise ForeignAnswerError("the service answered a key id of another form")
        return found

    return Call(operation_request("DescribeKey", {"KeyId": key}), read)


def _bytes(data: bytes) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(f"bytes are wanted, not {type(data).__name__}")
    return data
