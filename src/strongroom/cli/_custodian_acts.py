"""``strongroom custodians challenge``, ``record-proof``, ``duty``, ``sign``, ``acknowledge``, ``left``, ``destroyed``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from strongroom.cli._endpoint import complete_home
from strongroom.cli._errors import CliError, NotDoneError
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._signing_key import KeyChoice, key_options, opened_key

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.wiring.custodian_documents import Duty
    from strongroom.wiring.custodian_door import CustodianAnswer, CustodianRequest

_PATH: Final = click.Path(path_type=Path)
_LIMIT_S: Final = 60.0


@click.command
@click.argument("custodian", metavar="[ID]", required=False, default="")
@click.option("--output-dir", type=_PATH, metavar="DIR", default=Path(), help="Where the files go; here if left out.")  # fmt: skip
@reporting
def challenge(output: Output, *, custodian: str, output_dir: Path) -> None:
    """Ask custodians to show that they still have their shares: one of them, or all that hold one.

    Writes a file ID.challenge for each, to be sent to them in any way: it is no secret. They answer it on a machine of their own with
    'strongroom share prove --challenge-file', within 30 days. A challenge that waits already is written again.
    """
    from strongroom.client import require_free
    from strongroom.wiring.custodian_door import CustodianRequest

    answer = _asked(CustodianRequest("challenge", custodian=custodian))
    targets = [output_dir / f"{one.custodian}.challenge" for one in answer.challenges]
    for target, one in zip(targets, answer.challenges, strict=True):
        if target.is_file() and target.read_bytes() == one.document:
            continue
        require_free(target, overwrite=False)
        _write(target, one.document)
    output.document(
        [
            {"custodian": one.custodian, "file": str(target), "until": one.until}
            for target, one in zip(targets, answer.challenges, strict=True)
        ]
    )
    output.table(
        ["CUSTODIAN", "NAME", "ANSWER BY", "FILE"],
        [
            [one.custodian, one.name, shown_time(one.until), str(target)]
            for target, one in zip(targets, answer.challenges, strict=True)
        ],
    )
    output.say("", "Each of them answers with: strongroom share prove --challenge-file FILE")


@click.command("record-proof")
@click.argument("file", type=_PATH)
@reporting
def record_proof(output: Output, *, file: Path) -> None:
    """Take in what a custodian answered to their challenge. FILE is what 'strongroom share prove' wrote."""
    from strongroom.cli._officer_files import read_bounded
    from strongroom.wiring.custodian_documents import MAX_DOCUMENT_BYTES
    from strongroom.wiring.custodian_door import CustodianRequest

    answer = _asked(CustodianRequest("record-proof", document=read_bounded(file, MAX_DOCUMENT_BYTES)))
    output.document({"custodian": answer.custodian})
    output.say(f"{visible(answer.custodian)} has shown that they have their share.")


@click.command
@click.argument("custodian", metavar="ID")
@click.option("--output", "file", type=_PATH, metavar="FILE", help="Write what is to be signed to this file.")
@reporting
def duty(output: Output, *, custodian: str, file: Path | None) -> None:
    """Show what a custodian takes on, and write it to a file for them to sign. Works without the service.

    They sign the file with 'strongroom custodians sign', or with: ssh-keygen -Y sign -n custodian@strongroom -f KEY FILE. On paper they
    sign these words.
    """
    from strongroom.wiring.custodian_documents import write_custodian_document
    from strongroom.wiring.custodian_duty import duty_in_words

    found = _duty_of(custodian)
    if file is not None:
        _write(file, write_custodian_document(found))
    output.document({"duty": found, "file": None if file is None else str(file)})
    output.say(*map(visible, duty_in_words(found)))
    if file is None:
        output.say("", "Date, place, name, signature: ______________________________________________")
    else:
        output.say("", f"To be signed: {visible(str(file))}")


@click.command
@click.argument("file", type=_PATH)
@key_options
@click.option("--output", "signature_file", type=_PATH, metavar="FILE", help="Where the signature goes, instead of FILE.sig.")  # fmt: skip
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask: the duties were read already.")
@reporting
def sign(output: Output, *, file: Path, signature_file: Path | None, is_sure: bool, **options: Any) -> None:
    """Take on the duties of a custodian: show them, and sign them with your key. FILE is what 'custodians duty' wrote.

    Works on your own machine, without a home and a service.
    """
    from strongroom.cli._confirmation import confirm_read
    from strongroom.cli._officer_files import read_bounded
    from strongroom.client import require_free
    from strongroom.custody import armour
    from strongroom.wiring.custodian_documents import (
        MAX_DOCUMENT_BYTES,
        NAMESPACE_CUSTODIAN,
        Duty,
        read_custodian_document,
    )
    from strongroom.wiring.custodian_duty import duty_in_words

    data = read_bounded(file, MAX_DOCUMENT_BYTES)
    target = signature_file or file.with_name(f"{file.name}.sig")
    require_free(target, overwrite=False)
    output.say(*map(visible, duty_in_words(read_custodian_document(data, Duty))))
    if not is_sure:
        confirm_read(output, "Sign this?", "strongroom custodians sign")
    with opened_key(KeyChoice.taken_from(options)) as key:
        _write(target, armour(key.sign(data, NAMESPACE_CUSTODIAN)))
        fingerprint = key.public.fingerprint
    output.document({"signature_file": str(target), "fingerprint": fingerprint})
    output.say("", f"Signed with {fingerprint}: {visible(str(target))}")


@click.command
@click.argument("custodian", metavar="ID")
@click.option("--signature", type=_PATH, metavar="FILE", help="Their signature of what 'custodians duty' wrote.")  # fmt: skip
@click.option("--on-paper", is_flag=True, help="They signed the words on paper.")
@click.option("--seen-by", default="", metavar="TEXT", help="On paper: who saw it and has the sheet.")
@reporting
def acknowledge(output: Output, *, custodian: str, signature: Path | None, on_paper: bool, seen_by: str) -> None:  # fmt: skip
    """Take in that a custodian has acknowledged their duty: their signature, or that somebody saw them sign on paper."""
    from strongroom.cli._officer_files import read_bounded
    from strongroom.custody import MAX_SIGNATURE_BYTES, dearmour
    from strongroom.wiring.custodian_door import CustodianRequest

    if (signature is None) is not on_paper or on_paper is not bool(seen_by):
        raise click.UsageError("give either --signature FILE, or --on-paper with --seen-by TEXT")
    blob = b"" if signature is None else dearmour(read_bounded(signature, 2 * MAX_SIGNATURE_BYTES))
    answer = _asked(CustodianRequest("acknowledge", custodian=custodian, document=blob, words=seen_by))
    output.document({"custodian": custodian, "key": answer.key, "is_officer_key": answer.is_officer_key})
    if not answer.key:
        output.say(f"{visible(custodian)} has acknowledged their duty on paper, as {visible(seen_by)} saw.")
        return
    output.say(f"{visible(custodian)} has acknowledged their duty, with {answer.key}.")
    if not answer.is_officer_key:
        output.say("That this key is theirs nobody has proved here: compare the fingerprint with them.")


@click.command
@click.argument("custodian", metavar="ID")
@click.option("--because", required=True, metavar="TEXT", help="Why: they left, the share is lost, somebody saw it.")  # fmt: skip
@reporting
def left(output: Output, *, custodian: str, because: str) -> None:
    """Count on a custodian no longer: they left, or their share is lost. For good; a share is replaced by a new set only."""
    from strongroom.wiring.custodian_door import CustodianRequest

    _asked(CustodianRequest("left", custodian=custodian, words=because))
    output.document({"custodian": custodian})
    output.say(
        f"{visible(custodian)} is counted on no longer. What can still be lost: strongroom custodians report"
    )


@click.command
@click.argument("backup", metavar="BACKUP")
@click.option("--seen-by", required=True, metavar="TEXT", help="Who saw that every copy was destroyed.")
@reporting
def destroyed(output: Output, *, backup: str, seen_by: str) -> None:
    """Note that every copy of a backup was destroyed. BACKUP is its id, or its first digits (8 at least).

    Nothing is deleted by this command, and it is refused while the file is where it was written.
    """
    from strongroom.wiring.custodian_door import CustodianRequest

    answer = _asked(CustodianRequest("destroyed", backup_id=backup, words=seen_by))
    output.document({"backup": answer.backup_id})
    output.say(
        f"Noted: every copy of backup {visible(answer.backup_id)} is destroyed, as {visible(seen_by)} saw."
    )


ACTS: Final[tuple[Any, ...]] = (challenge, record_proof, duty, sign, acknowledge, left, destroyed)


def _asked(request: "CustodianRequest") -> "CustodianAnswer":
    """Ask the service of the home. Raises NotDoneError with what main says, and NotReadyError when it does not answer."""
    from strongroom.cli._main_door import answer_of
    from strongroom.wiring.custodian_door import ask_custodians

    answer = answer_of(ask_custodians(complete_home(), request, timeout_s=_LIMIT_S))
    if answer.failure is not None:
        raise NotDoneError(answer.failure.message, next_step=answer.failure.next_step)
    return answer


def _duty_of(custodian: str) -> "Duty":
    from strongroom.storage import ReadOnlyStore
    from strongroom.wiring.custodian_sets import active_set, duty_for

    with ReadOnlyStore.open(complete_home().database) as store:
        found = active_set(store)
    holder = None if found is None else found.holder(custodian)
    if found is None or holder is None:
        raise CliError(
            f"no custodian {custodian} holds a share of the backup set in use",
            next_step="see: strongroom custodians list",
        )
    return duty_for(found, holder)


def _write(path: Path, data: bytes) -> None:
    from strongroom.cli._officer_files import write_new

    write_new(path, data, mode=0o644)
