"""Transcripts as lines of text, and lists of ceremonies."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import shown_time, visible

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.paper import PrintedNote, PrintedStep, PrintedTranscript


def view_lines(view: "PrintedTranscript") -> list[str]:
    """Return a transcript as lines for people."""
    return [visible(line) for line in _view_lines(view)]


def _view_lines(view: "PrintedTranscript") -> Iterator[str]:
    if view.is_rehearsal:
        yield "REHEARSAL: people, tokens and keys are made up."
    yield f"{view.title} ({view.type}), {view.state}, {view.begun} to {view.ended or '...'} UTC"
    yield f"  script      {view.script_hash.hex}"
    yield f"  transcript  {view.transcript_hash.hex}"
    if view.previous_hash is not None:
        yield f"  follows     {view.previous_hash.hex}"
    yield ""
    for one in view.participants:
        yield f"  {one.initials or '-':5} {one.name}, {one.role}, {one.organisation}"
    for step in view.steps:
        yield ""
        yield from _step_lines(step)
    between = [event for event in view.events if event.kind != "note"]
    if between:
        yield ""
        yield "Deviations and interruptions:"
    for event in between:
        yield _note_line(event)


def _step_lines(step: "PrintedStep") -> Iterator[str]:
    found = ", found done" if step.is_found else ""
    yield f"{step.number:3}. {step.action} ({step.id}), by {step.who}: {step.state}{found} {step.done}"
    for label, value in step.facts:
        yield f"       {label}: {value}"
    for name, sha256, elsewhere in step.artefacts:
        yield f"       file {name}: {sha256}{f', kept {elsewhere}' if elsewhere else ''}"
    for deviation in step.deviations:
        yield f"       DEVIATION: {deviation}"
    for note in step.notes:
        yield f"     {_note_line(note)}"
    if step.confirmations:
        yield f"       confirmed: {', '.join(one.initials for one in step.confirmations)}"


def _note_line(note: "PrintedNote") -> str:
    who = f"{note.who}: " if note.who else ""
    return f"  {note.at} {note.kind}: {who}{note.text}"


def ceremonies_in(parent: Path) -> list[dict[str, Any]]:
    """Return what is known of each ceremony below a folder. Raises NotDoneError when it is no folder, and OSError."""
    from strongroom.ceremony import (
        NO_HASH,
        TRANSCRIPT_NAME,
        CeremonyError,
        read_transcript,
        read_transcript_file,
    )

    if not parent.is_dir():
        raise NotDoneError(f"{parent} is no folder")
    found: list[dict[str, Any]] = []
    for path in sorted(parent.iterdir()):
        if not (path / TRANSCRIPT_NAME).is_file():
            continue
        try:
            transcript = read_transcript(read_transcript_file(path))
        except CeremonyError as error:
            found.append(_unreadable(path.name, error.message))
            continue
        header, end = transcript.header, transcript.end
        found.append(
            {
                "folder": path.name,
                "type": header.ceremony_type,
                "is_rehearsal": header.is_rehearsal,
                "begun": shown_time(header.at),
                "state": "unfinished" if end is None else end.state,
                "transcript_sha256": transcript.sha256,
                "previous_transcript": "" if header.previous_transcript == NO_HASH else header.previous_transcript,
            }
        )  # fmt: skip
    names = {one["transcript_sha256"]: one["folder"] for one in found}
    for one in found:
        before = one["previous_transcript"]
        one["follows"] = names.get(before, before[:16] and f"{before[:16]} (not here)")
    return sorted(found, key=lambda one: str(one["begun"]))


def _unreadable(folder: str, why: str) -> dict[str, Any]:
    return {
        "folder": folder,
        "type": "?",
        "is_rehearsal": False,
        "begun": "",
        "state": f"unreadable: {why}",
        "transcript_sha256": "",
        "previous_transcript": "",
    }
