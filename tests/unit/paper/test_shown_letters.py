"""What is shown of a text: every character, or its number; never less, never something else."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_reading import squeezed
from paper_samples import HOSTILE
from strongroom.paper._letters import shown
from strongroom.paper._typeface import Typeface

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


def restored(text: str) -> str:
    """What a reader finds who looks the numbers up."""
    return re.sub(
        r"«U\+([0-9A-F ]+)»", lambda found: "".join(chr(int(code, 16)) for code in found[1].split()), text
    )


@given(ANY_TEXT)
def test_nothing_is_lost(text):
    assert restored(shown(text)) == text
    assert restored(shown(text, has_lines=True)) == text
    assert restored(shown(text, is_drawn=str.isascii)) == text


@given(ANY_TEXT)
def test_what_is_shown_has_a_shape_and_turns_no_text(text):
    for letter in shown(text):
        assert letter in {" ", "\u00a0"} or unicodedata.category(letter) not in {
            "Cc",
            "Cf",
            "Cs",
            "Co",
            "Cn",
            "Zl",
            "Zp",
            "Zs",
        }
    shown(text).encode()


def test_a_number_that_somebody_typed_is_told_from_one_that_stands_for_a_character():
    assert shown("«U+0041»") == "«U+00AB»U+0041»"


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("Müller & Söhne <b>", "Müller & Söhne <b>"),
        ("Alice\u202egpj.exe", "Alice«U+202E»gpj.exe"),
        ("a\nb", "a«U+000A»b"),
        ("\x00\x1b[31m", "«U+0000 001B»[31m"),
        ("\u0301e", "«U+0301»e"),
        ("e\u0301\u0302\u0303\u0304", "e\u0301\u0302«U+0303 0304»"),
        ("x\ud800", "x«U+D800»"),
        ("\u3164", "«U+3164»"),
    ],
)
def test_what_has_no_shape_is_a_number(text, visible):
    assert shown(text) == visible


def test_line_feeds_are_line_breaks_only_where_a_text_may_have_lines():
    assert shown("a\nb\rc", has_lines=True) == "a\nb«U+000D»c"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("width", [30.0, 90.0, 499.0])
def test_wrapping_keeps_every_letter_and_no_line_is_too_wide(text, width):
    typeface = Typeface()
    lines = typeface.lines(text, 9, width)
    told = "".join(run.text for line in lines for run in line)
    visible = shown(
        unicodedata.normalize("NFC", text),
        is_drawn=lambda letter: typeface._font_of(letter, is_bold=False) != "",
    )
    assert squeezed(told) == squeezed(visible)
    assert all(typeface.width(line, 9) <= width + 0.01 for line in lines)


@given(ANY_TEXT)
def test_any_text_is_wrapped_without_loss(text):
    typeface = Typeface()
    lines = typeface.lines(text, 9, 50, has_lines=True)
    visible = shown(
        unicodedata.normalize("NFC", text),
        has_lines=True,
        is_drawn=lambda letter: typeface._font_of(letter, is_bold=False) != "",
    )
    assert squeezed("".join(run.text for line in lines for run in line)) == squeezed(visible)
    assert all(typeface.width(line, 9) <= 50.01 for line in lines)
