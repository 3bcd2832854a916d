"""JSON bodies, read strictly: bounded nesting, no doubled members, canonical base64.

msgspec alone takes ``{"a": 1, "a": 2}`` for its last value and ``"AB=="`` for ``"AA=="``. Two readers of one
signed request could then disagree about what was asked, so both are refused here.
"""

import binascii
import functools
import re
from typing import Any, TypeVar, cast

import msgspec
from msgspec.structs import astuple

from strongroom.api._errors import ApiError
from strongroom.core import Secret

MAX_NESTING = 8
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*["\\]?', re.DOTALL)
"""A JSON string. The last part also eats one that never ends, so nothing fails, goes back or is scanned twice.

No possessive group: those of CPython up to 3.11.4 may keep half of what they tried.
"""

_UNCOUNTABLE = 1 << 20  # more colons than any body has: sends the document to the careful reader

_T = TypeVar("_T")


class Blob:
    """Bytes that came as base64; not secret, but no reader of logs needs them either."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Blob(<{len(self.value)} bytes>)"


def decode_members(body: bytes, kind: type[_T]) -> _T:
    """Read a JSON object into a Struct; members that it does not have are ignored, as AWS does.

    Raises ApiError (SerializationException) for anything that is not JSON of these types.
    """
    if b"\\" not in body:
        try:
            members: _T = _decoder(cast("Any", kind)).decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # the careful reader words the refusal
        else:
            # Without escapes every colon is either a member's own or stands in a value that we can count.
            if _count_colons(members) == body.count(b":"):
                return members
    return _decode_carefully(body, kind)


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """One decoder for each Struct of this room; their number is fixed."""
    return msgspec.json.Decoder(kind, dec_hook=_decode_blob)


def _count_colons(members: object) -> int:
    """Count the colons that a Struct's own JSON has: one a member that is present, and those inside of strings.

    A document with more than that has doubled, unknown or null members, and goes to the careful reader.
    """
    count = 0
    for value in astuple(cast("msgspec.Struct", members)):
        if value is None:
            continue
        count += 1
        if type(value) is str:
            count += value.count(":")
        elif type(value) is dict:
            for key, item in value.items():
                count += 1 + key.count(":") + (item.count(":") if type(item) is str else _UNCOUNTABLE)
        elif type(value) is list:
            count += _UNCOUNTABLE if value else 0
    return count


def _decode_carefully(body: bytes, kind: type[_T]) -> _T:
    try:
        require_single_members(body)
        return msgspec.convert(msgspec.json.decode(body), kind, dec_hook=_decode_blob)
    except msgspec.ValidationError as error:
        raise _malformed(str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Chained no further, and not quoted: the detail of a UnicodeDecodeError is the body itself.
        raise _malformed("the body is not a JSON document") from None
    except RecursionError:
        raise _too_deep() from None


def require_no_doubles(body: bytes) -> None:
    """Check a body that was read as a form of known members, however large: none of them stands twice. Raises ApiError.

    Without escapes every string comes back as it was sent, so a document that lost nothing has as many colons as before.
    """
    if b"\\" in body or msgspec.json.encode(msgspec.json.decode(body)).count(b":") != body.count(b":"):
        require_single_members(body)


def require_single_members(body: bytes) -> None:
    """Check a body that was read before: no object in it has a member twice. Raises ApiError."""
    if _count_members(msgspec.json.decode(body)) != _STRING.sub(b"", body).count(b":"):
        raise _malformed("a member stands in an object twice")


def _count_members(value: Any, depth: int = 0) -> int:
    """Count the members that are left of a document; each had one colon outside of strings."""
    if not isinstance(value, dict | list):
        return 0
    if depth == MAX_NESTING:
        raise _too_deep()
    if isinstance(value, list):
        return sum(_count_members(item, depth + 1) for item in value)
    return len(value) + sum(_count_members(item, depth + 1) for item in value.values())


def _decode_blob(kind: type[Any], value: object) -> Any:
    """Make the types of ours out of base64. ValueError becomes a msgspec.ValidationError with the path."""
    if not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")  # noqa: TRY004  # msgspec wants ValueError
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise ValueError("Invalid base64 encoded string") from None
    if binascii.b2a_base64(decoded, newline=False).decode("ascii") != value:
        raise ValueError("Invalid base64 encoded string")
    return kind(decoded)


def encode_document(document: object) -> bytes:
    """Write JSON; bytes become base64."""
    return msgspec.json.encode(document, enc_hook=_encode_secret)


def _encode_secret(value: object) -> bytes:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _malformed(detail: str) -> ApiError:
    return ApiError("SerializationException", f"The request cannot be read: {detail}")


def _too_deep() -> ApiError:
    return _malformed(f"it nests more than {MAX_NESTING} levels deep")
