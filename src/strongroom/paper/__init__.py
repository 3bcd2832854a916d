"""What people print, sign and keep: HTML and PDF of transcripts, share sheets and reports, the same bytes each time.

Pure: data in, bytes out; no file, no clock, no network. Forms are frozen and hold texts that may be hostile. A share sheet is
secret: no ``repr`` shows a word of it, and what is rendered of it is a ``Secret``.

PDF is A4; ``fonts`` are TrueType files for letters that are not western or central European (see ``_typeface``). Only one thread
may print PDF at a time.

    >>> from strongroom.paper import LossReport, loss_pdf
    >>> report = LossReport(cluster="main", at="2026-11-22 14:05", proof_period_days=90, alarms=(), sets=())
    >>> loss_pdf(report) == loss_pdf(report)
    True
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
from strongroom.paper._pdf import made_with
from strongroom.paper._print import (
    auditor_html,
    auditor_pdf,
    backup_html,
    backup_pdf,
    loss_html,
    loss_pdf,
    transcript_html,
    transcript_pdf,
)
from strongroom.paper._share_sheet import share_sheet_html, share_sheet_pdf
from strongroom.paper._transcript_form import (
    PaperError,
    PrintedConfirmation,
    PrintedHash,
    PrintedNote,
    PrintedParticipant,
    PrintedSignature,
    PrintedStep,
    PrintedTranscript,
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
    "auditor_html",
    "auditor_pdf",
    "backup_html",
    "backup_pdf",
    "loss_html",
    "loss_pdf",
    "made_with",
    "share_sheet_html",
    "share_sheet_pdf",
    "transcript_html",
    "transcript_pdf",
]
