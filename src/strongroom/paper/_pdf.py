"""Pages of marks become PDF, with the head and foot of each page and the watermark of a rehearsal: the same bytes each time."""

import re
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Final

import reportlab
from reportlab.pdfgen.canvas import Canvas

from strongroom.paper._blocks import Document, Paragraph
from strongroom.paper._flow import LEFT, PAGE_HEIGHT, PAGE_WIDTH, SMALL, WIDTH, Bar, Flow, Letters, Mark
from strongroom.paper._transcript_form import PaperError
from strongroom.paper._typeface import Typeface, short_names

_FOOT_SIZE: Final = 7.0
_COMPACT: Final = 0.84
REHEARSAL: Final = "REHEARSAL"
REHEARSAL_LINE: Final = "REHEARSAL: made-up names, keys that are thrown away. This proves nothing."
NUMBERS_NOTE: Final = (
    "Characters that this print has no letters for, and those that have no shape, are shown by their Unicode numbers: U+ and the "
    "numbers, in angle quotation marks. The letters are in the HTML of this document, and in the file that it was made of."
)


def document_pdf(document: Document, fonts: Sequence[bytes] = ()) -> bytes:
    """Return a document as PDF, A4. Raises PaperError: a font is none, or it would be too many pages."""
    typeface = Typeface(fonts)
    scale = _COMPACT if document.is_compact else 1.0
    flow = Flow(typeface, scale=scale)
    flow.text(document.title, 17 * scale, is_bold=True)
    flow.text(document.subtitle, 10.5 * scale)
    flow.space(6)
    for block in document.blocks:
        flow.put(block)
    if typeface.has_numbers:
        flow.put(Paragraph(NUMBERS_NOTE, "small"))
    head = f"{document.kind} · {document.running}"
    return draw(
        flow.pages, head=head, foot=document.footer, is_rehearsal=document.is_rehearsal, typeface=typeface
    )


def draw(
    pages: Sequence[Sequence[Mark]], *, head: str, foot: Sequence[str], is_rehearsal: bool, typeface: Typeface
) -> bytes:
    """Return pages as PDF. ``head`` and ``foot`` stand on each of them, and its number. Raises PaperError: they do not fit."""
    out = BytesIO()
    canvas = Canvas(
        out,
        pagesize=(PAGE_WIDTH, PAGE_HEIGHT),
        invariant=1,
        pageCompression=1,
        lang="en",
        # reportlab's own choice is a font that the file would not bring along. (The stubs take this for a number.)
        initialFontName="StrongroomVera",  # type: ignore[arg-type]
    )
    canvas.setTitle(head)
    canvas.setCreator("Strongroom")
    canvas.setAuthor("Strongroom")
    canvas.setProducer(_producer(pages))
    for number, page in enumerate(pages, 1):
        if is_rehearsal:
            _watermark(canvas)
        frame = Flow(typeface)
        _head(frame, head, is_rehearsal=is_rehearsal)
        _foot(frame, foot, f"Page {number} of {len(pages)}")
        for mark in [*frame.pages[0], *page]:
            _put(canvas, mark)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def made_with(pdf: bytes) -> str:
    """Return with which libraries, and with which fonts of its machine, a PDF of ours says that it was made; empty: it says nothing.

    With the same of them the same data gives the same bytes. Whoever changes a PDF can change this too.
    """
    found = re.search(rb"/Producer \(Strongroom with ([a-z0-9., ]{1,300})\)", pdf)
    return "" if found is None else found[1].decode("ascii")


def _producer(pages: Sequence[Sequence[Mark]]) -> str:
    fonts = {mark.run.font for page in pages for mark in page if isinstance(mark, Letters)}
    others = "".join(f", font {name}" for name in sorted(short_names(fonts)))
    return f"Strongroom with reportlab {reportlab.__version__}, zlib {zlib.ZLIB_RUNTIME_VERSION}{others}"


def _watermark(canvas: Canvas) -> None:
    canvas.saveState()
    canvas.setFillGray(0.88)
    canvas.translate(PAGE_WIDTH / 2, PAGE_HEIGHT / 2)
    canvas.rotate(54)
    canvas.setFont("StrongroomVeraBold", 104)
    canvas.drawCentredString(0, -36, REHEARSAL)
    canvas.restoreState()


def _head(frame: Flow, head: str, *, is_rehearsal: bool) -> None:
    lines = frame.typeface.lines(head, SMALL, WIDTH)
    if len(lines) > 1:
        raise PaperError("the head of the page is longer than a line")
    frame.put_line(lines[0], SMALL, LEFT, PAGE_HEIGHT - 34)
    if is_rehearsal:
        for line in frame.typeface.lines(REHEARSAL_LINE, SMALL, WIDTH, is_bold=True):
            frame.put_line(line, SMALL, LEFT, PAGE_HEIGHT - 46)
    frame.bar(LEFT, PAGE_HEIGHT - 51, WIDTH, 0.6)


def _foot(frame: Flow, foot: Sequence[str], number: str) -> None:
    frame.bar(LEFT, 56, WIDTH, 0.6)
    count = frame.typeface.lines(number, SMALL, WIDTH, is_bold=True)[0]
    frame.put_line(count, SMALL, LEFT + WIDTH - frame.typeface.width(count, SMALL), 44)
    for at, text in enumerate(foot):
        lines = frame.typeface.lines(text, _FOOT_SIZE, WIDTH - (80 if at == 0 else 0))
        if len(lines) > 1 or at > 2:
            raise PaperError("the foot of the page is longer than its room")
        frame.put_line(lines[0], _FOOT_SIZE, LEFT, 44 - at * 10)


def _put(canvas: Canvas, mark: Mark) -> None:
    if isinstance(mark, Bar):
        canvas.setFillGray(mark.grey)
        canvas.rect(mark.x, mark.y, mark.width, mark.height, stroke=0, fill=1)
        return
    canvas.setFillGray(mark.grey)
    canvas.setFont(mark.run.font, mark.size)
    canvas.drawString(mark.x, mark.y, mark.run.text)
