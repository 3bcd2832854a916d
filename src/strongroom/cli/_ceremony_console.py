"""A ceremony at a terminal: one page at a time, large and plain, and shares that leave nothing behind.

Lines are read when the terminal has them, by the event loop, so that workers are heard meanwhile. A share is shown on the
terminal's other screen, which has no memory of what scrolls away; afterwards both screens and that memory are cleared.
"""

import asyncio
import os
import sys
import termios
from typing import Final

from rich.box import HEAVY, SIMPLE
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from strongroom.ceremony import SHARE_WORDS, CeremonyPausedError, Page, Question, SharePage
from strongroom.cli._typed_words import HOW_TO, TypedWords
from strongroom.cli._unseen import unseen
from strongroom.core import Secret

_MAX_WIDTH: Final = 110
_CLEAR_SCREEN: Final = "\x1b[2J\x1b[H"
_CLEAR_MEMORY: Final = "\x1b[3J"
_OTHER_SCREEN: Final = "\x1b[?1049h"
_FIRST_SCREEN: Final = "\x1b[?1049l"
_MAX_LINE_BYTES: Final = 8192
_HASH_CHARS: Final = 64
_ROOMY: Final = 38
"""Lines of a terminal on which there is a blank line between the words of a share."""
_COMMANDS: Final = "at any question:  /deviation WORDS   /pause   /abandon"


