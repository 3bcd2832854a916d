"""Making and opening blobs with a software key."""

from strongroom.core import WrapAlgorithm
from strongroom.envelope._blob import Blob, Purpose, encode_header, encode_sealed
from strongroom.envelope._errors import MalformedBlobError
from strongroom.envelope._xaes import Xaes256Gcm


def seal_blob(  # noqa: PLR0917  # in the order of the blob; tests hold that nothing swapped opens
    cipher: Xaes256Gcm,
    purpose: Purpose,
    wrapping_key_id: bytes,
    wrapping_key_version: int,
    plaintext: bytes,
    binding: bytes,
) -> bytes:
    """Encrypt ``plaintext`` (1 to 6,075 bytes) into an encoded blob, 69 bytes longer.

    Raises MalformedBlobError when it would not be a valid one: an empty or over-long plaintext, a purpose
    that belongs to an HSM, an impossible key id or version.
    """
    header = encode_header(purpose, WrapAlgorithm.XAES_256_GCM, wrapping_key_id, wrapping_key_version)
    nonce, sealed = cipher.seal(plaintext, header + binding)
    return encode_sealed(header, nonce, sealed)


def open_blob(cipher: Xaes256Gcm, blob: Blob, binding: bytes) -> bytes:
    """Decrypt a blob with the key that its header names, which the caller has looked up.

    Raises EnvelopeIntegrityError when key, header, ciphertext or binding differ from what was sealed, and
    MalformedBlobError when the blob was made inside an HSM.
    """
    if blob.algorithm is not WrapAlgorithm.XAES_256_GCM:
        raise MalformedBlobError("it was made inside an HSM, where it has to be opened")
    return cipher.open(blob.iv, blob.ciphertext + blob.tag, blob.header + binding)
