"""The blob: the one layout of everything encrypted that is stored or given to callers."""

import struct
from enum import IntEnum
from typing import Final, NamedTuple, Self

from strongroom.core import WrapAlgorithm, WrappedBytes
from strongroom.envelope._errors import MalformedBlobError

FORMAT_VERSION: Final = 1
KEY_ID_LEN_BYTES: Final = 16
MAX_BLOB_BYTES: Final = 6_144
"""What AWS KMS lets a CiphertextBlob have."""


class Purpose(IntEnum):
    """What a blob protects. The numbers are stored and never change meaning."""

    DOMAIN_KEK = 1
    """A domain KEK under a root KEK, made inside an HSM."""
    KEK = 2
    """A KEK (one key version) under a domain KEK."""
    DATA = 3
    """A caller's data under a KEK, or under a key that is inside HSMs."""
    CREDENTIAL = 4
    """The secret of an access key under a domain KEK."""
    ROOT_CANARY = 5
    """Random bytes under a root KEK: whoever decrypts them holds that root."""
    KEY_MATERIAL = 6
    """The secret half of a pair, or the key of an HMAC (one key version), under a domain KEK."""
    IMPORT_TOKEN = 7
    """The private half of a key to wrap imported material under, under the domain KEK of the key that it is for."""
    IMPORT_DIGEST_KEY = 8
    """The key by which imported material is recognised, under a domain KEK."""
    SNAPSHOT_KEY = 9
    """The key of a backup's snapshot of the database, under a root KEK, wrapped inside an HSM."""


class _Shape(NamedTuple):
    """What version, purpose and algorithm say of the lengths of a blob."""

    iv_len: int
    tag_len: int
    further_iv_lens: tuple[int, ...] = ()
    ciphertext_lens: frozenset[int] | None = None
    """None: any length from 1."""

    def takes(self, iv_len: int, ciphertext_len: int) -> bool:
        """Whether IV and ciphertext may have these lengths."""
        return (iv_len == self.iv_len or iv_len in self.further_iv_lens) and (
            ciphertext_len >= 1 if self.ciphertext_lens is None else ciphertext_len in self.ciphertext_lens
        )


_GCM: Final = _Shape(iv_len=12, tag_len=16, further_iv_lens=(16,))
_XAES: Final = _Shape(iv_len=24, tag_len=16)
_CBC_HMAC: Final = _Shape(iv_len=16, tag_len=32, ciphertext_lens=frozenset(range(16, MAX_BLOB_BYTES, 16)))
_OAEP: Final = _Shape(iv_len=1, tag_len=0, ciphertext_lens=frozenset(range(384, 1025, 128)))
# Roots live in HSMs; everything else is done in software.
_BY_HSM: Final = (Purpose.DOMAIN_KEK, Purpose.ROOT_CANARY)
_BY_SOFTWARE: Final = (
    Purpose.KEK,
    Purpose.DATA,
    Purpose.CREDENTIAL,
    Purpose.KEY_MATERIAL,
    Purpose.IMPORT_TOKEN,
    Purpose.IMPORT_DIGEST_KEY,
)
_FITTING: Final = (
    *((purpose, WrapAlgorithm.HSM_AES_GCM, _GCM) for purpose in _BY_HSM),
    *((purpose, WrapAlgorithm.HSM_AES_CBC_HMAC, _CBC_HMAC) for purpose in _BY_HSM),
    *((purpose, WrapAlgorithm.HSM_RSA_OAEP, _OAEP) for purpose in _BY_HSM),
    *((purpose, WrapAlgorithm.XAES_256_GCM, _XAES) for purpose in _BY_SOFTWARE),
    (Purpose.SNAPSHOT_KEY, WrapAlgorithm.HSM_AES_GCM, _GCM),  # other roots cannot be backed up
    (Purpose.DATA, WrapAlgorithm.HSM_AES_GCM, _GCM),  # under a key that is inside HSMs itself
)
_KNOWN: Final = {(int(row[0]), int(row[1])): row for row in _FITTING}
"""By the bytes at offsets 1 and 2: which algorithm serves a purpose, and how long IV and tag are then."""

_HEADER: Final = struct.Struct(">BBB16sI")
_LENGTH: Final = struct.Struct(">I")
AUTHENTICATED_HEADER_BYTES: Final = _HEADER.size
_OVERHEAD_BYTES: Final = _HEADER.size + 1 + _LENGTH.size + 1
_XAES_MAX_BYTES: Final = MAX_BLOB_BYTES - _OVERHEAD_BYTES - _XAES.iv_len - _XAES.tag_len


