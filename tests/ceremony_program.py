"""Rehearses a ceremony in a process that kills itself at a point: one side of an entry of the transcript, a note, a line, a question.

    python ceremony_program.py FOLDER KIND POINT

POINT is a part of what the point is called; or @FILE, which lists points: it is killed at the first that is not listed yet, and lists it.
Empty: it is not killed. What custodians wrote down is in FOLDER/paper.json, as it would be in their pockets; everything else that the
run writes is elsewhere. The home of the rehearsal is kept as FOLDER/kept when the ceremony is over.
"""

import asyncio
import json
import sys
from pathlib import Path

from ceremony_homes import rehearse_and_keep, setting_of
from init_program import Points
from strongroom.ceremony import CeremonyType, Question, ScriptedParticipants, SharePage
from strongroom.ceremony._journal import Journal
from strongroom.core import Secret
from strongroom.wiring.ceremony_notes import Notes


class Paper:
    """What custodians wrote down: their newest share, and all that they were ever shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._all: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}

    def write(self, who: str, words: str) -> None:
        """Write a share down."""
        self._all.setdefault(who, []).append(words)
        self._path.write_text(json.dumps(self._all))

    def read(self, who: str) -> str:
        """Read the newest one."""
        return self._all[who][-1]


class KilledParticipants(ScriptedParticipants):
    """Participants who do not notice that the power fails now and then."""

    def __init__(self, script, paper: Paper, points: Points) -> None:
        super().__init__(script)
        self._paper = paper
        self._points = points

    async def say(self, line: str) -> None:
        self._points.pass_one(f"said: {line}")
        await super().say(line)

    async def ask_hidden(self, question: Question) -> Secret:
        self._points.pass_one(f"asked: {question.key} of {question.who}")
        return Secret.from_text(self._paper.read(question.who))

    async def show_share(self, page: SharePage) -> None:
        self._paper.write(page.who, " ".join(page.words))
        self._points.pass_one(f"shown: a share to {page.who}")


def main() -> None:
    folder, kind, point = Path(sys.argv[1]), CeremonyType(sys.argv[2]), sys.argv[3]
    points = Points(point)
    append, add = Journal.append, Notes.add

    def append_between_points(self, entry, **fields):  # type: ignore[no-untyped-def]
        what = f"{entry.__struct_config__.tag} {fields.get('step', '')}"
        points.pass_one(f"before writing {what}")
        made = append(self, entry, **fields)
        points.pass_one(f"after writing {what}")
        return made

    def add_between_points(self, step, what, name):  # type: ignore[no-untyped-def]
        points.pass_one(f"before noting {step} {what}")
        add(self, step, what, name)
        points.pass_one(f"after noting {step} {what}")

    Journal.append = append_between_points  # type: ignore[method-assign]
    Notes.add = add_between_points  # type: ignore[method-assign]
    setting = setting_of(folder, kind)
    people = KilledParticipants(setting.script, Paper(folder / "paper.json"), points)
    asyncio.run(rehearse_and_keep(setting, folder / "kept", people))
    print("done", flush=True)


if __name__ == "__main__":
    main()
