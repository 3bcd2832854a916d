"""Runs ``init --script`` in a process that kills itself at a point: a step in words, or one side of a save of the journal.

    python init_program.py HOME SCRIPT GENESIS POINT

POINT is a part of what the point is called; or @FILE, which lists points: it is killed at the first that is not listed yet, and lists it.
Empty: it is not killed.
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
    """Says what each point is, and ends the process at one of them as a power cut would."""

    def __init__(self, last: str) -> None:
        self._last = last
        self._seen = Path(last[1:]) if last.startswith("@") else None

    def pass_one(self, what: str) -> None:
        print(what, flush=True)
        if self._is_last(what):
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_last(self, what: str) -> bool:
        if self._seen is None:
            return bool(self._last) and self._last in what
        seen = self._seen.read_text().splitlines() if self._seen.exists() else []
        if what in seen:
            return False
        self._seen.write_text("\n".join([*seen, what]))
        return True


def main() -> None:
    root, script, genesis = (Path(argument) for argument in sys.argv[1:4])
    points = Points(sys.argv[4])
    save = JournalFile.save

    def save_between_points(self, journal):  # type: ignore[no-untyped-def]
        states = [f"{name}={member.step.value}" for name, member in journal.members.items()]
        states += ["root"] * (journal.root is not None) + ["recorded"] * journal.is_recorded
        states += ["pinned"] * journal.is_pinned + ["configured"] * journal.is_configured
        state = ", ".join(states)
        points.pass_one(f"before saving {state}")
        save(self, journal)
        points.pass_one(f"after saving {state}")

    JournalFile.save = save_between_points  # type: ignore[method-assign]
    work = initialise_scripted(
        root, read_init_script(script), genesis.read_bytes(), clock=SystemClock(), progress=points.pass_one
    )
    asyncio.run(work)
    print("done", flush=True)


if __name__ == "__main__":
    main()
