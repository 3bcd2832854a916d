"""What effects remember from one process to the next, until the transcript is closed: names of what a step is making. Nothing secret.

One line of JSON for each note in ``effects.jsonl`` of the ceremony's folder, on disk before what it names is made.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from strongroom.ceremony import CeremonyFolderError
from strongroom.wiring.durable_files import sync_folder

NOTES_NAME: Final = "effects.jsonl"
_MOST_BYTES: Final = 1024 * 1024


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a step is about to make, or asks for."""

    step: str
    what: str
    name: str


class Notes:
    """The notes of one ceremony."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NOTES_NAME

    def add(self, step: str, what: str, name: str) -> None:
        """Write a note; it is on disk when this returns. Raises OSError."""
        if name in self.of(step, what):
            return
        line = msgspec.json.encode(Note(step, what, name)) + b"\n"
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)

    def remove(self) -> None:
        """Remove them, once the transcript is closed: nobody asks any more."""
        self._path.unlink(missing_ok=True)

    def of(self, step: str, what: str) -> list[str]:
        """Return what was noted of a step, the oldest first. Raises CeremonyFolderError."""
        try:
            with self._path.open("rb") as file:
                data = file.read(_MOST_BYTES)
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]  # a line that was cut off names what was never begun
        try:
            notes = [msgspec.json.decode(line, type=Note) for line in whole.splitlines()]
        except msgspec.MsgspecError as error:
            raise CeremonyFolderError(f"{self._path} is damaged", name=NOTES_NAME) from error
        return [note.name for note in notes if (note.step, note.what) == (step, what)]
