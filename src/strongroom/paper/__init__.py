"""What people print, sign and keep: HTML and PDF of transcripts, share sheets and reports, the same bytes each time.

Pure: data in, bytes out; no file, no clock, no network. Forms are frozen and hold texts that may be hostile. A share sheet is
secret: no ``repr`` shows a word of it, and what is rendered of it is a ``Secret``.

What is printed by which function (those that are not here yet follow):

* ``transcript_html(PrintedTranscript) -> bytes``, ``transcript_pdf(PrintedTranscript, fonts=...) -> bytes``
* ``share_sheet_html(ShareSheet) -> Secret``, ``share_sheet_pdf(ShareSheet, fonts=...) -> Secret``
* ``auditor_html``, ``auditor_pdf`` of an ``AuditorPage``; ``loss_html``, ``loss_pdf`` of a ``LossReport``; ``backup_html``,
  ``backup_pdf`` of a ``BackupPage``
"""

from strongroom.paper._forms import (
    AuditedFile,
    AuditorPage,
    BackedUpKey,
    BackupPage,
    LossCustodian,
    LossLocation,
    LossReport,
    LossSet,
    ShareSheet,
)
from strongroom.paper._transcript_form import (
    PaperError,
    PrintedConfirmation,
    PrintedHash,
    PrintedNote,
    PrintedParticipant,
    PrintedSignature,
    PrintedStep,
    PrintedTranscript,
    read_view,
)

__all__ = [
    "AuditedFile",
    "AuditorPage",
    "BackedUpKey",
    "BackupPage",
    "LossCustodian",
    "LossLocation",
    "LossReport",
    "LossSet",
    "PaperError",
    "PrintedConfirmation",
    "PrintedHash",
    "PrintedNote",
    "PrintedParticipant",
    "PrintedSignature",
    "PrintedStep",
    "PrintedTranscript",
    "ShareSheet",
    "read_view",
]
