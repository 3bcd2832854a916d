"""What was found, as rows that people read: a label and a value each."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from strongroom.custody import Json, neutral, spoken

_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
_MAX_LIST_CHARS: Final = 100
"""A list that is longer has a row for each of its values."""
_TAGS: Final = ("name", "id", "contents", "who")
"""What names one of several in a list."""


def fact_rows(facts: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """Return facts as rows: ``members / alpha / serial`` and its value."""
    return tuple(row for name, value in facts.items() for row in _rows(neutral(name), value))


def with_words(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return rows in which each hash is followed by its words, to be read aloud."""
    given = tuple(rows)
    there = {value for _, value in given}
    found: list[tuple[str, str]] = []
    for label, value in given:
        found.append((label, value))
        words = " ".join(spoken(value)) if _HASH.match(value) else ""
        if words and words not in there:
            found.append((f"{label} in words", words))
    return tuple(found)


def _rows(label: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if not value:
            yield label, "none"
        for name, inner in value.items():
            yield from _rows(f"{label} / {neutral(name)}", inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _list_rows(label, value)
    else:
        yield label, _text(value)


def _list_rows(label: str, values: Sequence[Json]) -> Iterator[tuple[str, str]]:
    if not any(isinstance(one, Mapping | list | tuple) for one in values):
        text = ", ".join(map(_text, values)) or "none"
        if len(text) <= _MAX_LIST_CHARS:
            yield label, text
            return
    for number, one in enumerate(values, 1):
        tag, rest = str(number), one
        if isinstance(one, Mapping):
            name = next((name for name in _TAGS if isinstance(one.get(name), str)), None)
            if name is not None:
                tag, rest = neutral(str(one[name])), {key: inner for key, inner in one.items() if key != name}
        yield from _rows(f"{label} / {tag}", rest)


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else neutral(str(value))
