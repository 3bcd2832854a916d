"""Typing that a terminal does not show, over more than one line."""

import termios
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unseen(terminal: int) -> Iterator[None]:
    """Show nothing that is typed, also between two prompts, where getpass would; what was typed ahead is kept."""
    before = termios.tcgetattr(terminal)
    silent = [*before[:3], before[3] & ~(termios.ECHO | termios.ECHONL), *before[4:]]
    try:
        termios.tcsetattr(terminal, termios.TCSADRAIN, silent)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
