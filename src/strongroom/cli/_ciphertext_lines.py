"""Lines of JSON that hold a ciphertext: where it is in a line, and the line with another in its place.

Everything else in a line stays as it is, byte for byte. Only where the same string stands in the line twice is the line put
together anew; then white space between the members goes, and values stay as they are written.
"""

from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from strongroom.cli._errors import CliError

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BASE64: Final = msgspec.json.Decoder(bytes | None)
_PAIRS: Final = msgspec.json.Decoder(dict[str, str] | None)
_NO_CONTEXT: Final[Mapping[str, str]] = MappingProxyType({})
_BLANK: Final = msgspec.Raw(b'""')

Path = tuple[str, ...]


class UnusableLineError(CliError):
    """A line holds no ciphertext where one should be. The text quotes nothing of the line."""


class Found(NamedTuple):
    """A ciphertext in a line."""

    literal: bytes
    """The JSON string as it is written, with its quotes."""
    ciphertext: bytes
    context: Mapping[str, str] | None
    """None: there is no field for it."""


class LineShape(NamedTuple):
    """Where the ciphertext and its encryption context are in each line."""

    field: Path
    context_field: Path | None = None

    def find(self, line: bytes) -> Found | None:
        """Return the ciphertext; None where the line is blank, or has null in its place. Raises UnusableLineError."""
        if not line.strip():
            return None
        literal = _value(line, self.field)
        try:
            ciphertext = _BASE64.decode(literal)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnusableLineError(f"{_name(self.field)} is no base64") from None
        if ciphertext is None:
            return None
        return Found(literal, ciphertext, self._context(line))

    def replaced(self, line: bytes, found: Found, ciphertext: bytes) -> bytes:
        """Return the line with another ciphertext."""
        literal = b'"' + b64encode(ciphertext) + b'"'
        if line.count(found.literal) == 1:
            return line.replace(found.literal, literal)
        return _rebuilt(line, self.field, msgspec.Raw(literal))

    def is_same(self, line: bytes, other: bytes) -> bool:
        """Whether two lines say the same but for the ciphertext."""
        if line == other:
            return True
        try:
            return _rebuilt(line, self.field, _BLANK) == _rebuilt(other, self.field, _BLANK)
        except UnusableLineError:
            return False

    def _context(self, line: bytes) -> Mapping[str, str] | None:
        if self.context_field is None:
            return None
        try:
            return _PAIRS.decode(_value(line, self.context_field)) or _NO_CONTEXT
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnusableLineError(f"{_name(self.context_field)} is no object with strings only") from None


def path_of(text: str) -> Path:
    """Return the path that ``a.b`` names: member b of member a."""
    return tuple(text.split("."))


def _name(path: Path) -> str:
    return repr(".".join(path))


def _members(raw: bytes | msgspec.Raw, path: Path) -> dict[str, msgspec.Raw]:
    try:
        members = _MEMBERS.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UnusableLineError(f"it is no JSON object with {_name(path)}") from None
    if path[0] not in members:
        raise UnusableLineError(f"it has no {_name(path)}")
    return members


def _value(line: bytes, path: Path) -> bytes:
    value: bytes | msgspec.Raw = line
    for at in range(len(path)):
        value = _members(value, path[at:])[path[at]]
    return bytes(value)


def _rebuilt(raw: bytes | msgspec.Raw, path: Path, value: msgspec.Raw) -> bytes:
    members = _members(raw, path)
    inner = value if len(path) == 1 else msgspec.Raw(_rebuilt(members[path[0]], path[1:], value))
    return msgspec.json.encode({**members, path[0]: inner})