class TerminalConsole:
    """A ``Console`` on standard input and output. Raises CeremonyPausedError at once where they are no terminal."""

    def __init__(self, *, is_rehearsal: bool) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise CeremonyPausedError(
                "a ceremony needs a terminal", next_step="run it at one; rehearse takes --unattended"
            )
        self._is_rehearsal = is_rehearsal
        self._is_on_other_screen = False
        self._is_clear = True
        self._title = "Ceremony"
        self._said = ""
        """What was said last: on the page of a share it would not be seen any more, so it stands there too."""
        self._rich = Console(highlight=False, soft_wrap=False)

    async def show(self, page: Page) -> None:
        """Put a page up; one that is longer than the screen in parts, with Enter between them. What was typed before is lost."""
        self._forget_typed()
        self._is_clear, self._title = False, page.title
        self._write(_CLEAR_SCREEN)
        lines = self._lines_of(self._page(page))
        height = max(self._rich.size.height - 6, 10)
        while len(lines) > height:
            self._write("\n".join(lines[:height]) + "\n")
            lines = lines[height:]
            await self.ask(Question("more", "", "There is more on this page: Enter"))
        self._write("\n".join(lines) + "\n")

    async def say(self, line: str) -> None:
        """Add a line below the page."""
        self._said = line
        self._rich.print(Text(f"  {line}"), width=self._width)

    async def ask(self, question: Question) -> str:
        """Return a line that somebody types. Raises CeremonyPausedError when the terminal is closed."""
        self._prompt(question)
        return (await self._read_line()).decode("utf-8", "replace").strip()

    async def ask_hidden(self, question: Question) -> Secret:
        """Return what is typed unseen: a line, or the words of a share, piece by piece. What was typed before is thrown away."""
        with unseen(sys.stdin.fileno(), discards=True):
            if self._is_clear:
                self._write("\n".join(self._lines_of(self._head(self._title, ""))) + "\n")
            await self.say("What you type now is not shown. Control-C stops the ceremony.")
            if question.key == SHARE_WORDS:
                return await self._share_words(question)
            self._prompt(question)
            line = await self._read_line()
        self._write("\n")
        return Secret(line.strip())

    async def _share_words(self, question: Question) -> Secret:
        typed = TypedWords(is_alone=False)
        self._prompt(question._replace(text=f"{question.text}. {HOW_TO}"))
        while (prompt := typed.prompt) is not None:
            self._write(f"{prompt}: ")
            said = typed.take((await self._read_line()).decode("utf-8", "replace"))
            self._write("\n   ")
            if said is not None:
                self._write(f"{said}\n   ")
        self._write("\n")
        return typed.text()

    async def show_share(self, page: SharePage) -> None:
        """Show a share on the other screen, until ``clear``. Raises CeremonyPausedError where it has no room."""
        lines = self._lines_of(self._share(page))
        said = self._lines_of(Padding(Text(self._said, style="bold"), (0, 2))) if self._said else []
        if len(lines) + len(said) <= self._rich.size.height - 4:
            lines += said
        if len(lines) > self._rich.size.height - 4:
            raise CeremonyPausedError(
                f"the terminal is too small for a share: it has {self._rich.size.height} lines, and {len(lines) + 4} are needed",
                next_step="make it larger, and go on with the same command",
            )
        self._forget_typed()
        self._write(_OTHER_SCREEN + _CLEAR_SCREEN)
        self._is_on_other_screen = True
        self._is_clear, self._title = False, page.title
        self._write("\n".join(lines) + "\n")

    async def clear(self) -> None:
        """Take what is shown from both screens, and from what the terminal remembers."""
        if self._is_on_other_screen:
            self._write(_CLEAR_SCREEN + _CLEAR_MEMORY + _FIRST_SCREEN)
            self._is_on_other_screen = False
        self._write(_CLEAR_SCREEN + _CLEAR_MEMORY)
        self._is_clear = True

    @property
    def _width(self) -> int:
        return min(self._rich.size.width, _MAX_WIDTH)

    def _lines_of(self, body: RenderableType) -> list[str]:
        with self._rich.capture() as captured:
            self._rich.print(body, width=self._width)
        return captured.get().rstrip("\n").split("\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _forget_typed(self) -> None:
        """Throw away what was typed before a page: an impatient Enter answers no question that nobody has seen."""
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)

    def _prompt(self, question: Question) -> None:
        shown = f" [{question.default}]" if question.default else ""
        self._rich.print(Text(f"\n ▶ {question.text}{shown}", style="bold"), width=self._width)
        self._write("   ")

    async def _read_line(self) -> bytes:
        descriptor = sys.stdin.fileno()
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        line = os.read(
            descriptor, _MAX_LINE_BYTES
        )  # a terminal gives one whole line (termios(3), canonical mode)
        if not line:
            raise CeremonyPausedError("the terminal was closed", next_step="the same command goes on")
        return line

    def _page(self, page: Page) -> RenderableType:
        parts: list[RenderableType] = [self._head(page.title, page.position)]
        if page.who:
            parts.append(Padding(Text.assemble("NOW  ", (f" {page.who} ", "bold reverse")), (0, 1, 1, 1)))
        if page.aloud:
            aloud = Padding(Text(page.aloud, style="bold"), (1, 2))
            parts.append(
                Panel(aloud, title="READ ALOUD", title_align="left", border_style="yellow", box=HEAVY)
            )
        parts += [Padding(Text(line), (1, 2, 0, 2)) for line in page.lines]
        if page.facts:
            parts.append(Padding(_facts(page.facts), (1, 1, 0, 1)))
        if page.warning:
            warning = Padding(Text(page.warning, style="bold"), (0, 2))
            parts.append(
                Panel(warning, title="LOOK AT THIS", title_align="left", border_style="red", box=HEAVY)
            )
        parts.append(Padding(Text(_COMMANDS, style="dim"), (1, 1, 0, 1)))
        return Group(*parts)

    def _head(self, title: str, position: str) -> RenderableType:
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1)
        grid.add_column(justify="right")
        grid.add_row(Text(title.upper(), style="bold"), Text(position, style="bold"))
        rows: list[RenderableType] = [Padding(grid, (0, 1))]
        if self._is_rehearsal:
            rows.insert(
                0,
                Padding(
                    Text(
                        "REHEARSAL  ·  nothing here counts  ·  REHEARSAL",
                        style="bold reverse",
                        justify="center",
                    ),
                    0,
                ),
            )
        return Panel(Group(*rows), box=HEAVY)

    def _share(self, page: SharePage) -> RenderableType:
        parts: list[RenderableType] = [self._head(page.title, "")]
        parts += [Padding(Text(line), (0, 2)) for line in page.lines]
        is_roomy = self._rich.size.height >= _ROOMY
        words = _word_table(page.words, is_roomy=is_roomy)
        side = self._width - 60
        if page.picture and max(map(len, page.picture)) <= side:
            parts.append(
                Columns([words, Text("\n".join(page.picture), style="black on white", no_wrap=True)])
            )
        else:
            parts.append(words)
        return Group(*parts)


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


def _facts(facts: tuple[tuple[str, str], ...]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 1))
    table.add_column(ratio=1, max_width=34)
    table.add_column(ratio=3, overflow="fold")
    for label, value in facts:
        table.add_row(Text(label, style="dim"), Text(_grouped(value), style="bold"))
    return table


def _grouped(value: str) -> str:
    """Return a hash in groups of eight, as it is easier to read aloud."""
    if len(value) == _HASH_CHARS and not value.strip("0123456789abcdef"):
        return " ".join(value[at : at + 8] for at in range(0, _HASH_CHARS, 8))
    return value
