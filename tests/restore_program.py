"""Runs ``backup restore`` in a process that kills itself at a point: a step in words, or one side of a save of the journal.

    python restore_program.py HOME BUNDLE SET SCRIPT REQUEST SIGNATURES SHARES POINT

SIGNATURES and SHARES are folders, REQUEST a file; POINT as ``init_program`` takes it.
"""

import asyncio
import sys
from pathlib import Path

from init_program import Points
from strongroom.core import SystemClock
from strongroom.custody import dearmour
from strongroom.shares import read_share
from strongroom.wiring.restore_home import restore_home
from strongroom.wiring.restore_journal import RestoreJournalFile
from strongroom.wiring.restore_script import read_restore_script
from strongroom.wiring.restore_shares import combined_share_key
from strongroom.wiring.restore_source import RestoreApproval


def main() -> None:
    root, bundle, set_file, script, request, signatures, shares = map(Path, sys.argv[1:8])
    points = Points(sys.argv[8])
    save = RestoreJournalFile.save

    def save_between_points(self, journal):  # type: ignore[no-untyped-def]
        states = [f"{name}={member.step.value}" for name, member in journal.members.items()]
        states += ["keyed"] * journal.is_keyed + ["pinned"] * journal.is_pinned
        states += ["configured"] * journal.is_configured
        state = ", ".join(states)
        points.pass_one(f"before saving {state}")
        save(self, journal)
        points.pass_one(f"after saving {state}")

    RestoreJournalFile.save = save_between_points  # type: ignore[method-assign]
    approval = RestoreApproval(
        request.read_bytes(), [dearmour(path.read_bytes()) for path in sorted(signatures.iterdir())]
    )

    def share_key(backup_set):  # type: ignore[no-untyped-def]
        return combined_share_key(
            backup_set, [read_share(path.read_text()) for path in sorted(shares.iterdir())]
        )

    work = restore_home(
        root,
        bundle,
        set_file.read_bytes(),
        read_restore_script(script),
        share_key=share_key,
        approval=approval,
        clock=SystemClock(),
        progress=points.pass_one,
    )
    asyncio.run(work)
    print("done", flush=True)


if __name__ == "__main__":
    main()
