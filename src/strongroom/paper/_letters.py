"""Which characters are shown as they are, and which as numbers: ``«U+202E»``. Nothing is lost silently, nothing misleads silently.

Shown as numbers: what has no shape of its own (controls, marks that turn the direction of text, joiners, fillers, odd
spaces), what is not assigned, and long rows of combining marks. A text that looks like such a number is one itself, so what
is read is what was there.
"""

import unicodedata
from collections.abc import Callable
from typing import Final

_NO_SHAPE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and signs that print nothing."""
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})
_MAX_MARKS: Final = 2

# Scripts whose letters stand one after the other, left to right, each in one shape.
_PLAIN_SCRIPTS: Final = (
    (0x0020, 0x058F), (0x10A0, 0x10FF), (0x1E00, 0x2BFF), (0x2C60, 0x2C7F), (0x2E80, 0xA4CF), (0xA720, 0xA7FF),
    (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFB06), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF),
)  # fmt: skip


def is_plain(letter: str) -> bool:
    """Whether a letter can be set without joining, stacking or turning: Latin, Greek, Cyrillic, Chinese, Japanese, Korean."""
    code = ord(letter)
    return any(low <= code <= high for low, high in _PLAIN_SCRIPTS)


def shown(text: str, *, has_lines: bool = False, is_drawn: Callable[[str], bool] = lambda _: True) -> str:
    """Return a text as it is shown. ``is_drawn`` says whether there is a shape for a character.

    ``has_lines``: line feeds stay, as line breaks; elsewhere they are numbers too.
    """
    out: list[str] = []
    codes: list[str] = []
    marks = _MAX_MARKS  # a mark at the beginning has nothing to stand on
    for place, letter in enumerate(text):
        kind = unicodedata.category(letter)
        marks = marks + 1 if kind in _MARKS else 0
        is_break = has_lines and letter == "\n"
        is_shape = is_break or (_has_shape(letter, kind) and marks <= _MAX_MARKS and is_drawn(letter))
        if is_shape and not text.startswith("«U+", place):
            _put_codes(out, codes)
            out.append(letter)
        else:
            codes.append(f"{ord(letter):04X}")
            marks = max(marks, _MAX_MARKS)
    _put_codes(out, codes)
    return "".join(out)


def _has_shape(letter: str, kind: str) -> bool:
    if letter in {" ", "\u00a0"}:
        return True
    return kind not in _NO_SHAPE and letter not in _BLANKS and not _is_selector(letter)


def _is_selector(letter: str) -> bool:
    """Whether it only chooses a variant of the character before it."""
    return "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"


def _put_codes(out: list[str], codes: list[str]) -> None:
    if codes:
        out.append(f"«U+{' '.join(codes)}»")
        codes.clear()
