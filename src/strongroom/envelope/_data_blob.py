"""Blobs of callers' data (``Purpose.DATA``) in few steps: the one kind that every request makes or opens.

The layout is that of ``Blob`` with all that is fixed for this kind, so nothing has to be looked up. What ``parse_data`` takes,
``Blob.parse`` takes, and the other way round as far as it is of this kind; tests hold both to that.
"""

import struct
from typing import Final, NamedTuple

from strongroom.core import WrapAlgorithm
from strongroom.envelope._blob import FORMAT_VERSION, MAX_BLOB_BYTES, Purpose, encode_header
from strongroom.envelope._errors import MalformedBlobError
from strongroom.envelope._xaes import NONCE_LEN_BYTES, TAG_LEN_BYTES, Xaes256Gcm

_FIXED: Final = bytes((FORMAT_VERSION, Purpose.DATA, WrapAlgorithm.XAES_256_GCM))
_START: Final = struct.Struct(f">3s16sIB{NONCE_LEN_BYTES}sI")
HEADER_BYTES: Final = 23
OVERHEAD_BYTES: Final = _START.size + 1 + TAG_LEN_BYTES
MAX_DATA_BLOB_BYTES: Final = MAX_BLOB_BYTES
_MAX_BYTES: Final = MAX_BLOB_BYTES - OVERHEAD_BYTES
_NONCE_LEN: Final = bytes((NONCE_LEN_BYTES,))
_TAG_LEN: Final = bytes((TAG_LEN_BYTES,))
pack_length: Final = struct.Struct(">I").pack


class DataBlob(NamedTuple):
    """A blob of data, taken apart; nothing in it is authenticated yet."""

    key_id: bytes
    """16 bytes."""
    key_version: int
    header: bytes
    """The 23 authenticated bytes."""
    nonce: bytes
    ciphertext_with_tag: bytes


def data_header(key_id: bytes, key_version: int) -> bytes:
    """Return the 23 authenticated bytes of data under a key. Raises MalformedBlobError on an impossible id or version."""
    return encode_header(Purpose.DATA, WrapAlgorithm.XAES_256_GCM, key_id, key_version)


def seal_data(cipher: Xaes256Gcm, header: bytes, plaintext: bytes, binding: bytes) -> bytes:
    """Encrypt 1 to 6,075 bytes into an encoded blob, as ``seal_blob`` does. Raises MalformedBlobError as that does."""
    nonce, sealed = cipher.seal(plaintext, header + binding)
    size = len(sealed) - TAG_LEN_BYTES
    if not 1 <= size <= _MAX_BYTES:
        raise MalformedBlobError("the ciphertext length is out of range")
    return b"".join((header, _NONCE_LEN, nonce, pack_length(size), sealed[:size], _TAG_LEN, sealed[size:]))


def parse_data(data: bytes) -> DataBlob | None:
    """Take a blob of data apart; None for all that is not one, which ``Blob.parse`` may know or refuse."""
    if not OVERHEAD_BYTES < len(data) <= MAX_BLOB_BYTES:
        return None
    fixed, key_id, key_version, nonce_len, nonce, length = _START.unpack_from(data)
    tag_at = len(data) - TAG_LEN_BYTES
    if (
        fixed != _FIXED
        or key_version < 1
        or nonce_len != NONCE_LEN_BYTES
        or length != len(data) - OVERHEAD_BYTES
        or data[tag_at - 1] != TAG_LEN_BYTES
    ):
        return None
    sealed = data[_START.size : tag_at - 1] + data[tag_at:]
    return DataBlob(key_id, key_version, data[:HEADER_BYTES], nonce, sealed)


def open_data(cipher: Xaes256Gcm, blob: DataBlob, binding: bytes) -> bytes:
    """Decrypt with the key that the blob names, which the caller has looked up. Raises EnvelopeIntegrityError."""
    return cipher.open(blob.nonce, blob.ciphertext_with_tag, blob.header + binding)
