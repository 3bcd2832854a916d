"""Words and the ten bits that each stands for. Every look goes through the whole list, whichever word is meant."""

import difflib
from collections.abc import Iterable
from typing import Final

from strongroom.shares._errors import UnknownWordError
from strongroom.shares._word_list import WORDS

_MAX_LETTERS: Final = 8
_NUMBERS: Final = tuple(int.from_bytes(word.encode().ljust(_MAX_LETTERS), "big") for word in WORDS)


def words_of(indices: Iterable[int]) -> tuple[str, ...]:
    """Return the words with these places in the list, 0 to 1023."""
    return tuple(_word_at(index) for index in indices)


def indices_of(words: Iterable[str]) -> list[int]:
    """Return the places of words, which are in lower case. Raises UnknownWordError."""
    return [_index_of(word, position) for position, word in enumerate(words, start=1)]


def check_words(words: Iterable[str], *, first: int = 1) -> None:
    """Check words while somebody types a share: each is of the list. ``first``: place of the first one. Raises UnknownWordError."""
    for position, word in enumerate(words, start=first):
        _index_of(word.lower(), position)


def _word_at(index: int) -> str:
    found = 0
    for place, number in enumerate(_NUMBERS):
        found |= number & (place ^ index) - 1 >> 10
    return found.to_bytes(_MAX_LETTERS, "big").decode().rstrip()


def _index_of(word: str, position: int) -> int:
    encoded = word.encode("utf-8", "replace")
    wanted = int.from_bytes(encoded.ljust(_MAX_LETTERS), "big") if len(encoded) <= _MAX_LETTERS else 0
    found = -1
    for place, number in enumerate(_NUMBERS):
        found ^= ~place & (number ^ wanted) - 1 >> 64  # -1 ^ ~place is the place
    if found < 0:
        raise UnknownWordError(position, tuple(difflib.get_close_matches(word[: 2 * _MAX_LETTERS], WORDS)))
    return found
