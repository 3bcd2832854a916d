"""A share on one sheet of paper: words that are read at arm's length, the same words as a QR code, and what to do with it.

Secret. What is returned is a ``Secret``; copies that were made on the way (by reportlab, segno and Jinja) stay in memory until
Python uses it again, so sheets are made in a locked process that ends soon after.
"""

from collections.abc import Sequence
from typing import Final

import segno

from strongroom.core import Secret
from strongroom.paper._blocks import (
    Block,
    Bullets,
    Cell,
    Document,
    FactRow,
    FactTable,
    Paragraph,
    QrCode,
    Table,
    WordGrid,
)
from strongroom.paper._flow import LEFT, WIDTH, Flow
from strongroom.paper._forms import ShareSheet
from strongroom.paper._html import document_html
from strongroom.paper._pdf import NUMBERS_NOTE, draw
from strongroom.paper._transcript_form import PaperError
from strongroom.paper._typeface import Line, Typeface

WORD_SIZE: Final = 16.0
MAX_WORDS: Final = 33
_COLUMNS: Final = 3
_ROW: Final = 24.0
_QUIET: Final = 4
_QR_SIZE: Final = 186.0
_FACT_LINES: Final = 2
_SUBTITLE: Final = "Share sheet of a backup set (SLIP-39)"

_INSTRUCTIONS: Final = (
    "Nobody but you may see this sheet: no photograph, no copy, no other computer than the one of the ceremony.",
    "Compare every word with the screen, then prove the copy when you are asked.",
    "Put it into its tamper-evident bag. Write the number of the bag here and have it written into the transcript.",
    "Sign, and close the bag.",
    "Keep it in the place that is named above, apart from all other shares.",
    "Say at once if it is lost, if somebody saw it, or if you leave.",
)


def share_sheet_html(sheet: ShareSheet) -> Secret:
    """Return a share as HTML. Raises PaperError: it is no share that fits a sheet."""
    _check(sheet)
    return Secret(document_html(_document(sheet)))


def share_sheet_pdf(sheet: ShareSheet, fonts: Sequence[bytes] = ()) -> Secret:
    """Return a share as PDF: one page, and a second one only for names that the first has no room for (no word of the share).

    Raises PaperError: it is no share that fits a sheet.
    """
    _check(sheet)
    typeface = Typeface(fonts)
    flow = Flow(typeface)
    more = _facts(flow, sheet)
    _words(flow, sheet.words)
    _code_and_instructions(flow, sheet)
    _lines_to_sign(flow)
    if len(flow.pages) > 1:
        raise PaperError("the share does not fit its sheet")
    if more:
        flow.break_page()
        flow.text("Names that page 1 has no room for", 13, is_bold=True)
        flow.put(FactTable(tuple(more)))
        flow.put(Paragraph(NUMBERS_NOTE, "small"))
    return Secret(
        draw(
            flow.pages,
            head=_head(sheet),
            foot=_foot(sheet),
            is_rehearsal=sheet.is_rehearsal,
            typeface=typeface,
        )
    )


def _check(sheet: ShareSheet) -> None:
    """Nothing that is raised here shows a word."""
    if not 1 <= len(sheet.words) <= MAX_WORDS:
        raise PaperError(f"a share sheet has room for {MAX_WORDS} words, not for {len(sheet.words)}")
    for place, word in enumerate(sheet.words, 1):
        if not (word.isascii() and word.isalpha() and word.islower() and len(word) <= 8):
            raise PaperError(f"word {place} is no word of SLIP-39")
    if not 1 <= sheet.share_number <= sheet.count or not 1 <= sheet.threshold <= sheet.count:
        raise PaperError("the share is not one of its set")


def qr_code(words: Sequence[str]) -> QrCode:
    """Return the words, with spaces between, as a QR code that survives a scratch (15 %)."""
    matrix = segno.make(" ".join(words), error="m", micro=False, boost_error=False).matrix
    dark: list[tuple[int, int, int]] = []
    for row, modules in enumerate(matrix):
        start = None
        for column, module in enumerate([*modules, 0]):
            if module and start is None:
                start = column
            elif not module and start is not None:
                dark.append((row + _QUIET, start + _QUIET, column - start))
                start = None
    return QrCode(len(matrix) + 2 * _QUIET, tuple(dark))


def _title(sheet: ShareSheet) -> str:
    return f"Share {sheet.share_number} of {sheet.count}"


def _secrecy(sheet: ShareSheet) -> str:
    return f"SECRET. Any {sheet.threshold} of the {sheet.count} shares of this set open the backups that were made with it."


def _head(sheet: ShareSheet) -> str:
    return f"Share sheet · {_title(sheet)} · set {sheet.set_id}"


