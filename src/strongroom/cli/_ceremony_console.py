"""A ceremony at a terminal: one page at a time, which stays while it is asked about, and shares that leave nothing behind.

Lines are read when the terminal has them, by the event loop, so that workers are heard meanwhile. What was typed before a
question was there to be read answers it never. A share is shown on the terminal's other screen, which has no memory of what
scrolls away; afterwards both screens and that memory are cleared.
"""

import asyncio
import os
import sys
import termios
from typing import Final

from rich.text import Text

from strongroom.ceremony import SHARE_WORDS, CeremonyPausedError, Page, Question, SharePage
from strongroom.cli._ceremony_drawing import Drawing
from strongroom.cli._typed_words import HOW_TO, TypedWords
from strongroom.cli._unseen import unseen
from strongroom.core import Secret

_CLEAR_SCREEN: Final = "\x1b[2J\x1b[H"
_CLEAR_MEMORY: Final = "\x1b[3J"
_OTHER_SCREEN: Final = "\x1b[?1049h"
_FIRST_SCREEN: Final = "\x1b[?1049l"
_MAX_LINE_BYTES: Final = 8192
_BELOW: Final = 6
"""Lines that a page leaves free: for what is said below it, and the question."""
_BELOW_SHARE: Final = 4
_LEAST_LINES: Final = 5
_ALONE: Final = "Press Enter alone: initials and commands are for the question below the whole page."


class TerminalConsole:
    """A ``Console`` on standard input and output. Raises CeremonyPausedError at once where they are no terminal."""

    def __init__(self, *, is_rehearsal: bool) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise CeremonyPausedError(
                "a ceremony needs a terminal", next_step="run it at one; rehearse takes --unattended"
            )
        self._drawing = Drawing(is_rehearsal=is_rehearsal)
        self._is_on_other_screen = False
        self._title = "Ceremony"
        self._shown: list[str] = []
        """The page on the screen, which is drawn again with each question; empty when the screen is clear."""
        self._said: list[str] = []
        """What was said since the last answer."""
        self._said_last: list[str] = []
        self._is_answered = False
        """A question below this page was answered, so there is less room for the next."""

    async def show(self, page: Page) -> None:
        """Put a page up; one that is longer than the screen in parts, with Enter between them."""
        self._title, head = page.title, self._drawing.head(page.title, page.position)
        lines = self._drawing.page(page)
        room = max(self._drawing.height - _BELOW - len(head), _LEAST_LINES)
        while len(lines) > room:
            self._put_up([*head, *lines[:room]])
            lines = lines[room:]
            while await self.ask(Question("more", "", "There is more on this page: Enter")):
                await self.say(_ALONE)
        self._put_up([*head, *lines])

    async def say(self, line: str) -> None:
        """Add a line below the page."""
        lines = self._drawing.lines(Text(f"  {line}"))
        self._said += lines
        self._said_last = lines
        self._write("\n".join(lines) + "\n")

    async def ask(self, question: Question) -> str:
        """Return a line that somebody types. Raises CeremonyPausedError when the terminal is closed."""
        self._make_room()
        self._prompt(question)
        line = await self._read_line()
        self._note_answer()
        return line.decode("utf-8", "replace").strip()

    async def ask_hidden(self, question: Question) -> Secret:
        """Return what is typed unseen: a line, or the words of a share, piece by piece. What was typed before is thrown away."""
        with unseen(sys.stdin.fileno(), discards=True):
            if not self._shown:
                self._put_up(self._drawing.head(self._title), said=self._said)
            self._make_room()
            await self.say("What you type now is not shown. Control-C stops the ceremony.")
            if question.key == SHARE_WORDS:
                return await self._share_words(question)
            self._prompt(question)
            line = await self._read_line()
        self._write("\n")
        self._note_answer()
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
        self._note_answer()
        return typed.text()

    async def show_share(self, page: SharePage) -> None:
        """Show a share on the other screen, until ``clear``. Raises CeremonyPausedError where it has no room."""
        lines, height = self._drawing.share(page), self._drawing.height
        if len(lines) > height - _BELOW_SHARE:
            raise CeremonyPausedError(
                f"the terminal is too small for a share: it has {height} lines, and {len(lines) + _BELOW_SHARE} are needed",
                next_step="make it larger, and go on with the same command",
            )
        if len(lines) + len(self._said_last) <= height - _BELOW_SHARE:
            lines += self._said_last  # below the page before, nobody would see it any more
        else:
            await self.ask(Question("more", "", "Enter shows the share"))
        self._write(_OTHER_SCREEN)
        self._is_on_other_screen = True
        self._title = page.title
        self._put_up(lines)

    async def clear(self) -> None:
        """Take what is shown from both screens, and from what the terminal remembers."""
        if self._is_on_other_screen:
            self._write(_CLEAR_SCREEN + _CLEAR_MEMORY + _FIRST_SCREEN)
            self._is_on_other_screen = False
        self._write(_CLEAR_SCREEN + _CLEAR_MEMORY)
        self._shown, self._said, self._said_last, self._is_answered = [], [], [], False

    def _put_up(self, lines: list[str], said: list[str] | None = None) -> None:
        self._shown, self._said, self._is_answered = lines, list(said or ()), False
        self._write(_CLEAR_SCREEN + "\n".join([*lines, *self._said]) + "\n")

    def _make_room(self) -> None:
        """Below a page there is one question at a time; with the next one the page is drawn again, and what was said of the last.

        What was typed before is thrown away: it was no answer to this question.
        """
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        if not self._is_answered:
            return
        room = max(self._drawing.height - len(self._shown) - _BELOW_SHARE, 1)
        self._put_up(self._shown, said=self._said[-room:])

    def _note_answer(self) -> None:
        self._is_answered, self._said = True, []

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _prompt(self, question: Question) -> None:
        shown = f" [{question.default}]" if question.default else ""
        lines = self._drawing.lines(Text(f"\n ▶ {question.text}{shown}", style="bold"))
        self._write("\n".join(lines) + "\n   ")

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
