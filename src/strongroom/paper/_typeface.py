"""Letters and their widths: Bitstream Vera, which reportlab brings along, and fonts that the caller hands over for the rest.

Vera has the letters of western and central Europe. A character that is in none of the fonts, or whose script needs joining,
stacking or another direction, is shown as its number (``shown``): in the PDF only, HTML leaves such letters to the browser.

reportlab keeps fonts in a registry of its own, so only one thread may print at a time.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from strongroom.paper._letters import is_plain, shown
from strongroom.paper._transcript_form import PaperError

_VERA: Final = {"StrongroomVera": "Vera.ttf", "StrongroomVeraBold": "VeraBd.ttf"}
MAX_FONTS: Final = 8
MAX_FONT_BYTES: Final = 32 * 2**20


class Run(NamedTuple):
    """Letters of one font, one after the other."""

    font: str
    text: str


Line = tuple[Run, ...]


class Typeface:
    """Measures, wraps and splits texts into runs. One for each document."""

    def __init__(self, fonts: Sequence[bytes] = ()) -> None:
        """``fonts``: TrueType files, in the order in which they are asked. Raises PaperError: one of them is none."""
        if len(fonts) > MAX_FONTS or any(len(font) > MAX_FONT_BYTES for font in fonts):
            raise PaperError(f"at most {MAX_FONTS} fonts of {MAX_FONT_BYTES // 2**20} MiB are taken")
        for name, file in _VERA.items():
            if name not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(TTFont(name, str(Path(reportlab.__file__).parent / "fonts" / file)))
        self._others = fonts
        self._names: list[str] | None = None
        self._found: dict[tuple[str, bool], str] = {}
        self._widths: dict[tuple[str, str], float] = {}
        self.has_numbers = False
        """A character was shown as its number."""

    def lines(self, text: str, size: float, width: float, *, is_bold: bool = False, has_lines: bool = False) -> list[Line]:  # fmt: skip
        """Wrap a text into lines of at most ``width`` points. Long words are broken; nothing is left out."""
        composed = unicodedata.normalize("NFC", text)
        visible = shown(
            composed,
            has_lines=has_lines,
            is_drawn=lambda letter: self._font_of(letter, is_bold=is_bold) != "",
        )
        self.has_numbers |= visible != composed
        lines: list[Line] = []
        for part in visible.split("\n"):
            lines.extend(
                self._runs(one, is_bold=is_bold) for one in self._wrapped(part, width / size, is_bold=is_bold)
            )
        return lines

    def width(self, line: Line, size: float) -> float:
        """Return the width of a line in points."""
        return sum(self._width_of(letter, run.font) for run in line for letter in run.text) * size

    def _wrapped(self, text: str, width: float, *, is_bold: bool) -> list[str]:
        """Lines of a text without line feeds. ``width`` is in ems."""
        lines: list[str] = []
        line, used = "", 0.0
        for word in _words(text):
            needed = sum(self._letter(letter, is_bold=is_bold) for letter in word.rstrip(" "))
            if line and used + needed > width:
                lines.append(line)
                line, used = "", 0.0
            for letter in word:
                wide = self._letter(letter, is_bold=is_bold)
                if line and letter != " " and used + wide > width:
                    lines.append(line)
                    line, used = "", 0.0
                line, used = line + letter, used + wide
        return [*lines, line]

    def _runs(self, text: str, *, is_bold: bool) -> Line:
        runs: list[Run] = []
        for letter in text.rstrip(" "):
            font = self._font_of(letter, is_bold=is_bold)
            if runs and runs[-1].font == font:
                runs[-1] = Run(font, runs[-1].text + letter)
            else:
                runs.append(Run(font, letter))
        return tuple(runs)

    def _letter(self, letter: str, *, is_bold: bool) -> float:
        return self._width_of(letter, self._font_of(letter, is_bold=is_bold))

    def _width_of(self, letter: str, font: str) -> float:
        wide = self._widths.get((letter, font))
        if wide is None:
            wide = self._widths[letter, font] = pdfmetrics.stringWidth(letter, font, 1000) / 1000
        return wide

    def _font_of(self, letter: str, *, is_bold: bool) -> str:
        """Name of the font that has a letter; empty: none."""
        font = self._found.get((letter, is_bold))
        if font is None:
            font = self._found[letter, is_bold] = self._look(letter, is_bold=is_bold)
        return font

    def _look(self, letter: str, *, is_bold: bool) -> str:
        if not is_plain(letter) or unicodedata.combining(letter):
            return ""
        first = "StrongroomVeraBold" if is_bold else "StrongroomVera"
        if _has(first, letter):
            return first
        if self._names is None:  # large files: read only when a letter asks for them
            self._names = [_registered(font) for font in self._others]
        return next((name for name in self._names if _has(name, letter)), "")


def _has(font: str, letter: str) -> bool:
    found = pdfmetrics.getFont(font)
    return isinstance(found, TTFont) and ord(letter) in found.face.charToGlyph


def short_names(fonts: Iterable[str]) -> list[str]:
    """Return how fonts are told that the caller handed over: the beginning of their SHA-256."""
    return [name.removeprefix("Strongroom")[:16] for name in fonts if name not in _VERA]


def _registered(font: bytes) -> str:
    name = f"Strongroom{hashlib.sha256(font).hexdigest()[:24]}"
    if name not in pdfmetrics.getRegisteredFontNames():
        try:
            pdfmetrics.registerFont(TTFont(name, BytesIO(font)))
        except (TTFError, ValueError, IndexError, KeyError) as error:
            raise PaperError(f"a font is no TrueType file that can be printed with: {error}") from error
    return name


def _words(text: str) -> list[str]:
    """The words of a text, each with the spaces after it."""
    words: list[str] = []
    start = 0
    for place in range(1, len(text)):
        if text[place] != " " and text[place - 1] == " ":
            words.append(text[start:place])
            start = place
    return [*words, text[start:]]
