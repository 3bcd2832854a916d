"""Runs ``init --script`` in a process that kills itself at a point: a step in words, or one side of a save of the journal.

    python init_program.py HOME SCRIPT GENESIS POINT

POINT is a number, or a part of what the point is called; empty: it is not killed, and how many there were is printed last.
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

    def __init__(self, last: str) -> None:
        self._last = last
        self.n_points = 0

    def pass_one(self, what: str) -> None:
        self.n_points += 1
        print(f"{self.n_points} {what}", flush=True)
        is_last = what.find(self._last) >= 0 if not self._last.isdigit() else self.n_points == int(self._last)
        if self._last and is_last:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    root, script, genesis = (Path(argument) for argument in sys.argv[1:4])
    points = Points(sys.argv[4])
    save = JournalFile.save

    def save_between_points(self, journal):  # type: ignore[no-untyped-def]
        state = ", ".join(f"{name}={member.step.value}" for name, member in journal.members.items())
        points.pass_one(f"before saving {state}")
        save(self, journal)
        points.pass_one(f"after saving {state}")

    JournalFile.save = save_between_points  # type: ignore[method-assign]
    work = initialise_scripted(
        root, read_init_script(script), genesis.read_bytes(), clock=SystemClock(), progress=points.pass_one
    )
    made = asyncio.run(work)
    print(f"done {points.n_points} {made.was_made}", flush=True)


if __name__ == "__main__":
    main()
