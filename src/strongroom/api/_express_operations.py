"""The operations of the express lane: each reads its usual request, has it done at once and writes the answer.

What is usual: the members that an SDK sends for it and no others, without escapes, each once. The limits are those of
``_requests``. Everything else returns None or raises, and is for the operations of ``_kms``, which find the right words;
nothing has happened by then.
"""

import binascii
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from strongroom.api._arns import Arns
from strongroom.api._names import parse_key_ref
from strongroom.api._requests import (
    DATA_KEY_LENGTHS,
    MAX_CIPHERTEXT_BYTES,
    MAX_KEY_ID,
    MAX_PLAINTEXT_BYTES,
    SYMMETRIC_DEFAULT,
)
from strongroom.audit import UseEntry
from strongroom.core import SigningAlgorithm
from strongroom.keyring import KeyById, KeyRef, MessageType
from strongroom.service import Caller, ImmediateService

Done: TypeAlias = tuple[bytes, UseEntry]
"""The body of an answer, which may go out once the entry is durable."""
Do = Callable[[ImmediateService, Caller, bytes, Arns], Done | None]

_ALGORITHM: Final = SYMMETRIC_DEFAULT.encode()
# Nothing that is put in needs escaping: base64, hex digits, UUIDs, and the regions of signatures that verified.
_ENCRYPTED: Final = b'{"CiphertextBlob":"%b","KeyId":"%b%b","EncryptionAlgorithm":"' + _ALGORITHM + b'"}'
_DATA_KEY: Final = b'{"CiphertextBlob":"%b","Plaintext":"%b","KeyId":"%b%b","KeyMaterialId":"%b"}'
_DECRYPTED: Final = (
    b'{"KeyId":"%b%b","Plaintext":"%b","EncryptionAlgorithm":"' + _ALGORITHM + b'","KeyMaterialId":"%b"}'
)
_SIGNED: Final = b'{"KeyId":"%b%b","Signature":"%b","SigningAlgorithm":"%b"}'
_KEY_ID_CHARS: Final = 36
_NO_CONTEXT: Final[Mapping[str, str]] = MappingProxyType({})


