"""Verifying a ceremony offline: its folder is all there is. The first bad thing is named; what cannot be checked is said.

In this order: the script, the transcript and its chain of hashes, that the two belong together, the artefacts, the
signatures.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from strongroom.ceremony._entries import NO_HASH, Begun, Confirmed, Deviation, Resumed, Software
from strongroom.ceremony._errors import CeremonyError, CeremonyFolderError, TranscriptError, WitnessError
from strongroom.ceremony._folder import ARTEFACTS_NAME, SCRIPT_NAME, read_file, read_transcript_file
from strongroom.ceremony._form import Script
from strongroom.ceremony._journal import TRANSCRIPT_NAME
from strongroom.ceremony._own_steps import people_needed
from strongroom.ceremony._parameters import Action, WitnessSignatures
from strongroom.ceremony._rehearsal import rehearsal_script
from strongroom.ceremony._script import read_script
from strongroom.ceremony._signatures import read_signatures, signature_name
from strongroom.ceremony._strict_yaml import MAX_SCRIPT_BYTES
from strongroom.ceremony._transcript import Transcript, read_transcript
from strongroom.custody import OfficerKey


class VerifiedCeremony(NamedTuple):
    """A ceremony in which everything that can be checked offline holds."""

    script: Script
    transcript: Transcript
    signatures: Mapping[str, OfficerKey]
    """The verified ones, by witness."""
    checked: tuple[str, ...]
    """What was checked, as sentences."""
    unchecked: tuple[str, ...]
    """What was not, as sentences, with what to do about it."""


def verify_ceremony(
    folder: Path, *, software: Software | None = None, previous: str | None = None
) -> VerifiedCeremony:
    """Check everything in a folder. ``software``: what is installed here; ``previous``: hash of the transcript before.

    Raises ScriptError, TranscriptError, CeremonyFolderError and WitnessError, whose messages name the first bad thing.
    """
    data = read_transcript_file(folder)
    with _named(SCRIPT_NAME):
        script = read_script(read_file(folder / SCRIPT_NAME, MAX_SCRIPT_BYTES))
    with _named(TRANSCRIPT_NAME):
        transcript = read_transcript(data)
        check_script(transcript, script)
        _check_ends(transcript, previous)
    count = check_artefacts(folder, transcript)
    signatures = read_signatures(folder, data, transcript)
    _require_enough(transcript, signatures)
    return VerifiedCeremony(
        script,
        transcript,
        signatures,
        checked=tuple(_checked(transcript, signatures, count, previous)),
        unchecked=tuple(_unchecked(folder, transcript, signatures, software, previous)),
    )


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name of a file before what is wrong in it."""
    try:
        yield
    except CeremonyError as error:
        if not error.message.startswith(name):
            error.message = f"{name}: {error.message}"
        raise


def _check_ends(transcript: Transcript, previous: str | None) -> None:
    if transcript.end is None:
        raise TranscriptError(
            "the ceremony is not over: the transcript has no end", next_step="go on with it, or abandon it"
        )
    before = transcript.header.previous_transcript
    if previous is not None and before != previous:
        raise TranscriptError(f"it follows the transcript {before}, and not {previous}", entry=0)


def check_script(transcript: Transcript, script: Script) -> None:
    """Check that a transcript is one of this script. Raises TranscriptError, which names the first entry that is not."""
    header = transcript.header
    if header.script_sha256 != script.sha256:
        raise TranscriptError(
            f"it is of the script {header.script_sha256}, and {SCRIPT_NAME} is {script.sha256}", entry=0
        )
    expected = rehearsal_script(script, header.ceremony) if header.is_rehearsal else script
    if (header.script, header.ceremony_type, header.title, header.participants) != (
        script.id, script.type, script.title, expected.participants
    ):  # fmt: skip
        raise TranscriptError("id, type, title or participants are not those of the script", entry=0)
    _check_order(transcript, script)
    people = {one.id for one in script.participants}
    for entry in transcript.entries:
        if isinstance(entry, Deviation) and entry.who not in people:
            raise TranscriptError(f"{entry.who} is no participant", entry=entry.seq)
        if isinstance(entry, Begun):
            step = script.step(entry.step)
            if (entry.action, entry.by) != (step.do, step.by):
                raise TranscriptError(f"the step {step.id} is another in the script", entry=entry.seq)
    _check_confirmations(transcript, script)


