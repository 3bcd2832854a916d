"""What people see and say during a ceremony: pages, questions, and whoever shows and asks them.

Nothing that goes through ``show`` or ``ask`` is secret. A share goes through ``show_share`` and ``ask_hidden`` alone.
"""

from typing import Final, NamedTuple, Protocol

from strongroom.core import Secret

SHARE_WORDS: Final = "share-words"
"""Key of the question for the words of a share, which ``ask_hidden`` takes piece by piece."""


class Page(NamedTuple):
    """What is on the screen at one moment: one thing, so that everybody in the room can read it."""

    title: str
    position: str = ""
    """``Step 4 of 17``."""
    who: str = ""
    """Who acts now: name and role."""
    aloud: str = ""
    """To be read aloud, word by word."""
    lines: tuple[str, ...] = ()
    """What to do and what to see, a paragraph each."""
    facts: tuple[tuple[str, str], ...] = ()
    """What was found: label and value."""
    warning: str = ""


class Question(NamedTuple):
    """What a person is asked. ``key`` says what for, so that scripted participants know what to answer."""

    key: str
    """``initials``, ``bag-number``, ``go-on``, ``share-words``, ``signing-key``, ``pin`` …"""
    who: str
    """Id of the participant who answers."""
    text: str
    default: str = ""
    """Taken for an empty answer."""


class SharePage(NamedTuple):
    """A share, shown to one custodian. Secret: its repr shows no word."""

    title: str
    who: str
    """Id of the custodian."""
    words: tuple[str, ...]
    lines: tuple[str, ...] = ()
    """What to do with them; not secret."""
    picture: tuple[str, ...] = ()
    """A QR code, as rows of block characters."""

    def __repr__(self) -> str:
        return f"SharePage({self.title!r}, {self.who!r}, <{len(self.words)} words>)"


class Console(Protocol):
    """A terminal, or scripted participants."""

    async def show(self, page: Page) -> None:
        """Put a page up, in the place of the one before."""
        ...

    async def say(self, line: str) -> None:
        """Add a line below the page: progress, or why an answer was not taken."""
        ...

    async def ask(self, question: Question) -> str:
        """Return what a person answers, without blanks at both ends. Raises CeremonyPausedError when nobody is there any more."""
        ...

    async def ask_hidden(self, question: Question) -> Secret:
        """Return what a person types unseen. Raises CeremonyPausedError when nobody is there any more."""
        ...

    async def show_share(self, page: SharePage) -> None:
        """Show a share until ``clear``."""
        ...

    async def clear(self) -> None:
        """Take what is shown from the screen, and from what the terminal remembers of it."""
        ...
