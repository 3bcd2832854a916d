"""The command line with effects in memory: ceremonies that run as processes of their own, without an HSM.

    python -m ceremony_in_memory WORLD [--stop WHERE] -- ceremony rehearse SCRIPT --folder FOLDER

``WORLD`` is the folder of the ledger. ``--stop entry:N`` has the process killed (SIGKILL) right after entry N is on disk;
``--stop "after create"`` within that effect.
"""

import contextlib
import os
import signal
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fakes_ceremony import MemoryEffects
from strongroom.ceremony import Effects, Setting


def kill_self() -> None:
    """End as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop_after_entry(number: int) -> None:
    """Have the process killed when an entry is on disk."""
    from strongroom.ceremony._journal import Journal

    whole = Journal.append

    def append(self: Journal, kind: Any, /, **fields: Any) -> Any:
        entry: Any = whole(self, kind, **fields)
        if entry.seq == number:
            kill_self()
        return entry

    Journal.append = append  # type: ignore[method-assign]


def main() -> None:
    """Run the command line in this process, with effects whose world is a folder."""
    world, arguments = Path(sys.argv[1]), sys.argv[sys.argv.index("--") + 1 :]
    stop = sys.argv[3] if sys.argv[2] == "--stop" else ""
    if stop.startswith("entry:"):
        stop_after_entry(int(stop.removeprefix("entry:")))

    def between(where: str) -> None:
        if where == stop:
            kill_self()

    @contextlib.asynccontextmanager
    async def ceremony_effects(_setting: Setting) -> AsyncIterator[Effects]:
        yield MemoryEffects(world, between)

    module = types.ModuleType("strongroom.wiring.ceremony_effects")
    module.__dict__["ceremony_effects"] = ceremony_effects
    sys.modules[module.__name__] = module
    from strongroom.cli import root_command

    root_command(arguments, prog_name="strongroom")


if __name__ == "__main__":
    main()
