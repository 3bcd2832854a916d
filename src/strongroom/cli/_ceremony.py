"""``strongroom ceremony``: scripts of key ceremonies, their transcripts and signatures. Running one is ``_ceremony_run``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from strongroom.cli._audit_logs import log_below
from strongroom.cli._ceremony_audit import check_audit
from strongroom.cli._ceremony_print import PRINTED, check_prints, print_ceremony, print_if_possible
from strongroom.cli._ceremony_run import rehearse, run
from strongroom.cli._output import Output, plain, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._signing_key import KeyChoice, key_options, opened_key

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.ceremony import Transcript

_PATH: Final = click.Path(path_type=Path)
_TYPES: Final = ("root-key", "backup", "recovery", "reshare", "officer-change", "root-ca", "member-join")


@click.group
def ceremony() -> None:
    """Key ceremonies: write a script, rehearse it, run it, sign and verify its transcript."""


ceremony.add_command(rehearse)
ceremony.add_command(run)


@ceremony.command
@click.option("--type", "kind", required=True, type=click.Choice(_TYPES), help="What the ceremony is for.")
@click.option("--output", "file", type=_PATH, metavar="FILE", help="Write it there; else it is printed.")
@reporting
def new(output: Output, *, kind: str, file: Path | None) -> None:
    """Write a complete script with comments, to be filled in. As it is it can be rehearsed."""
    from strongroom.ceremony import CeremonyType, example_script
    from strongroom.cli._officer_files import write_new

    script = example_script(CeremonyType(kind))
    if file is None:
        click.echo(script, nl=False)
        return
    write_new(file, script, mode=0o644)
    output.document({"script": str(file), "type": kind})
    output.say(
        f"Script:  {visible(str(file))}",
        "Fill it in and have it reviewed. Try it with made-up names, on throw-away tokens:",
        f"  strongroom ceremony rehearse {visible(str(file))} --folder rehearsal",
    )


@ceremony.command
@click.argument("folder", type=_PATH)
@key_options
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask: it was read already.")
@reporting
def sign(output: Output, *, folder: Path, is_sure: bool, **options: Any) -> None:
    """Sign the transcript of a ceremony, as one of its witnesses.

    FOLDER is that of the ceremony. The signature goes to transcript.jsonl.ID.sig in it, ID being yours; it is the one
    that ssh-keygen -Y sign -n ceremony@strongroom -f KEY transcript.jsonl makes.
    """
    from strongroom.ceremony import (
        read_transcript,
        read_transcript_file,
        sign_transcript,
        signature_name,
        witness_of,
    )
    from strongroom.cli._confirmation import confirm_read
    from strongroom.cli._officer_files import write_new
    from strongroom.client import require_free
    from strongroom.custody import describe_hash

    data = read_transcript_file(folder)
    transcript = read_transcript(data)
    _require_sound(folder)
    output.say(*_words_of(transcript), *describe_hash(transcript.sha256))
    if not is_sure:
        confirm_read(output, "Is this what you saw, and do you sign it?", "strongroom ceremony show")
    with opened_key(KeyChoice.taken_from(options)) as key:
        target = folder / signature_name(witness_of(transcript, key.public).id)
        require_free(target, overwrite=False)
        witness, signature = sign_transcript(data, transcript, key)
        write_new(target, signature, mode=0o644)
    output.document(
        {"signature_file": str(target), "witness": witness.id, "transcript_sha256": transcript.sha256}
    )
    output.say("", f"Signed by {visible(witness.name)}: {visible(str(target))}")
    if (folder / PRINTED).is_dir():
        output.say(*print_if_possible(folder))


@ceremony.command
@click.argument("folder", type=_PATH)
@click.option(
    "--previous", type=_PATH, metavar="FOLDER", help="The ceremony before: this one must name its transcript."
)
@click.option(
    "--audit", type=_PATH, metavar="PATH", help="The audit log (or home): it must hold what it held then."
)
@reporting
def verify(output: Output, *, folder: Path, previous: Path | None, audit: Path | None) -> None:
    """Verify a ceremony, offline: script, transcript, files and signatures. Says what it could not check.

    FOLDER is all that is needed. The first thing that is not as it should be is named, and ends the command with 1.
    """
    from strongroom import __version__
    from strongroom.ceremony import installed_software, verify_ceremony
    from strongroom.custody import describe_hash

    before = None if previous is None else transcript_hash(previous)
    installed = installed_software(__version__)
    verified = verify_ceremony(folder, software=installed, previous=before)
    transcript = verified.transcript
    is_same = transcript.header.software.sha256 == installed.sha256
    printed, unprinted = check_prints(folder, is_same_software=is_same)
    checked, unchecked = [*verified.checked, *printed], [*verified.unchecked, *unprinted]
    if audit is not None:
        checked.append(check_audit(log_below(audit), transcript))
        unchecked = [line for line in unchecked if not line.startswith("The audit checkpoint")]
    output.document(
        {
            "folder": str(folder),
            "ceremony": transcript.header.ceremony,
            "type": transcript.header.ceremony_type,
            "state": "" if transcript.end is None else transcript.end.state,
            "is_rehearsal": transcript.header.is_rehearsal,
            "transcript_sha256": transcript.sha256,
            "script_sha256": transcript.header.script_sha256,
            "signed_by": sorted(verified.signatures),
            "checked": checked,
            "unchecked": unchecked,
        }
    )
    output.say(*_words_of(transcript), *describe_hash(transcript.sha256), "", "Checked:")
    output.say(*(f"  {visible(line)}" for line in checked))
    output.say("", "Not checked, since nobody can offline, or from these files alone:")
    output.say(*(f"  {visible(line)}" for line in unchecked))


@ceremony.command("print")
@click.argument("folder", type=_PATH)
@reporting
def print_command(output: Output, *, folder: Path) -> None:
    """Make HTML and PDF of a transcript, to be printed and signed by hand, and the page that says what an auditor gets.

    They go to printed/ in FOLDER, in the place of those before. The page for an auditor is made when everything verifies.
    """
    made = [str(path) for path in print_ceremony(folder)]
    output.document({"files": made})
    output.say(*map(visible, made))


@ceremony.command
@click.argument("folder", type=_PATH)
@reporting
def show(output: Output, *, folder: Path) -> None:
    """Show a transcript in words, also of a ceremony that is not over. Verifies its chain, and no signature."""
    from strongroom.ceremony import (
        SCRIPT_NAME,
        read_script,
        read_transcript,
        read_transcript_file,
    )
    from strongroom.cli._ceremony_words import view_lines
    from strongroom.cli._officer_files import read_bounded
    from strongroom.wiring.ceremony_view import transcript_view

    transcript = read_transcript(read_transcript_file(folder))
    view = transcript_view(transcript, read_script(read_bounded(folder / SCRIPT_NAME, 1 << 20)))
    document = plain(view)
    del document["spoken"]  # for prints
    output.document(document)
    output.say(*view_lines(view))


@ceremony.command("list")
@click.argument("folder", type=_PATH)
@reporting
def list_ceremonies(output: Output, *, folder: Path) -> None:
    """List the ceremonies in the folders of FOLDER, in the order of time, and which follows which."""
    from strongroom.cli._ceremony_words import ceremonies_in

    found = ceremonies_in(folder)
    output.document({"ceremonies": found})
    output.table(
        ("folder", "type", "begun", "state", "transcript", "follows"),
        [
            (one["folder"], one["type"] + (" REHEARSAL" if one["is_rehearsal"] else ""), one["begun"], one["state"], one["transcript_sha256"][:16], one["follows"])
            for one in found
        ],
    )  # fmt: skip


def transcript_hash(folder: Path) -> str:
    """Return the hash of a transcript that is closed. Raises CeremonyError and OSError."""
    from strongroom.ceremony import TranscriptError, read_transcript, read_transcript_file

    transcript = read_transcript(read_transcript_file(folder))
    if transcript.end is None:
        raise TranscriptError(f"the ceremony in {folder} is not over, so nothing follows it yet")
    return transcript.sha256


def _require_sound(folder: Path) -> None:
    """Refuse to sign what does not verify; that signatures are missing is what signing is for."""
    from strongroom.ceremony import WitnessError, verify_ceremony

    try:
        verify_ceremony(folder)
    except WitnessError:
        return


def _words_of(transcript: "Transcript") -> list[str]:
    header, end = transcript.header, transcript.end
    rehearsal = "REHEARSAL: " if header.is_rehearsal else ""
    state = "not over" if end is None else end.state
    return [
        f"{rehearsal}{visible(header.title)} ({header.ceremony_type}), {state}, {len(transcript.entries)} entries"
    ]
