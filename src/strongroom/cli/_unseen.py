"""Typing that a terminal does not show, over more than one line."""

import termios
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unseen(terminal: int, *, discards: bool = False) -> Iterator[None]:
    """Show nothing that is typed, also between two prompts, where getpass would.

    ``discards``: what was typed before the first prompt, and what is left at the end, is thrown away; else it is kept.
    """
    when = termios.TCSAFLUSH if discards else termios.TCSADRAIN
    before = termios.tcgetattr(terminal)
    silent = [*before[:3], before[3] & ~(termios.ECHO | termios.ECHONL), *before[4:]]
    try:
        termios.tcsetattr(terminal, when, silent)
        yield
    finally:
        termios.tcsetattr(terminal, when, before)
