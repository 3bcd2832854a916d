"""Blocks become pages of marks (letters and lines at places), before anything is drawn: so each page can say "2 of 7".

Places are points (1/72 inch) from the lower left corner of an A4 page.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.paper._blocks import (
    Block,
    Bullets,
    Cell,
    FactRow,
    FactTable,
    Heading,
    PageBreak,
    Paragraph,
    Table,
)
from strongroom.paper._transcript_form import PaperError
from strongroom.paper._typeface import Line, Run, Typeface

PAGE_WIDTH: Final = 595.0
PAGE_HEIGHT: Final = 842.0
LEFT: Final = 48.0
WIDTH: Final = PAGE_WIDTH - 2 * LEFT
TOP: Final = 778.0
BOTTOM: Final = 70.0
MAX_PAGES: Final = 2000

TEXT: Final = 9.5
SMALL: Final = 8.0
_HASH: Final = 8.8
"""A SHA-256 in hex stands on one line."""
_TOGETHER: Final = 120.0
"""What is not higher than this is not torn apart."""
_LEADING: Final = 1.32
_PAD: Final = 3.0
_SIGNED_HEIGHT: Final = 30.0
_ABOVE_SIGNED: Final = 105.0
"""A heading, a few lines and the head of the table."""
_LABEL_WIDTH: Final = 132.0


class Letters(NamedTuple):
    """A run of letters; ``y`` is their base line. ``grey``: 0 is black."""

    x: float
    y: float
    size: float
    run: Run
    grey: float = 0.0


class Bar(NamedTuple):
    """A filled rectangle, or a line when it is thin."""

    x: float
    y: float
    width: float
    height: float
    grey: float = 0.0


Mark = Letters | Bar


class Flow:
    """Puts blocks one below the other, page after page."""

    def __init__(self, typeface: Typeface, *, scale: float = 1.0) -> None:
        """``scale``: of letters and gaps between blocks."""
        self.typeface = typeface
        self._scale = scale
        self._text = TEXT * scale
        self._small = SMALL * scale
        self._hash = _HASH * scale
        self.pages: list[list[Mark]] = [[]]
        self.y = self._top = TOP
        self._bottom = BOTTOM

    @property
    def room(self) -> float:
        """What is left of this page."""
        return self.y - self._bottom

    def break_page(self) -> None:
        """Begin a page. Raises PaperError: they become too many."""
        if len(self.pages) >= MAX_PAGES:
            raise PaperError(f"this would be more than {MAX_PAGES} pages")
        self.pages.append([])
        self.y = self._top

    def ensure(self, height: float) -> None:
        """Begin a page if this one has less room than that, and is not empty."""
        if self.room < height and self.y < self._top:
            self.break_page()

    def put_line(self, line: Line, size: float, x: float, y: float, *, grey: float = 0.0) -> None:
        """Put letters on this page, from ``x`` on."""
        for run in line:
            self.pages[-1].append(Letters(x, y, size, run, grey))
            x += self.typeface.width((run,), size)

    def bar(self, x: float, y: float, width: float, height: float, grey: float = 0.0) -> None:
        """Put a line or a field on this page."""
        self.pages[-1].append(Bar(x, y, width, height, grey))

    def text(
        self, text: str, size: float = 0, *, x: float = LEFT, width: float = WIDTH, is_bold: bool = False, has_lines: bool = False
    ) -> None:  # fmt: skip
        """Put a text at the left, as many lines as it needs. ``size`` 0: that of ordinary text."""
        size = size or self._text
        for line in self.typeface.lines(text, size, width, is_bold=is_bold, has_lines=has_lines):
            self.ensure(size * _LEADING)
            self.y -= size * _LEADING
            self.put_line(line, size, x, self.y + size * (_LEADING - 1))

    def space(self, height: float) -> None:
        """Leave room, unless a page begins here."""
        if self.y < self._top:
            self.y -= height * self._scale

    def put(self, block: Block) -> None:
        """Put a block."""
        match block:
            case Heading():
                self._heading(block)
            case Paragraph():
                self._paragraph(block)
            case Bullets():
                self._bullets(block)
            case FactTable():
                self._facts(block.rows)
            case Table():
                self._table(block)
            case PageBreak():
                if self.y < self._top:
                    self.break_page()

    def _heading(self, heading: Heading) -> None:
        size = (13.0 if heading.level == 1 else 10.5) * self._scale
        self.space(14 if heading.level == 1 else 11)
        self.ensure(90 if not heading.rows_to_sign else _ABOVE_SIGNED + heading.rows_to_sign * _SIGNED_HEIGHT)
        note = self.typeface.lines(heading.note, self._small, WIDTH / 3, is_bold=True)
        beside = max(self.typeface.width(line, self._small) for line in note)
        if heading.level == 2:
            self.bar(LEFT, self.y, WIDTH, 0.8, 0.35)
            self.y -= 3
        above, page = self.y, len(self.pages)
        self.text(heading.text, size, width=WIDTH - beside - 8, is_bold=True)
        if heading.note and page == len(self.pages):
            for at, line in enumerate(note):
                x = LEFT + WIDTH - self.typeface.width(line, self._small)
                self.put_line(line, self._small, x, above - size - at * self._small * _LEADING)
            self.y = min(self.y, above - len(note) * self._small * _LEADING - 3)
        elif heading.note:  # a heading that went over the foot of its page
            self.text(heading.note, self._small, is_bold=True)
        self.space(4)

    def _paragraph(self, paragraph: Paragraph) -> None:
        size = self._small if paragraph.kind == "small" else self._text
        is_bold = paragraph.kind in {"warning", "strong"}
        indent = 0.0
        if paragraph.label:
            self.ensure(4 * size)
            self.text(paragraph.label, self._small, is_bold=True)
            indent = 12.0
        if paragraph.kind == "warning":
            self.ensure(2 * size)
            self.bar(LEFT, self.y - 2, WIDTH, 1.2)
            self.y -= 4
        self.text(
            paragraph.text, size, x=LEFT + indent, width=WIDTH - indent, is_bold=is_bold, has_lines=True
        )
        if paragraph.kind == "warning":
            self.bar(LEFT, self.y - 2, WIDTH, 1.2)
            self.y -= 4
        self.space(5)

    def _bullets(self, bullets: Bullets) -> None:
        for item in bullets.items:
            self.ensure(self._text * _LEADING)
            dot = self.typeface.lines("$" if bullets.kind == "code" else "•", self._text, 12)
            self.put_line(dot[0], self._text, LEFT + 2, self.y - self._text)
            self.text(item, self._text, x=LEFT + 14, width=WIDTH - 14)
            self.space(2)
        self.space(4)

    def _facts(self, rows: Sequence[FactRow]) -> None:
        for row in rows:
            if row.is_head:
                self.ensure(45)
                self.space(2)
                self.text(row.label, self._small, is_bold=True)
                continue
            size = self._hash if len(row.value) == 64 else self._text
            width = WIDTH - _LABEL_WIDTH
            label = self.typeface.lines(row.label, self._small, _LABEL_WIDTH - 8)
            value = self.typeface.lines(row.value, size, width)
            value += self.typeface.lines(" ".join(row.words), size, width) if row.words else []
            self.ensure(min(max(len(label), len(value)) * self._text * _LEADING, _TOGETHER))
            self._beside(
                [(label, self._small, LEFT + 2), (value, size, LEFT + _LABEL_WIDTH)], self._text * _LEADING
            )
            self.bar(LEFT, self.y - 1.5, WIDTH, 0.3, 0.7)
            self.y -= 2.5
        self.space(5)

    def _beside(self, columns: Sequence[tuple[list[Line], float, float]], leading: float) -> None:
        """Put columns of lines beside each other; they go on together where a page ends."""
        for at in range(max(len(lines) for lines, _, _ in columns)):
            self.ensure(leading)
            self.y -= leading
            for lines, size, x in columns:
                if at < len(lines):
                    self.put_line(lines[at], size, x, self.y + leading - size)

    def _table(self, table: Table) -> None:
        edges = _edges(table.weights)
        self.ensure(70)
        self._row(tuple(Cell(text, "strong") for text in table.head), edges, is_head=True, height=0)
        for row in table.rows:
            self._whole_row(table, row, edges)
        self.space(8)

    def _whole_row(self, table: Table, row: tuple[Cell, ...], edges: list[float]) -> None:
        least = _SIGNED_HEIGHT if table.is_signed else 0
        height = (
            max(len(self._cell(cell, edges, at)) for at, cell in enumerate(row)) * self._small * _LEADING
            + 2 * _PAD
        )
        before = len(self.pages)
        self.ensure(max(least, min(height, self._top - self._bottom - 40)))
        if len(self.pages) > before:
            self._row(tuple(Cell(text, "strong") for text in table.head), edges, is_head=True, height=0)
        self._row(row, edges, is_head=False, height=least)

    def _cell(self, cell: Cell, edges: list[float], at: int) -> list[Line]:
        width = edges[at + 1] - edges[at] - 2 * _PAD
        return self.typeface.lines(
            cell.text, self._small, width, is_bold=cell.kind == "strong", has_lines=cell.kind == "lines"
        )

    def _row(self, row: tuple[Cell, ...], edges: list[float], *, is_head: bool, height: float) -> None:
        """Put a row, in pieces if it is higher than what is left of the page: each has its own frame."""
        cells = [self._cell(cell, edges, at) for at, cell in enumerate(row)]
        leading = self._small * _LEADING
        while any(cells):
            fits = max(1, int((self.room - 2 * _PAD) / leading))
            tall = max(min(max(len(lines) for lines in cells), fits) * leading + 2 * _PAD, height)
            if is_head:
                self.bar(LEFT, self.y - tall, WIDTH, tall, 0.9)
            self._frame(edges, tall)
            for at, lines in enumerate(cells):
                for place, line in enumerate(lines[:fits]):
                    self.put_line(
                        line, self._small, edges[at] + _PAD, self.y - _PAD - self._small - place * leading
                    )
            self.y -= tall
            cells = [lines[fits:] for lines in cells]
            if any(cells):
                self.break_page()

    def _frame(self, edges: list[float], tall: float) -> None:
        for y in (self.y, self.y - tall):
            self.bar(LEFT, y, WIDTH, 0.5, 0.4)
        for x in edges:
            self.bar(x, self.y - tall, 0.5, tall, 0.4)


def _edges(weights: Sequence[int]) -> list[float]:
    """Where columns begin and end."""
    edges = [LEFT]
    for weight in weights:
        edges.append(edges[-1] + WIDTH * weight / sum(weights))
    return edges
