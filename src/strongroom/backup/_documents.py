"""Reading and writing the documents of this room: canonical JSON, one value to one sequence of bytes.

Bytes stand in the documents as base64 (RFC 4648 section 4). What is read is written again and compared, so that every
document has exactly one spelling, to the last bit of base64.
"""

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec

from strongroom.backup._errors import BackupError
from strongroom.core import StrongroomError
from strongroom.custody import MAX_DOCUMENT_BYTES, canonical_json, parse_canonical

Hex16 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""16 bytes in hex."""
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""32 bytes in hex."""
HexOrNone = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{32})?\Z")]
Hex32OrNone = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
Words = Annotated[str, msgspec.Meta(max_length=200)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
MemberName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
"""Since the Unix epoch."""
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Spki = Annotated[bytes, msgspec.Meta(min_length=1, max_length=4096)]
"""SubjectPublicKeyInfo in DER."""
SpkiOrNone = Annotated[bytes, msgspec.Meta(max_length=4096)]
WrappedKey = Annotated[bytes, msgspec.Meta(min_length=1, max_length=8192)]

CustodyDocument = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_DOCUMENT_BYTES)]
"""A genesis or a record of custody."""

MAX_SET_BYTES: Final = 256 * 1024
"""The longest document of a set: 64 members' transport keys under RSA-4096 take less."""
MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
"""The longest manifest: 12,000 RSA-4096 keys take less."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frozen; unknown members are refused."""


DocumentT = TypeVar("DocumentT", bound=Document)


def read_as(
    data: bytes, kind: type[DocumentT], *, max_bytes: int, malformed: Callable[[str], BackupError]
) -> DocumentT:
    """Return the document that the bytes are. Raises ``malformed``."""
    try:
        document = msgspec.convert(parse_canonical(data, max_bytes=max_bytes), kind, strict=True)
    except (msgspec.ValidationError, StrongroomError) as error:
        raise malformed(str(error)) from error
    if write_as(document) != data:
        raise malformed("it is spelled otherwise than it would be written")
    return document


def write_as(document: Document) -> bytes:
    """Return the canonical bytes of a document."""
    return canonical_json(msgspec.to_builtins(document))
