"""How far encryption or decryption of a file is, on one line of a terminal."""

import sys

import click

from strongroom.core import Clock

_EVERY_S = 0.1
_BAR_CELLS = 24
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class FileProgress:
    """Draws at most ten times a second, and wipes its line at the end. ``total``: None where nobody knows."""

    def __init__(self, total: int | None, *, clock: Clock, is_shown: bool) -> None:
        self._total = total
        self._clock = clock
        self._is_shown = is_shown and sys.stderr.isatty()
        self._began = clock.monotonic()
        self._drawn = self._began  # nothing is drawn for work that is done at once
        self._first: tuple[float, int] | None = (
            None  # the data key took its time before that: speed counts from here
        )

    def __call__(self, done: int) -> None:
        """Tell how many bytes of the input are done."""
        now = self._clock.monotonic()
        if self._first is None:
            self._first = now, done
        elif self._is_shown and now - self._drawn >= _EVERY_S:
            self._drawn = now
            since, before = self._first
            speed = (done - before) / max(now - since, 1e-9)
            click.echo(f"\r{progress_line(done, self._total, speed)}\x1b[K", err=True, nl=False)

    def wipe(self) -> None:
        """Leave the line empty for what is said next."""
        if self._is_shown and self._drawn > self._began:
            click.echo("\r\x1b[K", err=True, nl=False)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was made."""
        return self._clock.monotonic() - self._began


def progress_line(done: int, total: int | None, speed: float) -> str:
    """Write the line: bar and share where the total is known, amount, speed in bytes a second, and what is left."""
    amount = f"{readable_size(done)} at {readable_size(speed)}/s"
    if not total:
        return f"  {amount}"
    share = min(done / total, 1.0)
    bar = ("#" * int(share * _BAR_CELLS)).ljust(_BAR_CELLS, ".")
    left_s = max(total - done, 0) / max(speed, 1.0)
    return f"  [{bar}] {share:4.0%} of {readable_size(total)}, {amount}, {left_s:.0f} s left"


def readable_size(n_bytes: float) -> str:
    """Write an amount with three digits or so and a binary unit."""
    amount, unit = float(n_bytes), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 100 else f"{amount:.1f} {_UNITS[unit]}"
