"""``strongroom share prove --challenge-file``: the answer to a challenge of a service, as a file to be sent back."""

from pathlib import Path

from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import read_bounded, write_new
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._share_source import ShareSource, held_share
from strongroom.client import require_free


def answer_file(output: Output, file: Path, source: ShareSource, target: Path | None) -> None:
    """Answer the challenge in a file with a share of its set, and write the proof.

    Raises CliError, CustodianDocumentError, ShareError and its kin, OutputExistsError and OSError.
    """
    from strongroom.wiring.custodian_documents import (
        MAX_DOCUMENT_BYTES,
        Challenge,
        answer_challenge,
        read_custodian_document,
        write_custodian_document,
    )

    data = read_bounded(file, MAX_DOCUMENT_BYTES)
    asked = read_custodian_document(data, Challenge)
    place = target or file.with_name(f"{asked.custodian}.proof")
    require_free(place, overwrite=False)
    output.say(
        f"{visible(asked.name)} ({asked.custodian}) is asked for share {asked.share} of the backup set {asked.set},",
        f"until {shown_time(asked.until)}.",
    )
    if source.set_id not in {None, asked.set}:
        raise CliError(f"the challenge is about the set {asked.set}")
    held = held_share(source._replace(set_id=asked.set))
    write_new(place, write_custodian_document(answer_challenge(data, held.share)), mode=0o644)
    output.document({"custodian": asked.custodian, "file": str(place)})
    output.say("", f"Proof: {visible(str(place))}. Send it back; it tells nothing of the share.")
