"""A document as blocks, of which HTML and PDF are both made: they say the same because they are made of the same.

Texts in blocks may be hostile; the renderers show them by ``shown``. Words of this room are in no other place than here and in
the makers of documents.
"""

from typing import Literal, NamedTuple, TypeAlias


class Cell(NamedTuple):
    """What stands in a cell of a table."""

    text: str = ""
    kind: Literal["line", "lines", "strong", "code"] = "line"
    """``lines``: its line feeds are line breaks."""


class Heading(NamedTuple):
    """The head of a part, or of a step in it."""

    text: str
    level: Literal[1, 2] = 1
    note: str = ""
    """At the right of it: a step's state."""
    rows_to_sign: int = 0
    """It stands above a table of so many rows to write in, on one page with them if they fit one."""


class Paragraph(NamedTuple):
    """Text that may have several lines."""

    text: str
    kind: Literal["plain", "warning", "small", "strong"] = "plain"
    label: str = ""
    """Before it, in bold: ``Read aloud``."""


class Bullets(NamedTuple):
    """A list."""

    items: tuple[str, ...]
    kind: Literal["plain", "code"] = "plain"


class FactRow(NamedTuple):
    """A label and a value, with the words of a hash."""

    label: str
    value: str
    words: tuple[str, ...] = ()
    is_head: bool = False
    """No fact, but the head of those that follow."""


class FactTable(NamedTuple):
    """Facts, one below the other."""

    rows: tuple[FactRow, ...]


class Table(NamedTuple):
    """Rows and columns. ``weights`` divide the width; ``is_signed``: high rows, to write in by hand."""

    head: tuple[str, ...]
    weights: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_signed: bool = False

    @property
    def shares(self) -> tuple[int, ...]:
        """The width of each column, in percent of all."""
        return tuple(100 * weight // sum(self.weights) for weight in self.weights)


class PageBreak(NamedTuple):
    """What follows begins a page."""


class WordGrid(NamedTuple):
    """The words of a share, numbered. Secret."""

    words: tuple[str, ...]

    def __repr__(self) -> str:
        return f"WordGrid(<{len(self.words)} words>)"


class QrCode(NamedTuple):
    """A QR code: ``dark`` are runs of dark modules (row, first column, length), ``size`` modules each way with the margin. Secret."""

    size: int
    dark: tuple[tuple[int, int, int], ...]

    def __repr__(self) -> str:
        return f"QrCode(<{self.size} modules>)"

    @property
    def path(self) -> str:
        """As the path of an SVG."""
        return "".join(f"M{column} {row}h{length}v1h-{length}z" for row, column, length in self.dark)


Block: TypeAlias = Heading | Paragraph | Bullets | FactTable | Table | PageBreak | WordGrid | QrCode


class Document(NamedTuple):
    """What is printed."""

    kind: str
    """``Ceremony transcript``: at the top of each page, and in the metadata."""
    title: str
    """Hostile."""
    subtitle: str
    running: str
    """At the top of each page, beside the kind: an id. One line, of our own making."""
    footer: tuple[str, ...]
    """At the foot of each page, beside its number: such as the hash of the transcript."""
    is_rehearsal: bool
    blocks: tuple[Block, ...]
    is_compact: bool = False
    """Somewhat smaller letters in the PDF, so that it is one page."""
