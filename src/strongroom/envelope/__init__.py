"""The formats of everything that Strongroom encrypts: XAES-256-GCM, blobs, chunked messages and files.

Pure functions of bytes; service and clients use the same code. The byte layout is in ``Blob`` and, with an
example, in docs/ciphertext-format.md.

    >>> key_id, cipher = bytes(16), Xaes256Gcm(bytes(32))
    >>> binding = data_binding({"tenant": "7"})
    >>> stored = seal_blob(cipher, Purpose.DATA, key_id, 1, b"some data", binding)
    >>> open_blob(cipher, Blob.parse(stored), binding)
    b'some data'

Files and streams have a header (``FileHeader``, docs/file-format.md) in front of a chunked message
(``ChunkEncryptor``, ``ChunkDecryptor``, and ``ChunkReader`` for parts of it).

    >>> header = FileHeader(stored, {"tenant": "7"}).encode()
    >>> message = ChunkEncryptor(bytes(32), header)
    >>> encrypted = header + message.prologue + message.update(b"of any ") + message.update(b"size") + message.finish()
    >>> import io
    >>> ChunkReader(io.BytesIO(encrypted), bytes(32), header, begins_at=len(header)).read_range(7, 4)
    b'size'

Threading: everything is immutable or, as ``Xaes256Gcm``, safe to share between threads; what handles
chunks of one message is for one thread at a time.

It opens no file, keeps no keys and looks none up: the caller reads the wrapping key's id from a parsed blob and
brings the cipher. What an HSM encrypts, it only puts into the layout.
"""

from strongroom.envelope._binding import (
    aad_for,
    backup_snapshot_binding,
    credential_binding,
    data_binding,
    domain_kek_binding,
    import_digest_key_binding,
    import_token_binding,
    kek_binding,
    key_material_binding,
    root_canary_binding,
)
from strongroom.envelope._blob import MAX_BLOB_BYTES, Blob, Purpose
from strongroom.envelope._chunk_cipher import CHUNK_BYTES, ENCRYPTED_CHUNK_BYTES, PROLOGUE_BYTES
from strongroom.envelope._chunk_reader import ChunkReader, SeekableBytes
from strongroom.envelope._chunked import ChunkDecryptor, ChunkEncryptor, encrypted_bytes
from strongroom.envelope._data_blob import DataBlob, data_header, open_data, parse_data, seal_data
from strongroom.envelope._errors import (
    EnvelopeError,
    EnvelopeIntegrityError,
    KeyCommitmentError,
    MalformedBlobError,
    MalformedFileError,
    TruncatedMessageError,
)
from strongroom.envelope._file_header import (
    FIRST_BYTES,
    MAX_HEADER_BYTES,
    FileHeader,
    encode_context,
    header_bytes,
)
from strongroom.envelope._many_data import cut_data, open_cut_data, open_many_data, seal_many_data
from strongroom.envelope._sealing import open_blob, seal_blob
from strongroom.envelope._xaes import Sealed, Xaes256Gcm

__all__ = [
    "CHUNK_BYTES",
    "ENCRYPTED_CHUNK_BYTES",
    "FIRST_BYTES",
    "MAX_BLOB_BYTES",
    "MAX_HEADER_BYTES",
    "PROLOGUE_BYTES",
    "Blob",
    "ChunkDecryptor",
    "ChunkEncryptor",
    "ChunkReader",
    "DataBlob",
    "EnvelopeError",
    "EnvelopeIntegrityError",
    "FileHeader",
    "KeyCommitmentError",
    "MalformedBlobError",
    "MalformedFileError",
    "Purpose",
    "Sealed",
    "SeekableBytes",
    "TruncatedMessageError",
    "Xaes256Gcm",
    "aad_for",
    "backup_snapshot_binding",
    "credential_binding",
    "cut_data",
    "data_binding",
    "data_header",
    "domain_kek_binding",
    "encode_context",
    "encrypted_bytes",
    "header_bytes",
    "import_digest_key_binding",
    "import_token_binding",
    "kek_binding",
    "key_material_binding",
    "open_blob",
    "open_cut_data",
    "open_data",
    "open_many_data",
    "parse_data",
    "root_canary_binding",
    "seal_blob",
    "seal_data",
    "seal_many_data",
]
