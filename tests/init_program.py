"""Runs ``init --script`` in a process that kills itself at the n-th point: each step in words, and both sides of each save.

    python init_program.py HOME SCRIPT GENESIS N

N is 0: it is not killed, and the number of points is printed at the end.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from strongroom.core import SystemClock
from strongroom.wiring.init_journal import JournalFile
from strongroom.wiring.init_script import read_init_script
from strongroom.wiring.initialise_scripted import initialise_scripted


class Points:
    """Counts points, says what each is, and ends the process at one of them as a power cut would."""

    def __init__(self, last: int) -> None:
        self._last = last
        self.n_points = 0

    def pass_one(self, what: str) -> None:
        self.n_points += 1
        print(f"{self.n_points} {what}", flush=True)
        if self.n_points == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    root, script, genesis, last = (Path(argument) for argument in sys.argv[1:])
    points = Points(int(str(last)))
    save = JournalFile.save

    def save_between_points(self, journal):  # type: ignore[no-untyped-def]
        points.pass_one("before a save")
        save(self, journal)
        points.pass_one("after a save")

    JournalFile.save = save_between_points  # type: ignore[method-assign]
    work = initialise_scripted(
        root, read_init_script(script), genesis.read_bytes(), clock=SystemClock(), progress=points.pass_one
    )
    made = asyncio.run(work)
    print(f"done {points.n_points} {made.was_made}", flush=True)


if __name__ == "__main__":
    main()
