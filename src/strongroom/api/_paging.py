"""Opaque markers of paged lists.

A marker is base64url of a version byte, one letter for the list, and the name to go on after. It is not
authenticated: a forged one only starts the list elsewhere, in what the caller may list anyhow.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import Enum

from strongroom.api._errors import ApiError

_VERSION = b"\x01"


class Paged(Enum):
    """The lists that have markers: their letter, and what their names look like."""

    KEYS = (b"K", re.compile(rb"[0-9a-f-]{36}"))
    ALIASES = (b"A", re.compile(rb"alias/[a-zA-Z0-9/_-]{1,250}"))
    ROTATIONS = (b"R", re.compile(rb"[1-9][0-9]{0,9}"))
    GRANTS = (b"G", re.compile(rb"[0-9a-f]{64}"))
    RETIRABLE_GRANTS = (b"E", re.compile(rb"[0-9a-f]{64}"))
    KEY_STORES = (b"S", re.compile(rb"cks-[0-9a-f]{17}"))
    PRINCIPALS = (b"P", re.compile(rb"[!-~]{1,128}"))
    APPROVALS = (b"V", re.compile(rb"[0-9a-f]{64}"))
    TAGS = (b"T", re.compile(rb"[^\x00-\x1f\x7f]{1,512}"))


def write_marker(paged: Paged, after: str) -> str:
    """Make the marker that goes on after a name."""
    return urlsafe_b64encode(_VERSION + paged.value[0] + after.encode()).decode()


def read_marker(paged: Paged, marker: str | None) -> str | None:
    """Return the name to go on after, None for no marker. Raises ApiError for one that is not ours."""
    if marker is None:
        return None
    letter, form = paged.value
    try:
        decoded = urlsafe_b64decode(marker.encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        raise _invalid() from None
    after = decoded.removeprefix(_VERSION + letter)
    try:
        name = after.decode()
    except UnicodeDecodeError:
        raise _invalid() from None
    if form.fullmatch(after) is None or write_marker(paged, name) != marker:
        raise _invalid()
    return name


def _invalid() -> ApiError:
    return ApiError("InvalidMarkerException", "The marker was not given out by this operation.")
