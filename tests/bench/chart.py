"""Bar charts as SVG, written by hand: sections of groups of bars, values over the bars, marks for a second value.

Colours are told apart by people with the common colour blindnesses too (Okabe and Ito). The file needs no
font, script or style from elsewhere.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

BLUE, LIGHT_BLUE, ORANGE, RED, GREEN = "#0072b2", "#56b4e9", "#e69f00", "#d55e00", "#009e73"

_FONT = 'font-family="sans-serif" font-size="12"'
_INK, _PALE_INK, _LINE = "#111111", "#555555", "#dddddd"
_WIDTH = 1000
_LEFT, _RIGHT, _TOP, _PLOT_HEIGHT, _BELOW = 60, 15, 100, 300, 55
_BASE = _TOP + _PLOT_HEIGHT
_BAR_GAP, _GROUP_GAP = 2, 14
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MAX_LINES = 6
_LETTER_WIDTH = 6.6


class Series(NamedTuple):
    """What a colour stands for."""

    name: str
    colour: str


class Bar(NamedTuple):
    """One bar. ``mark``: a second, higher value, drawn as a line above it."""

    value: float
    mark: float | None = None


class Group(NamedTuple):
    """Bars side by side, one for each series; None where a series has no value here."""

    section: str
    """Groups that follow each other with the same section stand over one name."""
    label: str
    bars: Sequence[Bar | None]


class Chart(NamedTuple):
    """Everything that a chart shows."""

    title: str
    subtitle: str
    unit: str
    series: Sequence[Series]
    groups: Sequence[Group]
    is_logarithmic: bool = False


class _Axis(NamedTuple):
    ticks: Sequence[float]
    height_of: Callable[[float], float]
    """Pixels above the base."""


def render_chart(chart: Chart) -> str:
    """Return the SVG document. Raises ValueError unless every value is finite and above 0, and there is one."""
    axis = _logarithmic_axis(chart) if chart.is_logarithmic else _linear_axis(chart)
    height = _BASE + _BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" {_FONT}>',
        f"<title>{escape(chart.title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 22, chart.title, size=17, weight="bold"),
        _text(_LEFT, 42, chart.subtitle, fill=_PALE_INK),
        *_legend(chart.series),
        *_grid(axis, chart.unit),
        *_groups(chart, axis),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _values(chart: Chart) -> list[float]:
    bars = [bar for group in chart.groups for bar in group.bars if bar is not None]
    values = [bar.value for bar in bars] + [bar.mark for bar in bars if bar.mark is not None]
    if not values or not all(0 < value < math.inf for value in values):
        raise ValueError("a chart needs values, each finite and above 0")
    return values


def _linear_axis(chart: Chart) -> _Axis:
    top = max(_values(chart))
    step = _nice_step(top)
    lines = math.ceil(top / step)
    scale = _PLOT_HEIGHT / (lines * step)
    return _Axis([number * step for number in range(lines + 1)], lambda value: value * scale)


def _nice_step(top: float) -> float:
    """Return the smallest round step that reaches the top in at most six lines."""
    magnitude = 10.0 ** math.floor(math.log10(top / _MAX_LINES))
    return next(step * magnitude for step in _STEPS if step * magnitude * _MAX_LINES >= top)


def _logarithmic_axis(chart: Chart) -> _Axis:
    values = _values(chart)
    lowest = math.floor(math.log10(min(values)))
    highest = max(math.ceil(math.log10(max(values))), lowest + 1)
    scale = _PLOT_HEIGHT / (highest - lowest)
    ticks = [10.0**power for power in range(lowest, highest + 1)]
    return _Axis(ticks, lambda value: (math.log10(value) - lowest) * scale)


def _legend(series: Sequence[Series]) -> Iterator[str]:
    x = float(_LEFT)
    for name, colour in series:
        yield f'<rect x="{x:.1f}" y="53" width="12" height="12" fill="{colour}"/>'
        yield _text(x + 17, 63, name)
        x += 34 + _LETTER_WIDTH * len(name)


def _grid(axis: _Axis, unit: str) -> Iterator[str]:
    yield _text(10, _TOP - 16, unit, fill=_PALE_INK)
    for tick in axis.ticks:
        y = _BASE - (axis.height_of(tick) if tick else 0.0)
        colour = _PALE_INK if tick == axis.ticks[0] else _LINE
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}"/>'
        yield _text(_LEFT - 8, y + 4, short_number(tick), anchor="end", fill=_PALE_INK)


def _groups(chart: Chart, axis: _Axis) -> Iterator[str]:
    group_width = (_WIDTH - _LEFT - _RIGHT) / len(chart.groups)
    bar_width = (group_width - _GROUP_GAP) / len(chart.series) - _BAR_GAP
    for number, group in enumerate(chart.groups):
        left = _LEFT + number * group_width
        for index, (bar, series) in enumerate(zip(group.bars, chart.series, strict=True)):
            if bar is not None:
                x = left + _GROUP_GAP / 2 + index * (bar_width + _BAR_GAP)
                yield from _bar(bar, x, bar_width, axis, series.colour)
        yield _text(left + group_width / 2, _BASE + 18, group.label, anchor="middle")
        first = number == 0 or chart.groups[number - 1].section != group.section
        if first:
            width = group_width * sum(other.section == group.section for other in chart.groups)
            yield _text(left + width / 2, _BASE + 40, group.section, anchor="middle", weight="bold")
            if number:
                yield f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{_TOP}" y2="{_BASE + 45}" stroke="{_LINE}"/>'


def _bar(bar: Bar, x: float, width: float, axis: _Axis, colour: str) -> Iterator[str]:
    top = _BASE - axis.height_of(bar.value)
    middle = x + width / 2
    yield f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BASE - top:.1f}" fill="{colour}"/>'
    label = short_number(bar.value)
    if bar.mark is not None:
        y = _BASE - axis.height_of(bar.mark)
        path = f"M{middle:.1f} {top:.1f}V{y:.1f}M{x + width * 0.2:.1f} {y:.1f}H{x + width * 0.8:.1f}"
        yield f'<path d="{path}" stroke="{_INK}" fill="none"/>'
        top = min(top, y)
        yield _text(middle, top - 14, label, anchor="middle", size=9.5)
        label = short_number(bar.mark)
    yield _text(middle, top - 4, label, anchor="middle", size=9.5)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: float = 12,
    weight: str = "normal",
    fill: str = _INK,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" font-weight="{weight}" '
        f'fill="{fill}">{escape(text)}</text>'
    )


def short_number(value: float) -> str:
    """Write a number in few characters: 123456 as 123k, 4560 as 4.6k, 56.7 as 57, 0.4217 as 0.42."""
    if value >= 99_950:
        return f"{value / 1000:.0f}k"
    if value >= 999.5:
        return f"{value / 1000:.1f}".removesuffix(".0") + "k"
    if value >= 9.95 or value == 0:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 0.995 else f"{value:.2g}"
    return text.removesuffix(".0")