def _check_order(transcript: Transcript, script: Script) -> None:
    begun, planned = transcript.progress.steps, tuple(step.id for step in script.steps)
    for at, identifier in enumerate(begun):
        if at >= len(planned) or planned[at] != identifier:
            first = next(one.seq for one in transcript.entries if getattr(one, "step", None) == identifier)
            raise TranscriptError(f"the step {identifier} does not come here in the script", entry=first)
    end = transcript.end
    if end is None:
        return
    if end.state == "complete" and begun != planned:
        raise TranscriptError(f"it ends before the step {planned[len(begun)]}", entry=end.seq)
    last = script.steps[-1].parameters
    if isinstance(last, WitnessSignatures) and end.witnesses_needed != last.at_least:
        raise TranscriptError(f"the script wants {last.at_least} witnesses to sign", entry=end.seq)


def _check_confirmations(transcript: Transcript, script: Script) -> None:
    known: dict[str, str] = {}
    people = {one.id for one in script.participants}
    for entry in transcript.entries:
        if not isinstance(entry, Confirmed):
            continue
        step = script.step(entry.step)
        given = {one.who: one.initials for one in entry.confirmations}
        wanted = {step.by, *step.witness}
        if len(given) != len(entry.confirmations) or not wanted <= given.keys() <= people:
            raise TranscriptError(
                f"it is not confirmed by those whom the script names: {', '.join(sorted(wanted))}",
                entry=entry.seq,
            )
        missing = people_needed(script) - given.keys() if step.do == Action.ATTEND else frozenset()
        if missing:
            raise TranscriptError(
                f"who acts, confirms or gets a share did not attend: {', '.join(sorted(missing))}",
                entry=entry.seq,
            )
        if step.do != Action.ATTEND and given.keys() != wanted:
            raise TranscriptError("somebody confirms it whom the script does not name", entry=entry.seq)
        for who, initials in given.items():
            if known.setdefault(who, initials) != initials:
                raise TranscriptError(
                    f"the initials of {who} are others than at the beginning", entry=entry.seq
                )
        if len(set(known.values())) != len(known):
            raise TranscriptError("two people have the same initials", entry=entry.seq)


def check_artefacts(folder: Path, transcript: Transcript) -> int:
    """Check the files that the transcript names; return how many. Raises CeremonyFolderError, which names the first bad one."""
    count = 0
    for artefact in (one for outcome in transcript.outcomes.values() for one in outcome.artefacts):
        if artefact.elsewhere:
            continue
        path = folder / ARTEFACTS_NAME / artefact.name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise CeremonyFolderError(
                f"the artefact {artefact.name} is not there", name=artefact.name
            ) from None
        if found != artefact.sha256:
            raise CeremonyFolderError(
                f"the artefact {artefact.name} was changed: its SHA-256 is {found}, and the transcript says {artefact.sha256}",
                name=artefact.name,
            )
        count += 1
    return count


def _require_enough(transcript: Transcript, signatures: Mapping[str, OfficerKey]) -> None:
    end = transcript.end
    needed = 0 if end is None or end.state == "abandoned" else end.witnesses_needed
    if len(signatures) < needed:
        missing = [
            one.id for one in transcript.header.participants if one.is_witness and one.id not in signatures
        ]
        raise WitnessError(
            f"{len(signatures)} witnesses have signed, and {needed} are needed; not signed: {', '.join(missing)}",
            next_step="each signs with strongroom ceremony sign FOLDER --key KEY",
        )


