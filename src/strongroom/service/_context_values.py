"""What entries say of the values of encryption contexts: nothing, a keyed hash of each, or the values themselves.

A value may identify a person, and often there are few that it can be, so a plain hash of it could be guessed. The hash is HMAC-SHA-256
under a key of this home, which is not in the log: who has the log alone can tell which uses had the same value of the same name, and no
more; who has the key too can look for a value that they know.
"""

import base64
import hmac
import json
from collections.abc import Collection, Mapping
from typing import Final

from strongroom.core import Secret

KEY_BYTES: Final = 32
_DOMAIN: Final = b"strongroom audit context value v1\0"
_HASH_BYTES: Final = 16
_MOST_BYTES: Final = 500
"""Of the JSON object, in ASCII: less than an entry keeps of a text."""
_MOST_CHARS: Final = 128
"""Of a value in clear; a longer one is cut and ends in how many characters it had."""


class ContextValues:
    """Tells of values. ``key`` is None where none is hashed."""

    def __init__(
        self, key: Secret | None, *, clear: Collection[str] = (), is_all_clear: bool = False
    ) -> None:
        """``clear``: names whose values are told as they are."""
        self._key = key
        self._clear = frozenset(clear)
        self._is_all_clear = is_all_clear

    def detail(self, context: Mapping[str, str], prefix: str = "") -> dict[str, str]:
        """Return what goes into the detail of an entry: values by name, sorted, as a JSON object; and how many had no room."""
        told: list[str] = []
        room, left = _MOST_BYTES - len("{}"), 0
        for name in sorted(context):
            value = self._told(name, context[name])
            if value is None:
                continue
            pair = f"{_quoted(name)}:{_quoted(value)}"
            if len(pair) + 1 > room:
                left += 1
                continue
            room -= len(pair) + 1
            told.append(pair)
        detail = {f"{prefix}context_values": f"{{{','.join(told)}}}"} if told else {}
        return {**detail, f"{prefix}context_values_left": str(left)} if left else detail

    def _told(self, name: str, value: str) -> str | None:
        if self._is_all_clear or name in self._clear:
            return (
                value if len(value) <= _MOST_CHARS else f"{value[:_MOST_CHARS]}[cut: {len(value)} characters]"
            )
        return None if self._key is None else hash_of_value(self._key, name, value)


def _quoted(text: str) -> str:
    """Return a JSON string of printable ASCII: an entry escapes control characters anew, and ``json`` leaves one as it is."""
    return json.dumps(text).replace("\x7f", "\\u007f")


def hash_of_value(key: Secret, name: str, value: str) -> str:
    """Return ``hmac:`` and 22 characters of base64url (128 bits): equal for equal names and values, else different."""
    named = name.encode("utf-8", "surrogatepass")
    message = _DOMAIN + len(named).to_bytes(4, "big") + named + value.encode("utf-8", "surrogatepass")
    digest = hmac.digest(key.reveal(), message, "sha256")[:_HASH_BYTES]
    return "hmac:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
