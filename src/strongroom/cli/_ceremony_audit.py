"""The audit checkpoint of a transcript beside the audit log: the log still begins with what it held then."""

from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.cli._errors import NotDoneError

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.ceremony import Transcript


def check_audit(directory: Path, transcript: "Transcript") -> str:
    """Compare every writer's chain with the checkpoint; return what was checked, as a sentence.

    Raises NotDoneError for a checkpoint that says nothing or another chain, AuditCorruptError and OSError.
    """
    from strongroom.audit import chain_after

    end = transcript.end
    writers = end.audit_checkpoint.get("writers") if end is not None else None
    if not isinstance(writers, dict) or not writers:
        raise NotDoneError(
            "the transcript has no audit checkpoint: there was no audit log, or it did not verify"
        )
    for writer, told in sorted(writers.items()):
        entries, chain = (told.get("entries"), told.get("chain")) if isinstance(told, dict) else (None, None)
        if not isinstance(entries, int) or not isinstance(chain, str):
            raise NotDoneError(f"the audit checkpoint of {writer} is none")
        if chain_after(directory, writer, entries).hex() != chain:
            raise NotDoneError(
                f"the audit log of {writer} is not the one of the ceremony: its first {entries} entries are others",
                next_step="strongroom audit verify; compare with a copy of the log that was kept elsewhere",
            )
    return f"The audit log begins with what it held at the end of the ceremony ({len(writers)} writers)"
