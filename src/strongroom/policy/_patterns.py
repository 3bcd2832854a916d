"""``Pattern``: ``*`` for any characters, ``?`` for exactly one, matched without going back.

The text between two stars is sought from where the last one ended; the first place is always as good as any later
one, so nothing is ever tried twice. Characters behind a ``?`` are compared at their distance from the piece's begin.
"""

from typing import Final, NamedTuple

WILDCARDS: Final = frozenset("*?")
_FIXED: Final = 400
_PER_LITERAL: Final = 200
_PER_CHAR: Final = 2
_PER_TRY: Final = 100
_FEW_LITERALS: Final = 8


class _Literal(NamedTuple):
    offset: int
    text: str


class _Piece(NamedTuple):
    """What stands between two stars."""

    length: int
    literals: tuple[_Literal, ...]
    """The runs without ``?``; none when the piece consists of ``?`` only."""
    anchor: _Literal
    """The longest of them, which is sought; empty when there is none."""

    def is_at(self, value: str, start: int) -> bool:
        return all(value.startswith(text, start + offset) for offset, text in self.literals)

    def find(self, value: str, start: int, end: int) -> int:
        """Return where it first stands within ``value[start:end]``, -1 for nowhere."""
        offset, text = self.anchor
        if len(self.literals) <= 1:  # one run, or ``?`` only: wherever the run is and the rest has room
            last = end - self.length + offset + len(text)
            found = value.find(text, start + offset, last) if last >= start + offset else -1
            return found if found < 0 else found - offset
        while start + self.length <= end:
            found = value.find(text, start + offset, end - self.length + offset + len(text))
            if found < 0:
                return -1
            if self.is_at(value, found - offset):
                return found - offset
            start = found - offset + 1
        return -1


class Pattern:
    """A text with wildcards, prepared once. ``*`` matches line ends too; there is no escape character."""

    __slots__ = ("_floating", "_has_star", "_head", "_min_len", "_tail", "fixed_cost", "per_char_cost")

    fixed_cost: int
    """Upper bound of what a match costs in nanoseconds or so, whatever the value; comparable between patterns."""
    per_char_cost: int
    """As much more for each character of the value."""

    def __init__(self, text: str) -> None:
        pieces = [_piece(part) for part in text.split("*")]
        self._has_star = len(pieces) > 1
        self._head, self._tail = pieces[0], pieces[-1]
        self._floating = tuple(piece for piece in pieces[1:-1] if piece.length)
        self._min_len = sum(piece.length for piece in self._floating) + self._head.length
        self._min_len += self._tail.length if self._has_star else 0
        n_literals = sum(len(piece.literals) for piece in (self._head, *self._floating, self._tail))
        self.fixed_cost = _FIXED + _PER_LITERAL * min(n_literals, _FEW_LITERALS)
        # Where a piece is sought begins behind the last one: the value is gone through once, whatever the number of pieces.
        most_tried = max((len(piece.literals) for piece in self._floating), default=0)
        self.per_char_cost = _PER_CHAR if self._floating else 0
        if most_tried > 1:
            self.per_char_cost += _PER_TRY * most_tried
        if (
            n_literals > _FEW_LITERALS
        ):  # however many there are, each takes a character of the value for itself
            self.per_char_cost += _PER_TRY

    def matches(self, value: str) -> bool:
        """Whether the whole value is as the pattern says."""
        end = len(value)
        if end < self._min_len or not self._head.is_at(value, 0):
            return False
        if not self._has_star:
            return end == self._min_len
        end -= self._tail.length
        if not self._tail.is_at(value, end):
            return False
        start = self._head.length
        for piece in self._floating:
            found = piece.find(value, start, end)
            if found < 0:
                return False
            start = found + piece.length
        return True


def has_wildcards(text: str) -> bool:
    """Whether a text is more than itself."""
    return not WILDCARDS.isdisjoint(text)


def _piece(text: str) -> _Piece:
    literals: list[_Literal] = []
    offset = 0
    for run in text.split("?"):
        if run:
            literals.append(_Literal(offset, run))
        offset += len(run) + 1
    anchor = max(literals, key=lambda literal: len(literal.text), default=_Literal(0, ""))
    return _Piece(len(text), tuple(literals), anchor)
