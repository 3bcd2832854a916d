"""Making a ``PrintedTranscript`` of a transcript: everything in words, for whoever shows or prints it."""

import datetime as dt
from collections.abc import Iterator, Mapping

import msgspec

from strongroom.ceremony import (
    NO_HASH,
    Begun,
    Confirmed,
    Deviation,
    Done,
    Entry,
    Interrupted,
    Noted,
    Participant,
    Resumed,
    Script,
    Software,
    Step,
    StepState,
    Transcript,
    action_words,
    fact_rows,
    initials_given,
    words_of_role,
)
from strongroom.custody import OfficerKey, neutral, spoken
from strongroom.paper import (
    PrintedConfirmation,
    PrintedHash,
    PrintedNote,
    PrintedParticipant,
    PrintedSignature,
    PrintedStep,
    PrintedTranscript,
)

_STATES: Mapping[StepState, str] = {
    StepState.NEW: "not begun",
    StepState.BEGUN: "begun",
    StepState.DONE: "not confirmed",
    StepState.CONFIRMED: "done",
}


def transcript_view(
    transcript: Transcript, script: Script, signatures: Mapping[str, OfficerKey] | None = None
) -> PrintedTranscript:
    """Return a transcript as it is printed. ``signatures`` are verified ones, by witness (``read_signatures``)."""
    header, end = transcript.header, transcript.end
    people = {one.id: one for one in header.participants}
    view = PrintedTranscript(
        title=neutral(header.title),
        type=header.ceremony_type,
        ceremony=header.ceremony,
        script=header.script,
        is_rehearsal=header.is_rehearsal,
        state="unfinished" if end is None else end.state,
        begun=_time(header.at),
        ended="" if end is None else _time(end.at),
        reason="" if end is None else neutral(end.reason),
        script_hash=_hash(header.script_sha256),
        transcript_hash=_hash(transcript.sha256),
        previous_hash=None if header.previous_transcript == NO_HASH else _hash(header.previous_transcript),
        software=_software(header.software),
        participants=_participants(transcript),
        steps=tuple(_step(transcript, step, number, people) for number, step in enumerate(script.steps, 1)),
        events=tuple(
            note for entry in transcript.entries if (note := _note(entry, people)) and note.kind != "note"
        ),
        audit_checkpoint=() if end is None else tuple(fact_rows(end.audit_checkpoint)),
        signatures=tuple(_signature(one, signatures or {}) for one in header.participants if one.is_witness),
        witnesses_needed=2 if end is None else end.witnesses_needed,
    )
    return msgspec.structs.replace(view, spoken={value: spoken(value) for value in _hashes(view)})


def _hashes(view: PrintedTranscript) -> Iterator[str]:
    """Every SHA-256 among the facts."""
    notes = [*view.events, *(note for step in view.steps for note in step.notes)]
    of_steps = [fact for step in view.steps for fact in step.facts]
    of_notes = [fact for note in notes for fact in note.facts]
    for _, value in (*view.software, *view.audit_checkpoint, *of_steps, *of_notes):
        if len(value) == 64 and not value.strip("0123456789abcdef"):
            yield value


def _step(transcript: Transcript, step: Step, number: int, people: Mapping[str, Participant]) -> PrintedStep:
    own = [entry for entry in transcript.entries if getattr(entry, "step", None) == step.id]
    begun = next((entry for entry in own if isinstance(entry, Begun)), None)
    done = next((entry for entry in reversed(own) if isinstance(entry, Done)), None)
    confirmed = next((entry for entry in reversed(own) if isinstance(entry, Confirmed)), None)
    return PrintedStep(
        number=number,
        id=step.id,
        action=action_words(step.do),
        who=neutral(people[step.by].name),
        role=words_of_role(people[step.by].role),
        say=_paragraphs(step.say),
        expect=_paragraphs(step.expect),
        state=_STATES[transcript.progress.state_of(step.id)],
        begun="" if begun is None else _time(begun.at),
        done="" if confirmed is None else _time(confirmed.at),
        is_found=done is not None and done.is_found,
        facts=() if done is None else tuple(fact_rows(done.facts)),
        artefacts=()
        if done is None
        else tuple((one.name, one.sha256, neutral(one.elsewhere)) for one in done.artefacts),
        deviations=() if done is None else tuple(neutral(one) for one in done.deviations),
        notes=tuple(note for entry in own if (note := _note(entry, people))),
        confirmations=() if confirmed is None else _confirmations(confirmed, people),
    )


def _note(entry: Entry, people: Mapping[str, Participant]) -> PrintedNote | None:
    """What happened within a step, or between steps; None for the other entries."""
    at = _time(entry.at)
    if isinstance(entry, Noted):
        return PrintedNote(at=at, kind="note", who=_name(entry.who, people), text=neutral(entry.text), facts=tuple(fact_rows(entry.facts)))  # fmt: skip
    if isinstance(entry, Deviation):
        return PrintedNote(
            at=at, kind="deviation", who=_name(entry.who, people), text=neutral(entry.text), facts=()
        )
    if isinstance(entry, Interrupted):
        return PrintedNote(at=at, kind="interruption", who="", text=neutral(entry.reason), facts=())
    if isinstance(entry, Resumed):
        return PrintedNote(
            at=at, kind="resumed", who="", text=_resumed(entry), facts=_software(entry.software)
        )
    return None


def _resumed(entry: Resumed) -> str:
    if not entry.lost_bytes:
        return "The ceremony went on."
    return f"The ceremony went on. {entry.lost_bytes} bytes of an entry that was being written were cut off."


def _confirmations(entry: Confirmed, people: Mapping[str, Participant]) -> tuple[PrintedConfirmation, ...]:
    return tuple(
        PrintedConfirmation(
            name=_name(one.who, people),
            role=words_of_role(people[one.who].role) if one.who in people else "",
            initials=one.initials,
            at=_time(one.at),
        )
        for one in entry.confirmations
    )


def _participants(transcript: Transcript) -> tuple[PrintedParticipant, ...]:
    initials = initials_given(transcript.entries)
    return tuple(
        PrintedParticipant(
            id=one.id,
            name=neutral(one.name),
            role=words_of_role(one.role),
            organisation=neutral(one.organisation),
            location=neutral(one.location),
            key=OfficerKey.from_line(one.key).fingerprint if one.key else "",
            initials=initials.get(one.id, ""),
        )
        for one in transcript.header.participants
    )


def _signature(one: Participant, signatures: Mapping[str, OfficerKey]) -> PrintedSignature:
    return PrintedSignature(
        name=neutral(one.name),
        role=words_of_role(one.role),
        organisation=neutral(one.organisation),
        key=OfficerKey.from_line(one.key).fingerprint if one.key else "",
        state="signed" if one.id in signatures else "not signed",
    )


def _software(software: Software) -> tuple[tuple[str, str], ...]:
    return (
        ("version", software.version),
        ("SHA-256 of its files", software.sha256),
        ("files", str(software.files)),
        ("Python", software.python),
    )


def _name(identifier: str, people: Mapping[str, Participant]) -> str:
    return neutral(people[identifier].name) if identifier in people else neutral(identifier)


def _hash(hashed: str) -> PrintedHash:
    return PrintedHash(hex=hashed, words=spoken(hashed))


def _paragraphs(text: str) -> str:
    return "\n".join(neutral(line) for line in text.strip().split("\n"))


def _time(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
