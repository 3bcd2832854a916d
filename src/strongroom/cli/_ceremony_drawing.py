"""What a ceremony's pages look like at a terminal: lines of text, large and plain, in which nothing is cut."""

from itertools import groupby
from typing import Final

from rich.box import HEAVY, SIMPLE
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from strongroom.ceremony import Page, SharePage

_MAX_WIDTH: Final = 110
_HASH_CHARS: Final = 64
_MOST_LABEL: Final = 40
_ROOMY: Final = 38
"""Lines of a terminal on which there is a blank line between the words of a share."""
_BETWEEN: Final = " / "
_COMMANDS: Final = "at any question:  /deviation WORDS   /pause   /abandon"


class Drawing:
    """Draws for a terminal as it is at that moment: wider or higher, other lines."""

    def __init__(self, *, is_rehearsal: bool) -> None:
        self._is_rehearsal = is_rehearsal
        self._rich = Console(highlight=False, soft_wrap=False)

    @property
    def height(self) -> int:
        """Lines of the terminal."""
        return self._rich.size.height

    def lines(self, body: RenderableType) -> list[str]:
        """Return lines that fit the terminal."""
        with self._rich.capture() as captured:
            self._rich.print(body, width=self._width)
        return captured.get().rstrip("\n").split("\n")

    def head(self, title: str, position: str = "") -> list[str]:
        """Return what stands above each page: its title, and whether nothing counts."""
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1, overflow="fold")
        grid.add_column(justify="right")
        grid.add_row(Text(title.upper(), style="bold"), Text(position, style="bold"))
        rows: list[RenderableType] = [Padding(grid, (0, 1))]
        if self._is_rehearsal:
            said = "REHEARSAL  ·  nothing here counts  ·  REHEARSAL"
            rows.insert(0, Padding(Text(said, style="bold reverse", justify="center"), 0))
        return self.lines(Panel(Group(*rows), box=HEAVY))

    def page(self, page: Page) -> list[str]:
        """Return a page without its head."""
        parts: list[RenderableType] = []
        if page.who:
            parts.append(Padding(Text.assemble("NOW  ", (f" {page.who} ", "bold reverse")), (0, 1, 1, 1)))
        if page.aloud:
            parts.append(_framed("READ ALOUD", page.aloud, "yellow", padding=(1, 2)))
        parts += [Padding(Text(line), (1, 2, 0, 2)) for line in page.lines]
        if page.facts:
            parts.append(Padding(_facts(page.facts), (1, 1, 0, 1)))
        if page.warning:
            parts.append(_framed("LOOK AT THIS", page.warning, "red", padding=(0, 2)))
        parts.append(Padding(Text(_COMMANDS, style="dim"), (1, 1, 0, 1)))
        return self.lines(Group(*parts))

    def share(self, page: SharePage) -> list[str]:
        """Return a share, with its head and its picture where there is room. Secret."""
        parts: list[RenderableType] = [Padding(Text(line), (0, 2)) for line in page.lines]
        words = _word_table(page.words, is_roomy=self.height >= _ROOMY)
        if page.picture and max(map(len, page.picture)) <= self._width - 60:
            picture = Text("\n".join(page.picture), style="black on white", no_wrap=True)
            parts.append(Columns([words, picture]))
        else:
            parts.append(words)
        return [*self.head(page.title), *self.lines(Group(*parts))]

    @property
    def _width(self) -> int:
        return min(self._rich.size.width, _MAX_WIDTH)


def _framed(title: str, text: str, colour: str, *, padding: tuple[int, int]) -> Panel:
    inside = Padding(Text(text, style="bold"), padding)
    return Panel(inside, title=title, title_align="left", border_style=colour, box=HEAVY)


def _word_table(words: tuple[str, ...], *, is_roomy: bool) -> Table:
    """Return words in three columns, downwards, each with its number."""
    columns = 3
    rows = -(-len(words) // columns)
    table = Table(
        box=SIMPLE if is_roomy else None, show_header=False, pad_edge=True, padding=(0, 3 if is_roomy else 2)
    )
    for _ in range(columns):
        table.add_column(no_wrap=True)
    for row in range(rows):
        numbers = range(row, len(words), rows)
        table.add_row(*(Text.assemble((f"{at + 1:2}  ", "dim"), (words[at], "bold")) for at in numbers))
        if is_roomy:
            table.add_row()
    return table


def _facts(facts: tuple[tuple[str, str], ...]) -> Group:
    """Return ``members / alpha / serial`` as ``serial`` below ``members / alpha``, so that no label has to be cut."""
    parts: list[RenderableType] = []
    for head, rows in groupby(facts, key=lambda fact: fact[0].rpartition(_BETWEEN)[0]):
        if head or parts:
            parts.append(Padding(Text(head, style="bold dim"), (1, 0, 0, 0)))
        parts.append(_fact_table([(label.rpartition(_BETWEEN)[2], value) for label, value in rows]))
    return Group(*parts)


def _fact_table(rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 1))
    width = min(max(len(label) for label, _ in rows), _MOST_LABEL)
    table.add_column(width=width, overflow="fold")
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(Text(label, style="dim"), Text(_grouped(value), style="bold"))
    return table


def _grouped(value: str) -> str:
    """Return a hash in groups of eight, as it is easier to read aloud."""
    if len(value) == _HASH_CHARS and not value.strip("0123456789abcdef"):
        return " ".join(value[at : at + 8] for at in range(0, _HASH_CHARS, 8))
    return value
