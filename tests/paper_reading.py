"""Reads what is in a PDF that reportlab wrote: the letters of each page with their places, by the fonts' own tables.

It knows only what reportlab writes; what it does not know, it refuses.
"""

import base64
import re
import zlib
from typing import NamedTuple

_OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_TOKEN = re.compile(rb"\((?:[^()\\]|\\.)*\)|<<|>>|\[|\]|/[^\s/()\[\]<>]+|[^\s/()\[\]<>]+", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)


class Word(NamedTuple):
    """A run of letters, where it begins and how large it is."""

    x: float
    y: float
    size: float
    text: str


class Page(NamedTuple):
    """A page: its runs in the order in which they are drawn."""

    words: list[Word]

    @property
    def text(self) -> str:
        return "\n".join(word.text for word in self.words)

    @property
    def letters(self) -> str:
        """All letters without the spaces, at which lines are broken."""
        return squeezed(self.text)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def read_pages(pdf: bytes) -> list[Page]:
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    fonts = _fonts(objects)
    pages = [body for body in objects.values() if re.search(rb"/Type /Page\b", body)]
    return [Page(_words(_stream(objects[_reference(page, b"Contents")]), fonts)) for page in pages]


def page_boxes(pdf: bytes) -> list[tuple[float, float]]:
    boxes = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
    return [(float(width), float(height)) for width, height in boxes]


def _reference(body: bytes, name: bytes) -> int:
    found = re.search(rb"/" + name + rb" (\d+) 0 R", body)
    assert found is not None, (name, body[:200])
    return int(found[1])


def _stream(body: bytes) -> bytes:
    head, _, rest = body.partition(b"stream\n")
    data = rest[: rest.rindex(b"endstream")]
    if b"/ASCII85Decode" in head:
        data = base64.a85decode(data.strip().removesuffix(b"~>"))
    return zlib.decompress(data) if b"/FlateDecode" in head else data


def _fonts(objects: dict[int, bytes]) -> dict[bytes, dict[int, str]]:
    """The letters of each font, by the name that pages use for it."""
    fonts: dict[bytes, dict[int, str]] = {}
    for body in objects.values():
        if b"/Type /Font" not in body or b"/FontDescriptor " not in body:
            continue
        name = re.search(rb"/Name (/\S+)", body)
        assert name is not None
        fonts[name[1]] = _letters(_stream(objects[_reference(body, b"ToUnicode")]))
    return fonts


def _letters(table: bytes) -> dict[int, str]:
    letters: dict[int, str] = {}
    for part in re.findall(rb"beginbfrange(.*?)endbfrange", table, re.DOTALL):
        for first, last, listed in re.findall(rb"<(\w+)>\s*<(\w+)>\s*\[(.*?)\]", part, re.DOTALL):
            codes = re.findall(rb"<(\w+)>", listed)
            assert len(codes) == int(last, 16) - int(first, 16) + 1
            for at, code in enumerate(codes):
                letters[int(first, 16) + at] = bytes.fromhex(code.decode()).decode("utf-16-be")
    for part in re.findall(rb"beginbfchar(.*?)endbfchar", table, re.DOTALL):
        for number, code in re.findall(rb"<(\w+)>\s*<(\w+)>", part):
            letters[int(number, 16)] = bytes.fromhex(code.decode()).decode("utf-16-be")
    return letters


def _words(content: bytes, fonts: dict[bytes, dict[int, str]]) -> list[Word]:
    words: list[Word] = []
    stack: list[bytes] = []
    font, size, x, y = b"", 0.0, 0.0, 0.0
    for token in _TOKEN.findall(content):
        if token == b"Tf":
            font, size = stack[-2], float(stack[-1])
        elif token == b"Tm":
            x, y = float(stack[-2]), float(stack[-1])
        elif token == b"Tj":
            codes = _ESCAPE.sub(_unescaped, stack[-1][1:-1])
            words.append(Word(x, y, size, "".join(fonts[font][code] for code in codes)))
        else:
            stack.append(token)
    return words


def _unescaped(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if what[:1].isdigit():
        return bytes([int(what, 8)])
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}.get(what, what)