def _checked(
    transcript: Transcript, signatures: Mapping[str, OfficerKey], count: int, previous: str | None
) -> Iterator[str]:
    header, end = transcript.header, transcript.end
    if header.is_rehearsal:
        yield "This is a REHEARSAL: people, tokens and keys are made up, and anybody can make these signatures."
    if end is not None and end.state == "abandoned":
        yield f"The ceremony was ABANDONED: {end.reason}"
    yield f"The script is whole and the one that was run: {header.script_sha256}"
    yield f"The transcript is whole: {len(transcript.entries)} entries, each names the hash of the one before"
    yield (
        f"{count} files are those that the transcript names"
        if count
        else "The transcript names no file in the folder"
    )
    for who, key in signatures.items():
        yield f"{who} signed it, with {key.fingerprint} ({signature_name(who)})"
    if previous is not None:
        yield f"It follows the transcript {previous}"


def _unchecked(
    folder: Path,
    transcript: Transcript,
    signatures: Mapping[str, OfficerKey],
    software: Software | None,
    previous: str | None,
) -> Iterator[str]:
    header, end = transcript.header, transcript.end
    yield "That the keys are the witnesses' own: compare their fingerprints with what the witnesses say."
    yield from _unsigned(transcript, signatures)
    yield "That what the HSMs and the software reported was true: witnesses saw it, nobody can compute it."
    yield "When it happened: times are by the clock of the machine, and nobody countersigned them."
    yield from _times(transcript)
    if previous is None:
        yield (
            "The ceremony before: none is named."
            if header.previous_transcript == NO_HASH
            else f"The ceremony before: give its folder with --previous ({header.previous_transcript})."
        )
    yield from _software(transcript, software)
    if end is not None and end.audit_checkpoint:
        yield "The audit checkpoint: give the audit log with --audit."
    yield from _files(folder, transcript)


def _unsigned(transcript: Transcript, signatures: Mapping[str, OfficerKey]) -> Iterator[str]:
    if not signatures:
        yield "Who wrote it: no witness has signed it, so whoever had the folder can have written or shortened all of it."
        return
    for one in transcript.header.participants:
        if one.is_witness and one.id not in signatures:
            yield f"What {one.id} saw ({one.role.replace('-', ' ')}): they have not signed it."


def _times(transcript: Transcript) -> Iterator[str]:
    for before, entry in zip(transcript.entries, transcript.entries[1:], strict=False):
        if entry.at < before.at:
            yield f"The clock went back by {before.at - entry.at} s before entry {entry.seq}."


def _software(transcript: Transcript, installed: Software | None) -> Iterator[str]:
    ran = [transcript.header.software]
    ran += [entry.software for entry in transcript.entries if isinstance(entry, Resumed)]
    for one in dict.fromkeys((one.version, one.sha256) for one in ran):
        if installed is None or one != (installed.version, installed.sha256):
            here = "" if installed is None else ", which is not what is installed here"
            yield (
                f"The software was {one[0]} ({one[1]}){here}:"
                " compare its hash with that of the release that was reviewed."
            )
    if len({one.sha256 for one in ran}) > 1:
        yield "The software was changed between interruption and resumption."


def _files(folder: Path, transcript: Transcript) -> Iterator[str]:
    artefacts = [one for outcome in transcript.outcomes.values() for one in outcome.artefacts]
    for one in artefacts:
        if one.elsewhere:
            yield f"The artefact {one.name} is kept elsewhere ({one.elsewhere}); its SHA-256 is {one.sha256}."
    known = {one.name for one in artefacts if not one.elsewhere}
    inside = folder / ARTEFACTS_NAME
    for path in sorted(inside.rglob("*")) if inside.is_dir() else ():
        name = path.relative_to(inside).as_posix()
        if path.is_file() and name not in known:
            yield f"The file {ARTEFACTS_NAME}/{name}: the transcript does not name it."
    own = {SCRIPT_NAME, TRANSCRIPT_NAME, ARTEFACTS_NAME, "printed"}
    for path in sorted(folder.iterdir()):
        if path.name not in own and not path.match(f"{TRANSCRIPT_NAME}.*.sig"):
            yield f"{path.name} in the folder: the transcript does not name it."
