"""How many custodians, and which of their locations, can be lost without losing the backup. Pure.

>>> found = losses(3, ["Bern", "Bern", "Zug", "Genf", "Genf"])
>>> found.people, found.any_locations, found.locations
(2, 1, (('Bern',), ('Genf',), ('Zug',)))
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

MOST_PLACES: Final = 16
"""SLIP-39 gives a share a number below 16."""


class Losses(msgspec.Struct, frozen=True):
    """What may be lost at once, of shares that can be counted on."""

    threshold: int
    counted: int
    """How many shares can be counted on."""
    people: int
    """So many custodians, whoever they are. Below 0: so many are missing already."""
    any_locations: int
    """So many locations, whichever they are; below 0 as ``people``."""
    locations: tuple[tuple[str, ...], ...]
    """Every largest set of locations that can be lost together: what is part of one of them can be lost, and nothing else."""
    vital: tuple[str, ...]
    """Locations whose loss alone is too much."""

    @property
    def is_recoverable(self) -> bool:
        """Whether the backup can be opened as things are."""
        return self.people >= 0


def losses(threshold: int, places: Sequence[str]) -> Losses:
    """Tell what can be lost, so that ``threshold`` shares are left; ``places`` has the location of each that is counted.

    Raises ValueError for more than ``MOST_PLACES``: there are as many sets of locations as 2 to that power.
    """
    if len(places) > MOST_PLACES:
        raise ValueError(f"a set has no more than {MOST_PLACES} shares")
    spare = len(places) - threshold
    counts = Counter(places)
    if spare < 0:
        return Losses(threshold, len(places), spare, spare, (), tuple(sorted(counts)))
    return Losses(
        threshold,
        len(places),
        spare,
        _any_locations(counts, spare),
        tuple(sorted(_largest_sets(counts, spare))),
        tuple(sorted(place for place, count in counts.items() if count > spare)),
    )


def _any_locations(counts: Counter[str], spare: int) -> int:
    gone = 0
    for number, count in enumerate(sorted(counts.values(), reverse=True)):
        gone += count
        if gone > spare:
            return number
    return len(counts)


def _largest_sets(counts: Counter[str], spare: int) -> Iterator[tuple[str, ...]]:
    places = sorted(counts)
    for chosen in range(1 << len(places)):
        lost = [place for number, place in enumerate(places) if chosen >> number & 1]
        left = spare - sum(counts[place] for place in lost)
        kept = (place for number, place in enumerate(places) if not chosen >> number & 1)
        if left >= 0 and all(counts[place] > left for place in kept):
            yield tuple(lost)