def _foot(sheet: ShareSheet) -> tuple[str, ...]:
    return (f"{_title(sheet)}, set {sheet.set_id}. One sheet, one share, one custodian.",)


def _rows(sheet: ShareSheet) -> list[FactRow]:
    return [
        FactRow("Custodian", sheet.custodian),
        FactRow("Keep it at", sheet.location or "(nothing was said)"),
        *([FactRow("Belongs to", sheet.organisation)] if sheet.organisation else []),
        FactRow("Backup set", f"{sheet.set_id} · SLIP-39 identifier {sheet.slip39_identifier}"),
        FactRow("Ceremony, date", f"{sheet.ceremony or 'none'} · {sheet.made_at} UTC"),
    ]


def _document(sheet: ShareSheet) -> Document:
    blocks: tuple[Block, ...] = (
        Paragraph(_secrecy(sheet), "strong"),
        FactTable(tuple(_rows(sheet))),
        WordGrid(sheet.words),
        QrCode(*qr_code(sheet.words)),
        Bullets(_INSTRUCTIONS),
        Table(
            ("Bag or seal number", "Custodian's signature", "Witness", "Date"),
            (28, 34, 24, 14),
            ((Cell(),) * 4,),
            is_signed=True,
        ),
    )
    return Document("Share sheet", _title(sheet), _SUBTITLE, f"{_title(sheet)} · set {sheet.set_id}", _foot(sheet), sheet.is_rehearsal, blocks)  # fmt: skip


def _facts(flow: Flow, sheet: ShareSheet) -> list[FactRow]:
    """Put who and what it is; return what had no room and goes to page 2, whole."""
    flow.text(_title(sheet), 24, is_bold=True)
    flow.text(_secrecy(sheet), 10, is_bold=True)
    flow.space(6)
    more: list[FactRow] = []
    for label, value, _, _ in _rows(sheet):
        lines = flow.typeface.lines(value, 11, WIDTH - 100)
        if len(lines) > _FACT_LINES:
            more.append(FactRow(label, value))
            lines = [
                *flow.typeface.lines(value, 11, WIDTH - 220)[:1],
                *flow.typeface.lines("… goes on: whole on page 2", 11, WIDTH),
            ]
        _fact(flow, label, lines)
    return more


def _fact(flow: Flow, label: str, lines: list[Line]) -> None:
    flow.put_line(flow.typeface.lines(label, 8, 96)[0], 8, LEFT, flow.y - 12)
    for line in lines:
        flow.y -= 14
        flow.put_line(line, 11, LEFT + 100, flow.y + 2)
    flow.bar(LEFT, flow.y - 2, WIDTH, 0.3, 0.6)
    flow.y -= 4


def _words(flow: Flow, words: Sequence[str]) -> None:
    """Words go down the columns, with a line below every one."""
    rows = -(-len(words) // _COLUMNS)
    column = WIDTH / _COLUMNS
    flow.y -= 8
    for place, word in enumerate(words):
        x = LEFT + column * (place // rows)
        y = flow.y - _ROW * (place % rows + 1) + 7
        number = flow.typeface.lines(str(place + 1), 9, 30)[0]
        flow.put_line(number, 9, x + 18 - flow.typeface.width(number, 9), y, grey=0.3)
        flow.put_line(flow.typeface.lines(word, WORD_SIZE, column, is_bold=False)[0], WORD_SIZE, x + 26, y)
        flow.bar(x, y - 6, column - 10, 0.3, 0.6)
    flow.y -= _ROW * rows + 6


def _code_and_instructions(flow: Flow, sheet: ShareSheet) -> None:
    code = qr_code(sheet.words)
    module = _QR_SIZE / code.size
    top = flow.y
    flow.bar(LEFT, top - _QR_SIZE, _QR_SIZE, _QR_SIZE, grey=1)  # no watermark behind it
    for row, column, length in code.dark:
        flow.bar(LEFT + column * module, top - (row + 1) * module, length * module, module)
    x = LEFT + _QR_SIZE + 10
    flow.y -= 6
    for text in _INSTRUCTIONS:
        flow.text(text, 8.5, x=x, width=LEFT + WIDTH - x)
        flow.y -= 4
    flow.y = min(flow.y, top - _QR_SIZE)


def _lines_to_sign(flow: Flow) -> None:
    for labels in (("Bag or seal number", "Date"), ("Custodian's signature", "Witness")):
        flow.y -= 26
        if flow.room < 12:
            raise PaperError("the share does not fit its sheet")
        for at, label in enumerate(labels):
            x = LEFT + at * (WIDTH * 0.58)
            flow.bar(x, flow.y, WIDTH * (0.54 if at == 0 else 0.42), 0.6)
            flow.put_line(flow.typeface.lines(label, 7.5, 200)[0], 7.5, x, flow.y - 9)
        flow.y -= 6
