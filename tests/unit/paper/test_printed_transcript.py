"""A printed transcript: the same bytes each time, everything in it, nothing cut, the watermark of a rehearsal on each page."""

import hashlib
import os
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path

import msgspec
import pytest
import reportlab
from reportlab.pdfbase.pdfmetrics import stringWidth

import paper_samples
from fakes_ceremony import rehearsed
from paper_reading import page_boxes, read_pages, squeezed
from strongroom import ceremony
from strongroom.custody import spoken
from strongroom.paper import (
    PaperError,
    made_with,
    transcript_html,
    transcript_pdf,
)
from strongroom.paper import _flow as flow
from strongroom.paper._letters import shown
from strongroom.paper._transcript import fact_table
from strongroom.paper._typeface import Typeface
from strongroom.wiring.ceremony_view import transcript_view

HOSTILE = paper_samples.HOSTILE
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


def texts(value: object) -> set[str]:
    """Every text in a form."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return {text for part in value.values() for text in texts(part)}
    if isinstance(value, list | tuple):
        return {text for part in value for text in texts(part)}
    return set()


def as_drawn(text: str) -> str:
    """How a text stands in the PDF, without its spaces."""
    typeface = Typeface()
    lines = typeface.lines(text, 9, 400, has_lines=True)
    return squeezed("".join(run.text for line in lines for run in line))


def boxes(page):
    """Where the runs of a page are; the watermark is not one of them."""
    for word in page.words:
        if word.size < 100 and word.text.strip():
            wide = stringWidth(word.text, "StrongroomVera", word.size)
            yield word.x, word.x + wide * 0.97, word.y - word.size * 0.15, word.y + word.size * 0.7, word.text


def test_the_bytes_are_the_same_each_time_and_in_another_process():
    once = transcript_pdf(paper_samples.transcript())
    transcript_pdf(paper_samples.transcript(name=HOSTILE["Chinese"]))
    assert transcript_pdf(paper_samples.transcript()) == once
    program = (
        "import hashlib, paper_samples; from strongroom.paper import transcript_html, transcript_pdf; t = paper_samples.transcript();"
        "print(hashlib.sha256(transcript_pdf(t) + transcript_html(t)).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"},
        capture_output=True, text=True, check=True, timeout=100,
    ).stdout.strip()  # fmt: skip
    html = transcript_html(paper_samples.transcript())
    assert told == hashlib.sha256(once + html).hexdigest()


def test_everything_that_the_transcript_says_is_printed():
    transcript = paper_samples.transcript()
    pages = read_pages(transcript_pdf(transcript))
    letters = "".join(page.letters for page in pages)
    heads = {part for text in texts(msgspec.to_builtins(transcript)) for part in text.split(" / ")}
    missing = {text for text in heads if as_drawn(text) not in letters}
    assert missing == set()


async def test_everything_that_a_ceremony_put_into_its_transcript_is_printed(tmp_path):
    setting, run = await rehearsed(tmp_path, ceremony.CeremonyType.BACKUP)
    verified = ceremony.verify_ceremony(setting.folder)
    transcript = transcript_view(run, setting.script, verified.signatures)
    letters = "".join(page.letters for page in read_pages(transcript_pdf(transcript)))
    parts = {
        part
        for text in texts(msgspec.to_builtins(transcript))
        for part in text.removesuffix(" in words").split(" / ")
    }
    assert {part for part in parts if as_drawn(part) not in letters} == set()


def test_the_words_of_a_hash_that_follow_it_as_a_fact_stand_beneath_it():
    hashed = paper_samples.hashed("key")
    facts = [
        ("key / sha256", hashed.hex),
        ("key / sha256 in words", " ".join(hashed.words)),
        ("state", "new"),
    ]
    rows = fact_table(facts).rows
    assert [(row.label, row.value, row.words) for row in rows if not row.is_head] == [
        ("sha256", hashed.hex, hashed.words),
        ("state", "new", ()),
    ]
    assert [row.label for row in rows if row.is_head] == ["key", "also"]


def test_a_deviation_within_a_step_is_told_again_at_the_end():
    view = {**paper_samples.view(), "events": []}
    text = "\n".join(page.text for page in read_pages(transcript_pdf(paper_samples.of_view(view))))
    closing = text[text.index("Deviations and interruptions") :]
    assert "Step 4: bag-in (bag-in-4)" in closing
    assert "The lamp failed" in closing
    assert "None was recorded." not in closing
    steps = [{**step, "deviations": []} for step in view["steps"]]
    text = "\n".join(
        page.text for page in read_pages(transcript_pdf(paper_samples.of_view({**view, "steps": steps})))
    )
    assert "None was recorded." in text


def test_the_words_of_hashes_are_printed_also_of_those_among_the_facts():
    words = squeezed(" ".join(spoken(paper_samples.hashed("alpha").hex)))
    letters = "".join(page.letters for page in read_pages(transcript_pdf(paper_samples.transcript())))
    assert words in letters


def test_each_page_has_its_number_and_the_hash_of_the_transcript():
    transcript = paper_samples.transcript(note="A long story. " * 200)
    pages = read_pages(transcript_pdf(transcript))
    assert len(pages) > 4
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page.text
        assert f"Transcript SHA-256 {transcript.transcript_hash.hex}" in page.text


def test_each_page_of_a_rehearsal_has_the_watermark_and_no_page_of_a_real_ceremony():
    for page in read_pages(transcript_pdf(paper_samples.transcript(is_rehearsal=True))):
        assert [word.text for word in page.words if word.size > 100] == ["REHEARSAL"]
        assert "REHEARSAL: made-up names" in page.text
    for page in read_pages(transcript_pdf(paper_samples.transcript(is_rehearsal=False))):
        assert "REHEARSAL" not in page.text
    assert b'class="watermark"' in transcript_html(paper_samples.transcript(is_rehearsal=True))
    assert b"REHEARSAL" not in transcript_html(paper_samples.transcript(is_rehearsal=False))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_printed_whole_within_the_margins_and_over_nothing_else(text):
    pages = read_pages(transcript_pdf(paper_samples.transcript(name=text, note=f"{text}\nand then")))
    letters = "".join(page.letters for page in pages)
    composed = unicodedata.normalize("NFC", text)
    assert as_drawn(composed) in letters
    for page in pages:
        found = sorted(boxes(page), key=lambda box: -box[2])
        for at, (left, right, low, high, told) in enumerate(found):
            assert left >= flow.LEFT - 0.1, told
            assert right <= flow.LEFT + flow.WIDTH + 0.1, told
            assert low > 20, told
            assert high < flow.PAGE_HEIGHT - 20, told
            for other in found[at + 1 :]:
                overlaps = left < other[1] and other[0] < right and low < other[3] and other[2] < high
                assert not overlaps, (told, other[4])


def test_every_font_is_in_the_file():
    pdf = transcript_pdf(paper_samples.transcript())
    assert pdf.count(b"/Type /Font ") == pdf.count(b"/FontFile2 ") == 2


def test_a_print_tells_with_what_it_was_made():
    pdf = transcript_pdf(paper_samples.transcript())
    assert made_with(pdf) == f"reportlab {reportlab.__version__}, zlib {zlib.ZLIB_RUNTIME_VERSION}"
    assert made_with(b"%PDF-1.4") == ""
    assert made_with(pdf.replace(b"/Producer (Strongroom with", b"/Producer (Strongroom with \x1b")) == ""
    if DEJAVU.exists():
        font = DEJAVU.read_bytes()
        told = made_with(transcript_pdf(paper_samples.transcript(name="Ελένη"), fonts=[font]))
        assert told.endswith(f", font {hashlib.sha256(font).hexdigest()[:16]}")
        assert made_with(transcript_pdf(paper_samples.transcript(), fonts=[font])) == made_with(pdf)


def test_pages_are_a4():
    assert set(page_boxes(transcript_pdf(paper_samples.transcript()))) == {(595.0, 842.0)}


def test_an_unfinished_ceremony_says_so_first():
    view = {**paper_samples.view(), "state": "abandoned", "reason": "The HSM burnt."}
    pages = read_pages(transcript_pdf(paper_samples.of_view(view)))
    assert "THIS CEREMONY IS NOT COMPLETE: abandoned. The HSM burnt." in pages[0].text


def test_a_witness_who_has_not_signed_is_told():
    text = "\n".join(page.text for page in read_pages(transcript_pdf(paper_samples.transcript())))
    assert "1 verified when this was printed; 2 are needed." in text
    assert "not signed" in text


def test_the_lines_to_sign_stand_together_on_one_page():
    for more in range(0, 12, 3):
        note = "One line more.\n" * more * 4
        pages = read_pages(transcript_pdf(paper_samples.transcript(note=note)))
        signed = next(page for page in pages if "Signed by hand" in page.text)
        lines = signed.text.partition("Signed by hand")[2]
        assert all(
            f"{name}, " in lines
            for name in ("Ada Example", "Grace Sample", "Edsger Muster", "Barbara Beispiel", "Tony Tester")
        )


def test_a_print_of_too_many_pages_is_refused(monkeypatch):
    monkeypatch.setattr(flow, "MAX_PAGES", 3)
    with pytest.raises(PaperError, match="more than 3 pages"):
        transcript_pdf(paper_samples.transcript())


def test_a_large_ceremony_makes_a_print_of_bounded_size():
    view = paper_samples.view(note="x" * 4000)
    steps = [{**step, "number": at} for at, step in enumerate(view["steps"] * 5, 1)]
    transcript = paper_samples.of_view({**view, "steps": steps, "participants": view["participants"] * 8})
    pdf, html = transcript_pdf(transcript), transcript_html(transcript)
    assert len(read_pages(pdf)) < 60
    assert len(pdf) < 500_000
    assert len(html) < 500_000


def test_a_file_that_is_no_font_is_refused_when_it_is_needed():
    with pytest.raises(PaperError, match="no TrueType file"):
        transcript_pdf(paper_samples.transcript(name="Ελένη"), fonts=[b"no font"])
    assert transcript_pdf(paper_samples.transcript(), fonts=[b"no font"]) == transcript_pdf(
        paper_samples.transcript()
    )


@pytest.mark.skipif(not DEJAVU.exists(), reason="DejaVu Sans is not installed (Debian: fonts-dejavu-core)")
def test_letters_that_the_first_font_lacks_are_taken_from_the_fonts_that_are_handed_over():
    transcript = paper_samples.transcript(name="Ελένη Иван")
    with_font = transcript_pdf(transcript, fonts=[DEJAVU.read_bytes()])
    assert "ΕλένηИван" in read_pages(with_font)[0].letters
    assert with_font == transcript_pdf(transcript, fonts=[DEJAVU.read_bytes()])
    without = read_pages(transcript_pdf(transcript))
    assert squeezed(shown("Ελένη", is_drawn=str.isascii)) in without[0].letters
    assert "Characters that this print has no letters for" in without[-1].text
