"""Many blobs of callers' data at once: the same blobs as one by one, with what they share done once.

Deriving the message keys in one pass of AES takes a seventh of the time that it takes one by one.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import random_bytes
from strongroom.envelope._blob import encode_sealed
from strongroom.envelope._data_blob import (
    HEADER_BYTES,
    MAX_DATA_BLOB_BYTES,
    OVERHEAD_BYTES,
    DataBlob,
    pack_length,
)
from strongroom.envelope._xaes import KEY_LEN_BYTES, NONCE_LEN_BYTES, TAG_LEN_BYTES, Xaes256Gcm

CutData: TypeAlias = tuple[bytes, bytes, bytes]
"""A blob under a header that is known: the first and the second half of the nonce, and the ciphertext with its tag."""
_NONCE_AT = HEADER_BYTES + 1
_HALF_AT = _NONCE_AT + NONCE_LEN_BYTES // 2
_LENGTH_AT = _NONCE_AT + NONCE_LEN_BYTES
_TEXT_AT = _LENGTH_AT + 4


def seal_many_data(
    cipher: Xaes256Gcm, header: bytes, plaintexts: Sequence[bytes], bindings: Sequence[bytes]
) -> list[bytes]:
    """Encrypt each plaintext (1 to 6,075 bytes), bound to the binding at its place, into a blob as ``seal_data`` does.

    Raises MalformedBlobError when one of them is empty or too long, and ValueError when there are not as many
    bindings as plaintexts; then nothing was made.
    """
    nonces = random_bytes(NONCE_LEN_BYTES * len(plaintexts))
    keys = cipher.derive_many(nonces)
    blobs = []
    at = key_at = 0
    for plaintext, binding in zip(plaintexts, bindings, strict=True):
        nonce = nonces[at : at + NONCE_LEN_BYTES]
        sealed = AESGCM(keys[key_at : key_at + KEY_LEN_BYTES]).encrypt(
            nonce[12:], plaintext, header + binding
        )
        blobs.append(encode_sealed(header, nonce, sealed))
        at += NONCE_LEN_BYTES
        key_at += KEY_LEN_BYTES
    return blobs


def open_many_data(
    cipher: Xaes256Gcm, blobs: Sequence[DataBlob], bindings: Iterable[bytes]
) -> list[bytes | None]:
    """Decrypt each blob, all of which name the key of ``cipher``; None in the place of one that does not authenticate.

    Raises ValueError when there are not as many bindings as blobs.
    """
    keys = cipher.derive_many(b"".join([blob.nonce for blob in blobs]))
    opened: list[bytes | None] = []
    at = 0
    for blob, binding in zip(blobs, bindings, strict=True):
        try:
            opened.append(
                AESGCM(keys[at : at + KEY_LEN_BYTES]).decrypt(
                    blob.nonce[12:], blob.ciphertext_with_tag, blob.header + binding
                )
            )
        except InvalidTag:
            opened.append(None)
        at += KEY_LEN_BYTES
    return opened


def cut_data(header: bytes, data: bytes) -> CutData | None:
    """Take a blob apart that ``parse_data`` finds this header in; None for every other. Half the work, as most of it is comparing."""
    size = len(data)
    tag_at = size - TAG_LEN_BYTES
    if (
        not OVERHEAD_BYTES < size <= MAX_DATA_BLOB_BYTES
        or not data.startswith(header)
        or data[HEADER_BYTES] != NONCE_LEN_BYTES
        or data[_LENGTH_AT:_TEXT_AT] != pack_length(size - OVERHEAD_BYTES)
        or data[tag_at - 1] != TAG_LEN_BYTES
    ):
        return None
    return data[_NONCE_AT:_HALF_AT], data[_HALF_AT:_LENGTH_AT], data[_TEXT_AT : tag_at - 1] + data[tag_at:]


def open_cut_data(
    cipher: Xaes256Gcm, header: bytes, blobs: Sequence[CutData], bindings: Sequence[bytes]
) -> list[bytes | None]:
    """As ``open_many_data``, of blobs that ``cut_data`` took apart."""
    keys = cipher.derive_of_halves([half for half, _, _ in blobs])
    message_keys = [keys[at : at + KEY_LEN_BYTES] for at in range(0, len(keys), KEY_LEN_BYTES)]
    opened: list[bytes | None] = []
    bound, aad = b"", header
    for key, (_, iv, sealed), binding in zip(message_keys, blobs, bindings, strict=True):
        if binding is not bound:
            bound, aad = binding, header + binding
        try:
            opened.append(AESGCM(key).decrypt(iv, sealed, aad))
        except InvalidTag:
            opened.append(None)
    return opened