class _Usual(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    encryption_context: dict[str, str] | None = None


class _Encrypt(_Usual, kw_only=True, gc=False):
    key_id: str
    plaintext: str


class _GenerateDataKey(_Usual, kw_only=True, gc=False):
    key_id: str
    key_spec: str


class _Sign(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, kw_only=True, gc=False):
    key_id: str
    message: str
    signing_algorithm: SigningAlgorithm
    message_type: MessageType | None = None


class _Decrypt(_Usual, kw_only=True, gc=False):
    ciphertext_blob: str
    key_id: str | None = None


_read_encrypt = msgspec.json.Decoder(_Encrypt).decode
_read_generate_data_key = msgspec.json.Decoder(_GenerateDataKey).decode
_read_decrypt = msgspec.json.Decoder(_Decrypt).decode
_read_sign = msgspec.json.Decoder(_Sign).decode


def _encrypt(service: ImmediateService, caller: Caller, body: bytes, arns: Arns) -> Done | None:
    members = _read_encrypt(body)
    key_id, context = members.key_id, members.encryption_context
    if not _says_no_more(body, 2, key_id, context) or len(key_id) > MAX_KEY_ID:
        return None
    plaintext = _from_base64(members.plaintext)
    if not 1 <= len(plaintext) <= MAX_PLAINTEXT_BYTES:
        return None
    now = service.encrypt_now(caller, _key_ref(key_id, arns), plaintext, context=context or _NO_CONTEXT)
    if now is None:
        return None
    made, entry = now
    blob = binascii.b2a_base64(made.ciphertext, newline=False)
    return _ENCRYPTED % (blob, _arn_start(arns), made.key_id.encode()), entry


def _generate_data_key(service: ImmediateService, caller: Caller, body: bytes, arns: Arns) -> Done | None:
    members = _read_generate_data_key(body)
    key_id, context = members.key_id, members.encryption_context
    n_bytes = DATA_KEY_LENGTHS.get(members.key_spec)
    if n_bytes is None or not _says_no_more(body, 2, key_id, context) or len(key_id) > MAX_KEY_ID:
        return None
    now = service.generate_data_key_now(
        caller, _key_ref(key_id, arns), n_bytes=n_bytes, context=context or _NO_CONTEXT
    )
    if now is None:
        return None
    made, entry = now
    blob = binascii.b2a_base64(made.ciphertext, newline=False)
    plaintext = binascii.b2a_base64(made.plaintext.reveal(), newline=False)
    made.plaintext.zeroize()
    answer = _DATA_KEY % (blob, plaintext, _arn_start(arns), made.key_id.encode(), made.material_id.encode())
    return answer, entry


def _decrypt(service: ImmediateService, caller: Caller, body: bytes, arns: Arns) -> Done | None:
    members = _read_decrypt(body)
    key_id, context = members.key_id, members.encryption_context
    count = 1 if key_id is None else 2
    if not _says_no_more(body, count, key_id or "", context):
        return None
    key = None
    if key_id is not None:
        if len(key_id) > MAX_KEY_ID:
            return None
        key = _key_ref(key_id, arns)
    ciphertext = _from_base64(members.ciphertext_blob)
    if not 1 <= len(ciphertext) <= MAX_CIPHERTEXT_BYTES:
        return None
    now = service.decrypt_now(caller, ciphertext, key=key, context=context or _NO_CONTEXT)
    if now is None:
        return None
    made, entry = now
    plaintext = binascii.b2a_base64(made.plaintext.reveal(), newline=False)
    made.plaintext.zeroize()
    return _DECRYPTED % (_arn_start(arns), made.key_id.encode(), plaintext, made.material_id.encode()), entry


def _sign(service: ImmediateService, caller: Caller, body: bytes, arns: Arns) -> Done | None:
    members = _read_sign(body)
    key_id, algorithm, kind = members.key_id, members.signing_algorithm, members.message_type
    count = 3 if kind is None else 4
    if not _says_no_more(body, count, key_id, None) or len(key_id) > MAX_KEY_ID:
        return None
    message = _from_base64(members.message)
    now = service.sign_now(
        caller, _key_ref(key_id, arns), message, algorithm=algorithm, kind=kind or MessageType.RAW
    )
    if now is None:
        return None
    made, entry = now
    signature = binascii.b2a_base64(made.signature, newline=False)
    return _SIGNED % (_arn_start(arns), made.key_id.encode(), signature, algorithm.encode()), entry


def _says_no_more(body: bytes, members: int, text: str, context: Mapping[str, str] | None) -> bool:
    """Whether a document that was read holds nothing but so many members, one with this text, and a context.

    Without escapes every colon is a member's own or stands in a value that we have: one more is a doubled member.
    """
    if b"\\" in body:
        return False
    more = body.count(b":") - members
    if context is not None:
        more -= 1 + len(context)
        if more:
            more -= sum([name.count(":") + value.count(":") for name, value in context.items()])
    return not more or more == text.count(":")


def _key_ref(text: str, arns: Arns) -> KeyRef:
    """Read the name of a key. What is as long as a key id and no ARN or alias is looked up as one, and if it is none not found."""
    if len(text) == _KEY_ID_CHARS and "/" not in text:
        return KeyById(text)
    return parse_key_ref(text, arns)


def _from_base64(text: str) -> bytes:
    """Read base64 that has one form only. Raises ValueError."""
    decoded = binascii.a2b_base64(text, strict_mode=True)
    if binascii.b2a_base64(decoded, newline=False).decode() != text:
        raise ValueError
    return decoded


@lru_cache(maxsize=256)
def _arn_start(arns: Arns) -> bytes:
    """Return what stands before a key's id in its ARN, for answers."""
    return arns.key("").encode()


EXPRESS: Mapping[str, tuple[str, Do]] = MappingProxyType(
    {
        "TrentService.Decrypt": ("Decrypt", _decrypt),
        "TrentService.Encrypt": ("Encrypt", _encrypt),
        "TrentService.GenerateDataKey": ("GenerateDataKey", _generate_data_key),
        "TrentService.Sign": ("Sign", _sign),
    }
)
"""By ``X-Amz-Target``: the operation's name and what does it."""
