"""Signed notes (C2SP signed-note): text, and lines of signatures under it. Pure; everything here takes outside bytes.

    text, any lines, the last one ends like all others
    (empty line)
    — name base64(4 bytes of key id || signature)

What a key is, and how it signs, is ``_checkpoint_keys``'s to know.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from strongroom.audit._errors import MalformedNoteError
from strongroom.core import VerificationFailedError

MAX_NOTE_BYTES = 512 * 1024
MAX_SIGNATURES = 64
"""At least 16 must be accepted; each witness adds one or two."""
KEY_ID_BYTES = 4
_MAX_NAME_BYTES = 255
_MARK = "\N{EM DASH} "


class Signature(NamedTuple):
    """One line of a note."""

    name: str
    """Of the key."""
    key_id: bytes
    data: bytes
    """What follows the key id; its form depends on the kind of the key."""

    def line(self) -> str:
        """Return the line, with its end."""
        return f"{_MARK}{self.name} {base64.b64encode(self.key_id + self.data).decode()}\n"


class Note(NamedTuple):
    """A note that was read; of its text nothing is to be believed before its signatures are verified."""

    text: str
    signatures: tuple[Signature, ...]

    def with_signatures(self, added: Iterable[Signature]) -> "Note":
        """Return the note with more lines; one that is there already is not repeated."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *added))))

    def encode(self) -> bytes:
        """Return the note as it is stored and sent."""
        return f"{self.text}\n{''.join(one.line() for one in self.signatures)}".encode()


def one_of_each_key(signatures: Iterable[Signature]) -> tuple[Signature, ...]:
    """Return the last signature of each key: how often a key signed is for whoever sent the note to choose."""
    return tuple({(one.name, one.key_id): one for one in signatures}.values())


class NoteKey(Protocol):
    """A public key that notes are verified by."""

    @property
    def name(self) -> str:
        """The name in the lines of its signatures."""
        ...

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that its signatures begin with."""
        ...

    def verify(self, text: str, data: bytes) -> None:
        """Raise VerificationFailedError unless this is a signature of that text."""
        ...


def read_note(data: bytes) -> Note:
    """Read a note of at most 512 KiB and 64 signatures. Raises MalformedNoteError."""
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedNoteError(f"a note has {len(data)} bytes; {MAX_NOTE_BYTES} are the most")
    whole = _text_of(data)
    text, separator, lines = whole.rpartition("\n\n")
    if not separator:
        raise MalformedNoteError("no empty line stands between the text and the signatures")
    return Note(f"{text}\n", read_signatures(lines))


def read_signatures(lines: str) -> tuple[Signature, ...]:
    """Read 1 to 64 lines of signatures. Raises MalformedNoteError."""
    if not lines.endswith("\n"):
        raise MalformedNoteError("the last line of signatures does not end")
    found = lines[:-1].split("\n")
    if len(found) > MAX_SIGNATURES:
        raise MalformedNoteError(f"a note has {len(found)} signatures; {MAX_SIGNATURES} are the most")
    return tuple(_read_line(line) for line in found)


def verify_note(note: Note, keys: Sequence[NoteKey]) -> tuple[Signature, ...]:
    """Return the signatures of ``keys``, all of which are good. Lines of other keys are passed over.

    Raises VerificationFailedError when none of the keys signed, and when one of them has a line that is not its
    signature of this text.
    """
    known = {(key.name, key.key_id): key for key in keys}
    good: list[Signature] = []
    for signature in note.signatures:
        if key := known.get((signature.name, signature.key_id)):
            key.verify(note.text, signature.data)
            good.append(signature)
    if not good:
        raise VerificationFailedError("none of the keys that are trusted signed this note")
    return tuple(good)


def require_key_name(name: str) -> None:
    """Raise MalformedNoteError unless a key may have this name: 1 to 255 bytes, no white space, no control character, no ``+``."""
    has_space = any(char.isspace() or ord(char) < 0x20 for char in name)
    if has_space or "+" in name or not 1 <= len(name.encode("utf-8", "replace")) <= _MAX_NAME_BYTES:
        raise MalformedNoteError(
            "this is no name of a key: it is empty, too long, or holds a space or a plus"
        )


def decode_base64(text: str) -> bytes:
    """Decode base64 (RFC 4648, section 4) in its one canonical form. Raises MalformedNoteError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedNoteError("this is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedNoteError("this is not base64 in its canonical form")
    return data


def decode_number(text: str, most: int) -> int:
    """Decode an ASCII decimal without leading zeros, 0 to ``most``. Raises MalformedNoteError."""
    is_decimal = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not is_decimal or (text.startswith("0") and text != "0") or int(text) > most:
        raise MalformedNoteError("this is not a decimal number as it must be written here")
    return int(text)


def _text_of(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedNoteError("the note is not UTF-8") from error
    if any(char < " " and char != "\n" for char in set(text)):
        raise MalformedNoteError("the note holds a control character")
    return text


def _read_line(line: str) -> Signature:
    if not line.startswith(_MARK):
        raise MalformedNoteError("a line of signatures does not begin as it must")
    name, separator, encoded = line[len(_MARK) :].partition(" ")
    require_key_name(name)
    data = decode_base64(encoded) if separator else b""
    if len(data) <= KEY_ID_BYTES:
        raise MalformedNoteError("a line holds no signature")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])
