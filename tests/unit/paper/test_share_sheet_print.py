"""A share sheet: one share, its words large and numbered, nothing of it where it does not belong."""

import re

import msgspec
import pytest
import segno

import paper_samples
from paper_reading import read_pages, squeezed
from strongroom.core import Secret
from strongroom.paper import PaperError, share_sheet_html, share_sheet_pdf
from strongroom.paper._share_sheet import qr_code
from strongroom.shares import read_share

HOSTILE = paper_samples.HOSTILE
WORDS = paper_samples.WORDS


def pages_of(sheet):
    return read_pages(share_sheet_pdf(sheet).reveal())


def test_the_words_are_numbered_in_their_order_and_readable_at_arms_length():
    page = pages_of(paper_samples.share_sheet())[0]
    large = [word for word in page.words if word.size >= 14 and word.text in WORDS]
    assert [word.text for word in large] == list(WORDS)
    for number, word in enumerate(large, 1):
        beside = [other.text for other in page.words if other.y == word.y and 0 < word.x - other.x < 30]
        assert beside == [str(number)]
    read_share(" ".join(word.text for word in large))


def test_the_sheet_says_whose_share_it_is_and_of_what():
    sheet = paper_samples.share_sheet()
    text = squeezed("\n".join(page.text for page in pages_of(sheet)))
    for part in (
        "Share 2 of 5", "Any 3 of the 5 shares", sheet.custodian, sheet.location, sheet.organisation, sheet.set_id, "29172",
        sheet.ceremony, sheet.made_at, "Bag or seal number", "Custodian's signature", "Witness", "Page 1 of 1", "SECRET",
    ):  # fmt: skip
        assert squeezed(part) in text
    assert "REHEARSAL" not in text


def test_the_qr_code_holds_the_words_and_stands_on_the_page_as_it_was_made():
    matrix = segno.make(" ".join(WORDS), error="m", micro=False, boost_error=False).matrix
    code = qr_code(WORDS)
    drawn = [[0] * code.size for _ in range(code.size)]
    for row, column, length in code.dark:
        drawn[row][column : column + length] = [1] * length
    assert [line[4:-4] for line in drawn[4:-4]] == [[int(module) for module in line] for line in matrix]
    assert not any(drawn[0] + drawn[3] + drawn[-1] + drawn[-4])
    html = share_sheet_html(paper_samples.share_sheet()).reveal().decode()
    path = re.findall(r'<path d="([^"]*)"', html)
    assert path == [code.path]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_never_pushes_a_word_off_the_first_page_and_is_never_cut(text):
    sheet = paper_samples.share_sheet(name=text * 3, location=text, is_rehearsal=True)
    first, *others = pages_of(sheet)
    assert [word.text for word in first.words if word.text in WORDS and word.size >= 14] == list(WORDS)
    assert len(others) <= 1
    for page in others:
        assert not [word for word in page.words if word.text in WORDS]
        assert "Names that page 1 has no room for" in page.text
    letters = first.letters + "".join(page.letters for page in others)
    ordinary = re.findall(r"[A-Za-z]{4,}", text)
    assert all(letters.count(word) >= 3 for word in ordinary)
    assert min(word.y for word in first.words if word.size < 100) > 20


def test_each_page_of_a_rehearsal_sheet_has_the_watermark():
    for page in pages_of(paper_samples.share_sheet(is_rehearsal=True, name="Long " * 100)):
        assert [word.text for word in page.words if word.size > 100] == ["REHEARSAL"]
    assert b'class="watermark"' in share_sheet_html(paper_samples.share_sheet(is_rehearsal=True)).reveal()


def test_the_bytes_are_the_same_each_time_and_secret():
    sheet = paper_samples.share_sheet()
    for print_sheet in (share_sheet_html, share_sheet_pdf):
        once = print_sheet(sheet)
        assert isinstance(once, Secret)
        assert once.matches(print_sheet(sheet))
        assert len(once) < 120_000


def test_no_word_is_in_a_repr_an_error_or_the_metadata():
    sheet = paper_samples.share_sheet()
    code = qr_code(sheet.words)
    assert not [
        word
        for word in WORDS
        if len(word) > 4 and word in repr(sheet) + repr(code) + repr(msgspec.structs.replace(sheet))
    ]
    for words in ((*WORDS, "luck"), (*WORDS[:-1], "Luck"), (*WORDS[:-1], "luck secret"), ()):
        with pytest.raises(PaperError) as refused:
            share_sheet_pdf(msgspec.structs.replace(sheet, words=words))
        assert not [word for word in WORDS if len(word) > 4 and word in str(refused.value)]
    title = re.search(rb"/Title \((.*?)\)", share_sheet_pdf(sheet).reveal())
    assert title is not None
    assert not [word for word in WORDS if word.encode() in title[1]]


@pytest.mark.parametrize(
    "change", [{"share_number": 6}, {"share_number": 0}, {"threshold": 6}, {"threshold": 0}]
)
def test_a_share_that_is_none_of_its_set_is_refused(change):
    with pytest.raises(PaperError, match="not one of its set"):
        share_sheet_html(msgspec.structs.replace(paper_samples.share_sheet(), **change))
