"""A transcript as a document: everything that it says, in the order in which people read and sign it."""

from collections.abc import Mapping, Sequence
from typing import Final

from strongroom.paper._blocks import (
    Block,
    Cell,
    Document,
    FactRow,
    FactTable,
    Heading,
    Paragraph,
    Table,
)
from strongroom.paper._transcript_form import Fact, PrintedHash, PrintedNote, PrintedStep, PrintedTranscript

Words = Mapping[str, tuple[str, ...]]
_BETWEEN: Final = " / "
_NOTHING: Final[tuple[Fact, ...]] = (("", "none"),)
"""The facts of a step that found nothing."""
_IN_WORDS: Final = " in words"
"""A fact ``X in words`` after a fact ``X`` has the words of the hash that is there."""


def transcript_document(transcript: PrintedTranscript) -> Document:
    """Return a transcript as a document."""
    return Document(
        kind="Ceremony transcript",
        title=transcript.title,
        subtitle=f"Transcript of a key ceremony ({transcript.type})",
        running=transcript.ceremony,
        footer=(f"Transcript SHA-256 {transcript.transcript_hash.hex}",),
        is_rehearsal=transcript.is_rehearsal,
        blocks=(
            *_opening(transcript),
            *_people(transcript),
            Heading("Steps"),
            *(block for step in transcript.steps for block in _step(step, transcript.spoken)),
            *_closing(transcript),
        ),
    )


def fact_table(facts: Sequence[Fact], spoken: Words | None = None) -> FactTable:
    """Return facts as a table: ``members / alpha / serial`` is a row ``serial`` under a head ``members / alpha``."""
    words = spoken or {}
    said = {" ".join(words[value]) for _, value in facts if value in words}
    rows: list[FactRow] = []
    last = ""
    previous: Fact = ("", "")
    for label, value in facts:
        if rows and label == previous[0] + _IN_WORDS:
            rows[-1] = rows[-1]._replace(words=tuple(value.split(" ")))
            continue
        if value in said:
            continue  # it stands beneath its hash
        previous = (label, value)
        head, between, tail = label.rpartition(_BETWEEN)
        if head != last:
            rows.append(FactRow(head if between else "also", "", is_head=True))
        last = head
        rows.append(FactRow(tail, value, words.get(value, ())))
    return FactTable(tuple(rows))


def hash_row(label: str, hashed: PrintedHash | None, absent: str = "") -> FactRow:
    """Return the row of a hash, in hex and in words."""
    return FactRow(label, absent) if hashed is None else FactRow(label, hashed.hex, hashed.words)


def _opening(transcript: PrintedTranscript) -> list[Block]:
    blocks: list[Block] = []
    if transcript.state != "complete":
        reason = f" {transcript.reason}" if transcript.reason else ""
        blocks.append(Paragraph(f"THIS CEREMONY IS NOT COMPLETE: {transcript.state}.{reason}", "warning"))
    blocks.append(
        FactTable(
            (
                FactRow("ceremony", transcript.ceremony),
                FactRow("script", transcript.script),
                FactRow("state", transcript.state),
                FactRow("begun (UTC)", transcript.begun),
                FactRow("ended (UTC)", transcript.ended or "it has not ended"),
                *((FactRow("reason", transcript.reason),) if transcript.reason else ()),
                hash_row("script, SHA-256", transcript.script_hash),
                hash_row("this transcript, SHA-256", transcript.transcript_hash),
                hash_row("transcript before, SHA-256", transcript.previous_hash, "none, or it was not known"),
            )
        )
    )
    blocks += [Heading("Software"), fact_table(transcript.software, transcript.spoken)]
    return blocks


def _people(transcript: PrintedTranscript) -> list[Block]:
    rows = tuple(
        (
            Cell(f"{one.name} ({one.id})"),
            Cell(one.role),
            Cell(f"{one.organisation}{', ' if one.location else ''}{one.location}"),
            Cell(one.key or "none", "code"),
            Cell(one.initials or "did not attend"),
        )
        for one in transcript.participants
    )
    return [
        Heading("Participants"),
        Table(("Name", "Role", "Organisation, location", "Key", "Initials"), (27, 20, 25, 33, 13), rows),
    ]


