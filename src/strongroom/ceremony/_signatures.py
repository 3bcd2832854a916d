"""Detached signatures of the witnesses under a transcript, in the format of ``ssh-keygen -Y sign``.

They are over the bytes of ``transcript.jsonl``, for the namespace ``ceremony@strongroom``; that of the witness ID is the file
``transcript.jsonl.ID.sig``. By hand:

    ssh-keygen -Y sign -n ceremony@strongroom -f KEY transcript.jsonl
    ssh-keygen -Y verify -n ceremony@strongroom -f ALLOWED -I ID -s transcript.jsonl.ID.sig < transcript.jsonl
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from strongroom.ceremony._errors import WitnessError
from strongroom.ceremony._folder import read_file
from strongroom.ceremony._form import Participant
from strongroom.ceremony._journal import TRANSCRIPT_NAME
from strongroom.ceremony._talk import initials_given
from strongroom.ceremony._transcript import Transcript
from strongroom.custody import (
    MAX_SIGNATURE_BYTES,
    CustodyError,
    OfficerKey,
    OfficerSigner,
    armour,
    dearmour,
    verify_signature,
)

NAMESPACE_CEREMONY: Final = "ceremony@strongroom"
"""Of signatures under the transcript of a ceremony."""


def signature_name(witness: str) -> str:
    """Return the name of a witness's file."""
    return f"{TRANSCRIPT_NAME}.{witness}.sig"


def witness_of(transcript: Transcript, key: OfficerKey) -> Participant:
    """Return the witness whose key it is. Raises WitnessError when it is nobody's, or nobody's who was there and witnessed."""
    present = initials_given(transcript.entries)
    for one in transcript.header.participants:
        if one.key == key.line:
            if not one.is_witness:
                raise WitnessError(f"{one.id} takes part as {one.role}, and only witnesses sign")
            if present and one.id not in present:
                raise WitnessError(f"{one.id} did not attend, and has seen nothing to sign")
            return one
    raise WitnessError(f"the key {key.fingerprint} is no witness's of this ceremony")


def sign_transcript(data: bytes, transcript: Transcript, signer: OfficerSigner) -> tuple[Participant, bytes]:
    """Sign as a witness; return who it was, and the file. Raises WitnessError and OfficerKeyError.

    ``data`` are the bytes of which ``transcript`` was read. One that is not closed is not signed.
    """
    if transcript.end is None:
        raise WitnessError(
            "the ceremony is not over: its transcript may still grow",
            next_step="go on with it: strongroom ceremony run",
        )
    witness = witness_of(transcript, signer.public)
    return witness, armour(signer.sign(data, NAMESPACE_CEREMONY))


def read_signatures(folder: Path, data: bytes, transcript: Transcript) -> Mapping[str, OfficerKey]:
    """Verify every signature that lies beside a transcript; return the keys by witness.

    Raises WitnessError, which names the file, for the first that is malformed, over other bytes, by another key, or that has
    the name of somebody who is no witness; and OSError.
    """
    signed: dict[str, OfficerKey] = {}
    for path in sorted(folder.glob(f"{TRANSCRIPT_NAME}.*.sig")):
        try:
            blob = dearmour(read_file(path, 2 * MAX_SIGNATURE_BYTES))
            key = verify_signature(blob, data, NAMESPACE_CEREMONY)
            witness = witness_of(transcript, key)
        except (CustodyError, WitnessError) as error:
            raise WitnessError(f"{path.name}: {error.message}", next_step=error.next_step) from error
        if path.name != signature_name(witness.id):
            raise WitnessError(f"{path.name}: it is the signature of {witness.id}")
        signed[witness.id] = key
    return signed
