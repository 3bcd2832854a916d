"""The doors of this room: what is printed as HTML and as PDF."""

from collections.abc import Sequence

from strongroom.paper._forms import AuditorPage, BackupPage, LossReport
from strongroom.paper._html import document_html
from strongroom.paper._pdf import document_pdf
from strongroom.paper._reports import auditor_document, backup_document, loss_document
from strongroom.paper._transcript import transcript_document
from strongroom.paper._transcript_form import PrintedTranscript


def transcript_html(transcript: PrintedTranscript) -> bytes:
    """Return a transcript as HTML in UTF-8, one file."""
    return document_html(transcript_document(transcript))


def transcript_pdf(transcript: PrintedTranscript, fonts: Sequence[bytes] = ()) -> bytes:
    """Return a transcript as PDF, A4, to print and sign. Raises PaperError: too many pages, or a font is none."""
    return document_pdf(transcript_document(transcript), fonts)


def auditor_html(page: AuditorPage) -> bytes:
    """Return the page for an auditor as HTML in UTF-8, one file."""
    return document_html(auditor_document(page))


def auditor_pdf(page: AuditorPage, fonts: Sequence[bytes] = ()) -> bytes:
    """Return the page for an auditor as PDF, A4. Raises PaperError."""
    return document_pdf(auditor_document(page), fonts)


def loss_html(report: LossReport) -> bytes:
    """Return the loss report as HTML in UTF-8, one file."""
    return document_html(loss_document(report))


def loss_pdf(report: LossReport, fonts: Sequence[bytes] = ()) -> bytes:
    """Return the loss report as PDF, A4. Raises PaperError."""
    return document_pdf(loss_document(report), fonts)


def backup_html(page: BackupPage) -> bytes:
    """Return the manifest of a backup as HTML in UTF-8, one file."""
    return document_html(backup_document(page))


def backup_pdf(page: BackupPage, fonts: Sequence[bytes] = ()) -> bytes:
    """Return the manifest of a backup as PDF, A4. Raises PaperError."""
    return document_pdf(backup_document(page), fonts)
