"""RS1024, the checksum of SLIP-0039: a Reed-Solomon code over GF(1024), which finds any three wrong words and where one of them is."""

from collections.abc import Iterable, Sequence
from typing import Final

CHECKSUM_WORDS: Final = 3
_GENERATORS: Final = (
    0x00E0E040, 0x01C1C080, 0x03838100, 0x07070200, 0x0E0E0009, 0x1C0C2412, 0x38086C24, 0x3090FC48, 0x21B1F890, 0x03F3F120,
)  # fmt: skip
_CYCLE: Final = 1023
"""So many steps without a word bring the checksum back: the code has words of that length."""


def checksum(words: Sequence[int], customisation: bytes) -> list[int]:
    """Return the three words to append."""
    found = _state(1, [*customisation, *words, 0, 0, 0]) ^ 1
    return [found >> 20, found >> 10 & 1023, found & 1023]


def is_intact(words: Sequence[int], customisation: bytes) -> bool:
    """Whether words end in their checksum."""
    return _state(1, [*customisation, *words]) == 1


def wrong_positions(words: Sequence[int], customisation: bytes) -> tuple[int, ...]:
    """Return which words, from 1, are probably wrong: one, or two neighbours that changed places; none if it is more.

    The error stands in the checksum as it would at the end of the words, moved by as many steps as words follow it; going round
    the cycle moves it back.
    """
    error = _state(1, [*customisation, *words]) ^ 1
    last = _state(error, [0] * (_CYCLE - len(words)))
    for position in range(1, len(words) + 1):
        last = _state(last, [0])
        if last < 1024:
            return (position,)
        if position > 1 and last == (words[position - 2] ^ words[position - 1]) * 1025:
            return (position - 1, position)
    return ()


def _state(state: int, words: Iterable[int]) -> int:
    for word in words:
        top = state >> 20
        state = (state & 0xFFFFF) << 10 ^ word
        for bit, generator in enumerate(_GENERATORS):
            state ^= generator & -(top >> bit & 1)
    return state
