"""The words of a share as somebody types them: piece by piece, each looked up at once, what the checksum finds wrong typed again.

One for all commands. It reads and shows nothing itself: who asks at a terminal does, with ``unseen``.
"""

from typing import Final

from strongroom.core import Secret
from strongroom.shares import ShareChecksumError, ShareError, UnknownWordError, check_words, read_share

_USUAL_WORDS: Final = 33
HOW_TO: Final = (
    "The words are not shown. Type as many at a time as you like; an empty line ends a share that has fewer."
)


class TypedWords:
    """What was typed so far. ``prompt`` says what is asked for next, ``take`` gets the line.

    An empty line ends it: what was typed is then whole or wrong as it stands, and ``text`` is for ``read_share``.
    """

    def __init__(self, *, is_alone: bool) -> None:
        """``is_alone``: nobody else sees the screen, so that words like one that is mistyped may be shown."""
        self._is_alone = is_alone
        self._words: list[str] = []
        self._doubted: tuple[int, ...] = ()
        self._is_over = False

    @property
    def prompt(self) -> str | None:
        """What to ask for; None: it is over."""
        if self._is_over:
            return None
        if not self._doubted:
            return f"Word {len(self._words) + 1} of {_USUAL_WORDS}"
        first, last = self._doubted[0], self._doubted[-1]
        return f"Word {first} again" if first == last else f"Words {first} and {last} again"

    def take(self, line: str) -> str | None:
        """Take a line; returns what to say of it, if anything. No word that was typed is in it."""
        typed = line.lower().split()
        first = self._doubted[0] if self._doubted else len(self._words) + 1
        try:
            check_words(typed, first=first)
        except UnknownWordError as error:
            is_shown = self._is_alone and error.nearest
            near = f"; is it {' or '.join(error.nearest)}?" if is_shown else "."
            return f"Word {error.position} is not in the list{near} Type this line again."
        if self._doubted:
            return self._replaced(typed)
        self._words += typed
        return self._judged() if not typed or len(self._words) >= _USUAL_WORDS else None

    def text(self) -> Secret:
        """Return what was typed, for ``read_share``."""
        return Secret.from_text(" ".join(self._words))

    def _replaced(self, typed: list[str]) -> str | None:
        if not typed:
            self._is_over = True
            return None
        if len(typed) != len(self._doubted):
            return None
        self._words[self._doubted[0] - 1 : self._doubted[-1]] = typed
        return self._judged()

    def _judged(self) -> str | None:
        """Look whether it is a share; whoever asked tells what else is wrong with it."""
        self._doubted = ()
        try:
            read_share(" ".join(self._words)).zeroize()
        except ShareChecksumError as error:
            self._doubted = error.positions
            self._is_over = not error.positions
            return f"{error.message}." if error.positions else None
        except ShareError:
            pass
        self._is_over = True
        return None
