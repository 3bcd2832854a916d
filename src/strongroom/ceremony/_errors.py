"""Errors of ceremonies.

CeremonyError (StrongroomError)
├── ScriptError             the script is malformed, or breaks a rule of scripts; ``line`` says where, if known
├── TranscriptError         the transcript does not hold together; ``entry`` is the first bad one
├── CeremonyFolderError     the folder is in use, is another ceremony's, or something in it is not what it should be
├── CeremonyPausedError     people stopped here; the same command goes on
├── CeremonyAbandonedError  people gave it up; the transcript says so, and nothing goes on
└── WitnessError            a signature under a transcript is missing, malformed, or by somebody else
"""

from strongroom.core import StrongroomError


class CeremonyError(StrongroomError):
    """Root of the errors of ceremonies."""


class ScriptError(CeremonyError):
    """The script is malformed or breaks a rule of scripts. ``line`` counts from 1, where it is known."""

    def __init__(self, message: str, *, line: int | None = None, next_step: str | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}", next_step=next_step)
        self.line = line


class TranscriptError(CeremonyError):
    """The transcript does not hold together. ``entry`` is the number of the first bad entry, counted from 0."""

    def __init__(self, message: str, *, entry: int | None = None, next_step: str | None = None) -> None:
        super().__init__(message if entry is None else f"entry {entry}: {message}", next_step=next_step)
        self.entry = entry


class CeremonyFolderError(CeremonyError):
    """The folder is in use, belongs to another ceremony, or a file in it is not what the transcript says. ``name`` is the file."""

    def __init__(self, message: str, *, name: str = "", next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.name = name


class CeremonyPausedError(CeremonyError):
    """People stopped here. Nothing is lost: the same command goes on."""


class CeremonyAbandonedError(CeremonyError):
    """People gave the ceremony up. The transcript says so and is closed."""


class WitnessError(CeremonyError):
    """A signature under a transcript is missing, malformed, by another key, or over other bytes."""
