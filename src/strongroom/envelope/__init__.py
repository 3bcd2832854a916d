"""The formats of everything that Strongroom encrypts: XAES-256-GCM, blobs, and what they are bound to.

Pure functions of bytes; service and clients use the same code. The byte layout is in ``Blob`` and, with an
example, in docs/ciphertext-format.md.

    >>> key_id, cipher = bytes(16), Xaes256Gcm(bytes(32))
    >>> binding = data_binding({"tenant": "7"})
    >>> stored = seal_blob(cipher, Purpose.DATA, key_id, 1, b"some data", binding)
    >>> open_blob(cipher, Blob.parse(stored), binding)
    b'some data'

Threading: everything is immutable or, as ``Xaes256Gcm``, safe to share between threads.

It does no I/O, keeps no keys and looks none up: the caller reads the wrapping key's id from a parsed blob and
brings the cipher. What an HSM encrypts, it only puts into the layout.
"""

from strongroom.envelope._binding import (
    aad_for,
    credential_binding,
    data_binding,
    domain_kek_binding,
    kek_binding,
    root_canary_binding,
)
from strongroom.envelope._blob import MAX_BLOB_BYTES, Blob, Purpose
from strongroom.envelope._errors import EnvelopeError, EnvelopeIntegrityError, MalformedBlobError
from strongroom.envelope._sealing import open_blob, seal_blob
from strongroom.envelope._xaes import Sealed, Xaes256Gcm

__all__ = [
    "MAX_BLOB_BYTES",
    "Blob",
    "EnvelopeError",
    "EnvelopeIntegrityError",
    "MalformedBlobError",
    "Purpose",
    "Sealed",
    "Xaes256Gcm",
    "aad_for",
    "credential_binding",
    "data_binding",
    "domain_kek_binding",
    "kek_binding",
    "open_blob",
    "root_canary_binding",
    "seal_blob",
]
