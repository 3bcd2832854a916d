"""HTML that loads and runs nothing, and the pages for auditors, for losses and for backups."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec
import pytest

import paper_samples
from paper_reading import read_pages, squeezed
from strongroom.paper import (
    auditor_html,
    auditor_pdf,
    backup_html,
    backup_pdf,
    loss_html,
    loss_pdf,
    share_sheet_html,
    transcript_html,
)
from strongroom.paper._letters import shown

HOSTILE = paper_samples.HOSTILE
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "div", "p", "header", "footer", "main", "h1", "h2", "h3", "bdi", "b", "br",
    "span", "ul", "ol", "li", "code", "table", "colgroup", "col", "thead", "tbody", "tr", "th", "td", "svg", "path",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "colspan", "width", "aria-hidden", "aria-label", "role", "viewbox",
    "shape-rendering", "fill", "d",
}  # fmt: skip
WITHOUT_END = {"meta", "br", "col"}


class Reader(HTMLParser):
    """Reads a page strictly: what is opened is closed, and only what is known occurs."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.policy: list[str] = []
        self.text = ""
        self.style = ""
        self.feed(page.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in KNOWN
        assert {name for name, _ in attributes} <= ATTRIBUTES
        held = dict(attributes)
        if held.get("http-equiv"):
            self.policy.append(held["content"])
        if tag not in WITHOUT_END:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag == "path"
        assert {name for name, _ in attributes} <= ATTRIBUTES

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data


def hostile_pages(text):
    yield transcript_html(paper_samples.transcript(name=text, note=text))
    yield share_sheet_html(paper_samples.share_sheet(name=text, location=text, is_rehearsal=True)).reveal()
    yield auditor_html(paper_samples.auditor_page(name=text))
    yield loss_html(paper_samples.loss_report(name=text, location=text))
    yield backup_html(paper_samples.backup_page(name=text))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_text_on_every_page(text):
    for page in hostile_pages(text):
        assert squeezed(shown(text)) in squeezed(Reader(page).text)


def test_a_page_allows_its_own_style_and_nothing_else():
    for page in hostile_pages("Ada"):
        read = Reader(page)
        digest = base64.b64encode(hashlib.sha256(read.style.encode()).digest()).decode()
        assert read.policy == [
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        ]
        assert "url(" not in read.style
        assert "@import" not in read.style
        assert not re.search(rb"\b(?:src|href|action|style|on\w+)\s*=", page)


def test_html_and_pdf_are_the_same_bytes_each_time():
    for print_page, sample in (
        (auditor_pdf, paper_samples.auditor_page), (auditor_html, paper_samples.auditor_page), (loss_pdf, paper_samples.loss_report),
        (loss_html, paper_samples.loss_report), (backup_pdf, paper_samples.backup_page), (backup_html, paper_samples.backup_page),
        (transcript_html, paper_samples.transcript),
    ):  # fmt: skip
        once = print_page(sample())
        assert print_page(sample()) == once
        assert len(once) < 150_000


@pytest.mark.parametrize(
    ("print_page", "sample"),
    [
        (auditor_pdf, paper_samples.auditor_page),
        (loss_pdf, paper_samples.loss_report),
        (backup_pdf, paper_samples.backup_page),
    ],
)
def test_reports_are_short_hold_all_they_are_given_and_show_a_rehearsal(print_page, sample):
    pages = read_pages(print_page(sample(is_rehearsal=True)))
    assert len(pages) == (2 if print_page is backup_pdf else 1)
    for page in pages:
        assert [word.text for word in page.words if word.size > 100] == ["REHEARSAL"]
    letters = "".join(page.letters for page in read_pages(print_page(sample())))
    assert "REHEARSAL" not in letters
    for text in strings(msgspec.to_builtins(sample())):
        for part in text.split(" / "):
            assert squeezed(part) in letters


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            # Told in other words: "hsm" as "HSMs".
            if name != "origin":
                yield from strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)


def test_the_auditors_page_says_what_cannot_be_checked():
    text = "\n".join(page.text for page in read_pages(auditor_pdf(paper_samples.auditor_page())))
    assert "What nobody can check from these files" in text
    assert "Whether an HSM told the truth about itself." in text


@pytest.mark.parametrize(
    ("people", "places", "words"),
    [
        (2, 1, "We can lose any 2 custodians; we can lose any 1 whole location."),
        (1, 0, "We can lose any 1 custodian; we can lose no whole location."),
        (0, 0, "We can lose no custodian; we can lose no whole location."),
        (-1, -1, "may be lost already"),
    ],
)
def test_the_loss_report_says_how_many_can_be_lost(people, places, words):
    report = paper_samples.loss_report()
    one = msgspec.structs.replace(report.sets[0], can_lose_people=people, can_lose_locations=places)
    text = read_pages(loss_pdf(msgspec.structs.replace(report, sets=(one,))))[0].text
    assert squeezed(words) in squeezed(text)


def test_a_custodian_without_proof_is_told_from_one_who_left():
    report = paper_samples.loss_report()
    custodians = tuple(msgspec.structs.replace(one, is_counted=False) for one in report.sets[0].custodians)
    one = msgspec.structs.replace(report.sets[0], custodians=custodians)
    text = read_pages(loss_pdf(msgspec.structs.replace(report, sets=(one,))))[0].text
    assert text.count("no proof") == 4
    assert text.count("left") == 1


def test_no_backup_set_is_told_as_what_it_means():
    report = msgspec.structs.replace(paper_samples.loss_report(), sets=(), alarms=())
    assert "the root keys are lost" in read_pages(loss_pdf(report))[0].text
