"""Fonts of the machine."""

import pytest

import paper_samples
from strongroom.paper import transcript_pdf
from strongroom.wiring import printing_fonts as room


def test_what_is_not_installed_is_left_out(monkeypatch, tmp_path):
    (tmp_path / "a.ttf").write_bytes(b"a font")
    monkeypatch.setattr(room, "_FONTS", (str(tmp_path / "missing.ttf"), str(tmp_path / "a.ttf")))
    assert room.printing_fonts() == (b"a font",)


@pytest.mark.skipif(
    not room.printing_fonts(), reason="no font is installed that is looked for (Debian: fonts-dejavu-core)"
)
def test_the_fonts_of_this_machine_print_and_change_nothing_where_no_letter_needs_them():
    fonts = room.printing_fonts()
    assert transcript_pdf(paper_samples.transcript(), fonts=fonts) == transcript_pdf(
        paper_samples.transcript()
    )
    for text in ("Ελένη", "王小明", "김철수"):
        transcript_pdf(paper_samples.transcript(name=text), fonts=fonts)
