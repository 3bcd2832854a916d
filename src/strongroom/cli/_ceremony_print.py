"""What is printed of a ceremony: its transcript, and the page that says what an auditor gets.

The same transcript and signatures give the same bytes, so ``verify`` makes them anew and compares.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strongroom.core import StrongroomError

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.ceremony import VerifiedCeremony
    from strongroom.paper import AuditedFile, PrintedTranscript

PRINTED: Final = "printed"
_WHAT: Final = {
    "script.yaml": "the script, as it was reviewed",
    "transcript.jsonl": "the transcript, one JSON object on each line",
}


def print_ceremony(folder: Path) -> list[Path]:
    """Make the prints of a ceremony that is over, in the place of those before; return their files.

    Raises CeremonyError, PaperError and OSError.
    """
    target = folder / PRINTED
    target.mkdir(mode=0o700, exist_ok=True)
    made = prints_of(folder)
    for name, content in made.items():
        draft = target / f".{name}.new"
        draft.write_bytes(content)
        draft.replace(target / name)
    for path in target.iterdir():
        if path.name not in made:
            path.unlink()  # of a state that is no more
    return sorted(target / name for name in made)


def prints_of(folder: Path) -> dict[str, bytes]:
    """Return what is printed, by name; the page for an auditor when everything verifies, signatures too."""
    from strongroom.ceremony import (
        SCRIPT_NAME,
        TranscriptError,
        WitnessError,
        read_script,
        read_signatures,
        read_transcript,
        read_transcript_file,
        verify_ceremony,
    )
    from strongroom.cli._officer_files import read_bounded
    from strongroom.paper import transcript_html, transcript_pdf
    from strongroom.wiring.ceremony_view import transcript_view
    from strongroom.wiring.printing_fonts import printing_fonts

    data = read_transcript_file(folder)
    transcript = read_transcript(data)
    if transcript.end is None:
        raise TranscriptError(
            "the ceremony is not over: what is printed now would not be what witnesses sign"
        )
    script = read_script(read_bounded(folder / SCRIPT_NAME, 1 << 20))
    view = transcript_view(transcript, script, read_signatures(folder, data, transcript))
    fonts = printing_fonts()
    made = {
        "transcript.html": transcript_html(view),
        "transcript.pdf": transcript_pdf(view, fonts),
    }
    try:
        return made | _auditor_pages(folder, verify_ceremony(folder), view, fonts)
    except WitnessError:
        return made


def check_prints(folder: Path, *, is_same_software: bool) -> tuple[list[str], list[str]]:
    """Compare the prints with what would be printed now; return what was checked and what was not, as sentences.

    Raises NotDoneError, which names the file, for one that is otherwise though the software is the same.
    """
    from strongroom.cli._errors import NotDoneError
    from strongroom.paper import made_with

    target = folder / PRINTED
    found = sorted(path for path in target.iterdir() if path.is_file()) if target.is_dir() else []
    if not found:
        return [], []
    if not is_same_software:
        return [], [f"The prints in {PRINTED}/: other software made them. What counts is the transcript."]
    made, unlike = prints_of(folder), []
    for path in found:
        content, wanted = path.read_bytes(), made.get(path.name, b"")
        if path.suffix == ".pdf" and content != wanted and made_with(content) not in {"", made_with(wanted)}:
            unlike.append(
                f"The print {PRINTED}/{path.name}: it says that it was made with {made_with(content)}, and that is not what is here. It was not compared: print it anew."
            )
        elif content != wanted:
            raise NotDoneError(
                f"the print {PRINTED}/{path.name} is not what this transcript and these signatures give",
                next_step="it was changed, or a signature came later: strongroom ceremony print makes it anew",
            )
    return [f"{len(found) - len(unlike)} prints are what the transcript gives"], unlike


def _auditor_pages(
    folder: Path, verified: "VerifiedCeremony", view: "PrintedTranscript", fonts: tuple[bytes, ...]
) -> dict[str, bytes]:
    from strongroom.ceremony import NAMESPACE_CEREMONY
    from strongroom.paper import AuditorPage, auditor_html, auditor_pdf

    page = AuditorPage(
        title=view.title,
        type=view.type,
        ceremony=view.ceremony,
        is_rehearsal=view.is_rehearsal,
        state=view.state,
        ended=view.ended,
        script_hash=view.script_hash,
        transcript_hash=view.transcript_hash,
        files=tuple(_files(folder, verified)),
        commands=(
            "strongroom ceremony verify FOLDER",
            "sha256sum script.yaml transcript.jsonl artefacts/*",
            f"ssh-keygen -Y verify -n {NAMESPACE_CEREMONY} -f KEYS -I ID -s transcript.jsonl.ID.sig < transcript.jsonl",
        ),
        checked=verified.checked,
        unchecked=verified.unchecked,
    )
    return {"auditor.html": auditor_html(page), "auditor.pdf": auditor_pdf(page, fonts)}


def _files(folder: Path, verified: "VerifiedCeremony") -> list["AuditedFile"]:
    from strongroom.ceremony import signature_name
    from strongroom.paper import AuditedFile

    names = dict(_WHAT)
    names |= {
        signature_name(who): f"the signature of {who} under the transcript" for who in verified.signatures
    }
    artefacts = [one for outcome in verified.transcript.outcomes.values() for one in outcome.artefacts]
    names |= {f"artefacts/{one.name}": "made in the ceremony" for one in artefacts if not one.elsewhere}
    return [AuditedFile(name=name, sha256=_sha256(folder / name), what=what) for name, what in names.items()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def print_if_possible(folder: Path) -> list[str]:
    """Make the prints; return why not, as a sentence, where it cannot be done: a ceremony is no less over for that."""
    try:
        print_ceremony(folder)
    except (StrongroomError, OSError) as error:
        return [f"The prints were not made: {error}"]
    return []