def _step(step: PrintedStep, spoken: Words) -> list[Block]:
    found = ", found done when the ceremony went on" if step.is_found else ""
    times = f"begun {step.begun or 'never'} · confirmed {step.done or 'never'} (UTC)"
    blocks: list[Block] = [
        Heading(f"Step {step.number}: {step.action} ({step.id})", 2, f"{step.state}{found}"),
        Paragraph(f"By {step.who}, {step.role} · {times}", "small"),
    ]
    if step.say:
        blocks.append(Paragraph(step.say, label="Read aloud"))
    if step.expect:
        blocks.append(Paragraph(step.expect, label="To be seen"))
    if step.facts not in {(), _NOTHING}:
        blocks.append(fact_table(step.facts, spoken))
    if step.artefacts:
        blocks.append(_artefacts(step))
    blocks += [Paragraph(text, "warning", "Deviation") for text in step.deviations]
    for note in step.notes:
        blocks += _note(note, spoken)
    rows = tuple(
        (Cell(one.name), Cell(one.role), Cell(one.at), Cell(one.initials, "strong"), Cell())
        for one in step.confirmations
    )
    if rows:
        head = ("Confirmed by", "Role", "At (UTC)", "Initials", "By hand")
        blocks.append(Table(head, (30, 24, 22, 12, 12), rows))
    else:
        blocks.append(Paragraph("Nobody confirmed this step.", "strong"))
    return blocks


def _artefacts(step: PrintedStep) -> Table:
    return Table(
        ("File", "SHA-256", "Kept"),
        (26, 58, 16),
        tuple(
            (Cell(name), Cell(hashed, "code"), Cell(kept or "with the transcript"))
            for name, hashed, kept in step.artefacts
        ),
    )


def _note(note: PrintedNote, spoken: Words) -> list[Block]:
    who = f", {note.who}" if note.who else ""
    kind = "plain" if note.kind == "note" else "warning"
    blocks: list[Block] = [
        Paragraph(note.text, "warning" if kind == "warning" else "plain", f"{note.kind} at {note.at}{who}")
    ]
    if note.facts:
        blocks.append(fact_table(note.facts, spoken))
    return blocks


def _closing(transcript: PrintedTranscript) -> list[Block]:
    blocks: list[Block] = [Heading("Deviations and interruptions")]
    found = [
        Paragraph(text, "warning", f"Step {step.number}: {step.action} ({step.id})")
        for step in transcript.steps
        for text in step.deviations
    ]
    blocks += found
    for event in transcript.events:
        blocks += _note(event, transcript.spoken)
    if not found and not transcript.events:
        blocks.append(Paragraph("None was recorded."))
    blocks.append(Heading("Audit checkpoint"))
    if transcript.audit_checkpoint:
        blocks.append(fact_table(transcript.audit_checkpoint, transcript.spoken))
    else:
        blocks.append(Paragraph("There was no audit log at the end of this ceremony."))
    return [*blocks, *_signatures(transcript), *_lines_to_sign(transcript)]


def _signatures(transcript: PrintedTranscript) -> list[Block]:
    rows = tuple(
        (
            Cell(one.name),
            Cell(one.role),
            Cell(one.organisation),
            Cell(one.key, "code"),
            Cell(one.state, "strong"),
        )
        for one in transcript.signatures
    )
    signed = sum(one.state == "signed" for one in transcript.signatures)
    blocks: list[Block] = [
        Heading("Detached signatures of the witnesses"),
        Paragraph(
            f"{signed} verified when this was printed; {transcript.witnesses_needed} are needed.",
            "plain" if signed >= transcript.witnesses_needed else "warning",
        ),
    ]
    if rows:
        blocks.append(Table(("Name", "Role", "Organisation", "Key", "Signature"), (22, 18, 20, 32, 14), rows))
    return blocks


def _lines_to_sign(transcript: PrintedTranscript) -> list[Block]:
    rows = tuple((Cell(f"{one.name}, {one.role}"), Cell(), Cell()) for one in transcript.participants)
    return [
        Heading("Signed by hand", rows_to_sign=len(rows)),
        Paragraph(
            "By signing I confirm that I was there and that what this transcript says of my part is what I did and saw. "
            "The hash at the foot of each page names the file that this print was made of; the file is what counts, and "
            '"strongroom ceremony verify" checks it without any service.'
        ),
        Table(("Name and role", "Signature", "Date"), (40, 42, 18), rows, is_signed=True),
    ]