class Blob(NamedTuple):
    """One encrypted thing that says by itself how and under which key it was made.

    ======  ======  ===========================================================================
    Offset  Length  Field (numbers are big endian)
    ======  ======  ===========================================================================
    0       1       format version, 0x01
    1       1       purpose (``Purpose``)
    2       1       algorithm (``core.WrapAlgorithm``)
    3       16      id of the wrapping key: root id, domain id or key id
    19      4       version of the wrapping key, 1 or more; roots and domains have version 1
    23      1       IV length *i*: HSM_AES_GCM 12 or 16, XAES_256_GCM 24, HSM_AES_CBC_HMAC 16,
                    HSM_RSA_OAEP 1
    24      i       IV as it was used; some HSMs choose it themselves. HSM_RSA_OAEP: the hash
    24+i    4       ciphertext length *n*, tag not counted, 1 or more. HSM_AES_CBC_HMAC: whole
                    blocks of 16; HSM_RSA_OAEP: the modulus, 384 to 1,024 in steps of 128
    28+i    n       ciphertext
    28+i+n  1       tag length *t*: 16; HSM_AES_CBC_HMAC 32, HSM_RSA_OAEP 0
    29+i+n  t       tag
    ======  ======  ===========================================================================

    Nothing follows, and the whole is at most 6,144 bytes. Each blob has exactly one encoding.

    The first 23 bytes (``header``) are authenticated together with the binding; see ``aad_for``. The IV is
    not part of them, because an HSM that chooses its own IV tells it only afterwards. GCM and HMAC cover it by
    themselves, and so they do with the length of the ciphertext; OAEP has neither.
    """

    purpose: Purpose
    algorithm: WrapAlgorithm
    wrapping_key_id: bytes
    wrapping_key_version: int
    iv: bytes
    ciphertext: bytes
    tag: bytes

    @classmethod
    def of_wrapped(cls, purpose: Purpose, root_id: bytes, wrapped: WrappedBytes) -> Self:
        """Make the blob of what an HSM made under a root KEK (version 1)."""
        return cls(purpose, wrapped.algorithm, root_id, 1, wrapped.iv, wrapped.ciphertext, wrapped.tag)

    @property
    def wrapped(self) -> WrappedBytes:
        """The parts that an HSM needs to unwrap it."""
        return WrappedBytes(self.algorithm, self.iv, self.ciphertext, self.tag)

    @property
    def header(self) -> bytes:
        """The 23 authenticated bytes: format version, purpose, algorithm, wrapping key id and version."""
        return encode_header(self.purpose, self.algorithm, self.wrapping_key_id, self.wrapping_key_version)

    def encode(self) -> bytes:
        """Return the bytes. Raises MalformedBlobError when a field does not fit the layout."""
        _check(self)
        return b"".join(
            (
                self.header,
                bytes((len(self.iv),)),
                self.iv,
                _LENGTH.pack(len(self.ciphertext)),
                self.ciphertext,
                bytes((len(self.tag),)),
                self.tag,
            )
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a blob. Raises MalformedBlobError on anything that ``encode`` would not have written."""
        if not _OVERHEAD_BYTES < len(data) <= MAX_BLOB_BYTES:
            raise MalformedBlobError("its length is impossible")
        version, purpose_code, algorithm_code, key_id, key_version = _HEADER.unpack_from(data)
        if version != FORMAT_VERSION:
            raise MalformedBlobError(f"unknown format version {version}")
        known = _KNOWN.get((purpose_code, algorithm_code))
        if known is None:
            raise MalformedBlobError("unknown purpose or algorithm, or one does not serve the other")
        purpose, algorithm, shape = known
        # Once the IV length is known to fit, the rest can have one length only, so what is stored is just compared.
        iv_len = data[_HEADER.size]
        ciphertext_at = _HEADER.size + 1 + iv_len + _LENGTH.size
        tag_at = len(data) - shape.tag_len
        ciphertext_len = tag_at - 1 - ciphertext_at
        if (
            not shape.takes(iv_len, ciphertext_len)
            or data[ciphertext_at - _LENGTH.size : ciphertext_at] != _LENGTH.pack(ciphertext_len)
            or data[tag_at - 1] != shape.tag_len
        ):
            raise MalformedBlobError("its lengths do not agree")
        if key_version < 1:
            raise MalformedBlobError("the wrapping key version is out of range")
        iv = data[_HEADER.size + 1 : ciphertext_at - _LENGTH.size]
        ciphertext = data[ciphertext_at : tag_at - 1]
        return cls(purpose, algorithm, key_id, key_version, iv, ciphertext, data[tag_at:])


def encode_header(
    purpose: Purpose, algorithm: WrapAlgorithm, wrapping_key_id: bytes, wrapping_key_version: int
) -> bytes:
    """Return the first 23 bytes of a blob. Raises MalformedBlobError on an impossible key id or version."""
    if len(wrapping_key_id) != KEY_ID_LEN_BYTES:
        raise MalformedBlobError("the wrapping key id does not have 16 bytes")
    if not 1 <= wrapping_key_version <= 0xFFFF_FFFF:
        raise MalformedBlobError("the wrapping key version is out of range")
    return _HEADER.pack(FORMAT_VERSION, purpose, algorithm, wrapping_key_id, wrapping_key_version)


def encode_sealed(header: bytes, nonce: bytes, sealed: bytes) -> bytes:
    """Return the blob of what XAES-256-GCM made for a header: ``sealed`` is the ciphertext with its tag at the end.

    Raises MalformedBlobError as ``Blob.encode`` does.
    """
    if (header[1], WrapAlgorithm.XAES_256_GCM) not in _KNOWN:
        raise MalformedBlobError("XAES_256_GCM does not serve this purpose")
    length = len(sealed) - _XAES.tag_len
    if not 1 <= length <= _XAES_MAX_BYTES or len(nonce) != _XAES.iv_len:
        raise MalformedBlobError("the ciphertext length is out of range")
    return b"%b\x18%b%b%b\x10%b" % (header, nonce, _LENGTH.pack(length), sealed[:length], sealed[length:])


def _check(blob: Blob) -> None:
    """Hold a blob's fields against the rules of ``parse``; the header's are checked by ``encode_header``."""
    known = _KNOWN.get((int(blob.purpose), int(blob.algorithm)))
    if known is None:
        raise MalformedBlobError(f"{blob.algorithm.name} does not serve the purpose {blob.purpose.name}")
    _, _, shape = known
    if not shape.takes(len(blob.iv), len(blob.ciphertext)) or len(blob.tag) != shape.tag_len:
        raise MalformedBlobError(f"the length of IV, ciphertext or tag does not fit {blob.algorithm.name}")
    if len(blob.ciphertext) > MAX_BLOB_BYTES - _OVERHEAD_BYTES - len(blob.iv) - shape.tag_len:
        raise MalformedBlobError("the ciphertext length is out of range")
