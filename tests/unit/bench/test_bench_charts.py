"""Charts: well-formed, to scale, complete."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.chart import BLUE, ORANGE, Bar, Chart, Group, Series, render_chart, short_number

SVG = "{http://www.w3.org/2000/svg}"
SERIES = [Series("ours & theirs", BLUE), Series("<theirs>", ORANGE)]


def _chart(*groups, is_logarithmic=False):
    return Chart("a title", "a subtitle", "ms", SERIES, groups, is_logarithmic)


def _parsed(svg):
    return ET.fromstring(svg)  # noqa: S314  # we made it


def _bars(svg, colour):
    root = _parsed(svg)
    return [float(rect.get("height")) for rect in root.iter(f"{SVG}rect") if rect.get("fill") == colour][1:]


def _texts(svg):
    return [text.text for text in _parsed(svg).iter(f"{SVG}text")]


def test_bars_are_as_high_as_their_values_tell():
    svg = render_chart(_chart(Group("s", "1", [Bar(100.0), Bar(50.0)]), Group("s", "8", [Bar(25.0), None])))
    (first, second), (other,) = _bars(svg, BLUE), _bars(svg, ORANGE)
    assert (first / second, first / other) == (pytest.approx(4.0, rel=0.01), pytest.approx(2.0, rel=0.01))


def test_on_a_logarithmic_axis_equal_factors_are_equal_steps():
    groups = [Group("s", str(value), [Bar(value), None]) for value in (1.0, 10.0, 100.0, 1000.0)]
    one, ten, hundred, thousand = _bars(render_chart(_chart(*groups, is_logarithmic=True)), BLUE)
    assert one == 0
    assert hundred - ten == pytest.approx(ten, abs=0.2) == pytest.approx(thousand - hundred, abs=0.2)


def test_everything_is_named_and_every_value_written():
    svg = render_chart(_chart(Group("Encrypt", "64", [Bar(1.25, mark=7.5), Bar(4000.0)])))
    texts = _texts(svg)
    assert {"a title", "a subtitle", "ms", "ours & theirs", "<theirs>", "Encrypt", "64"} <= set(texts)
    assert {"1.2", "7.5", "4k"} <= set(texts)


def test_a_section_is_named_once_for_all_its_groups():
    groups = [Group(section, label, [Bar(1.0), Bar(2.0)]) for section in ("A", "B") for label in ("1", "8")]
    texts = _texts(render_chart(_chart(*groups)))
    assert (texts.count("A"), texts.count("B"), texts.count("8")) == (1, 1, 2)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("is_logarithmic", [False, True])
def test_a_value_that_cannot_be_drawn_is_refused(value, is_logarithmic):
    with pytest.raises(ValueError, match="finite and above 0"):
        render_chart(_chart(Group("s", "1", [Bar(value), Bar(1.0)]), is_logarithmic=is_logarithmic))


def test_a_chart_without_values_is_refused():
    with pytest.raises(ValueError, match="needs values"):
        render_chart(_chart(Group("s", "1", [None, None])))


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=6), st.booleans(), st.text(max_size=20))
def test_every_chart_is_well_formed_and_stays_inside_its_frame(values, is_logarithmic, label):
    text = "".join(char for char in label if char.isprintable())
    groups = [Group(text, text, [Bar(value, mark=value * 2), None]) for value in values]
    root = _parsed(render_chart(_chart(*groups, is_logarithmic=is_logarithmic)))
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.get("height")) >= 0
        assert float(rect.get("y", 0)) >= 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.4217, "0.42"),
        (0.999, "1"),
        (1.25, "1.2"),
        (9.96, "10"),
        (56.7, "57"),
        (999.6, "1k"),
        (4560, "4.6k"),
        (5000, "5k"),
        (99_960, "100k"),
        (123_456, "123k"),
    ],
)
def test_numbers_are_short(value, text):
    assert short_number(value) == text
