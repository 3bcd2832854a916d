"""What can be wrong with shares. No message holds a word of a share: errors are logged, shares are not.

ShareError
├── SharePlanError          such a sharing cannot be made
├── UnknownWordError        a word is not in the list; ``nearest`` is for the screen of whoever typed it alone
├── ShareLengthError        words are missing, or there are too many
├── ShareChecksumError      a word is mistyped, or words are in another order
├── ShareFormatError        the checksum is right, and yet it is no share
├── TooManyIterationsError  the decryption that the shares ask for takes too long
├── TooFewSharesError       more shares are needed
├── DuplicateShareError     a share came twice, or two that say that they are the same one
├── ForeignShareError       a share is of another set
├── WrongSharesError        the shares do not make the secret that was split: one of them was made up
└── PossessionError         a proof of possession does not fit
"""

from strongroom.core import StrongroomError


class ShareError(StrongroomError):
    """Root of what is wrong with shares."""


class SharePlanError(ShareError):
    """Such a sharing cannot be made: thresholds, counts, the length of the secret, the passphrase."""


class UnknownWordError(ShareError):
    """A word is not one of the 1024. ``position`` counts from 1.

    ``nearest`` has up to three words of the list like the one that was typed. It is no part of the message: show it to whoever
    typed the share, and nowhere else.
    """

    def __init__(self, position: int, nearest: tuple[str, ...]) -> None:
        super().__init__(
            f"word {position} is not in the list of words", next_step="look at it again, letter by letter"
        )
        self.position = position
        self.nearest = nearest


class ShareLengthError(ShareError):
    """A share with so many words does not exist. ``found`` is how many there are."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"a share has 33 words (20 where the secret has 128 bits), this one has {found}",
            next_step="look for a word that was left out or typed twice",
        )
        self.found = found


class ShareChecksumError(ShareError):
    """The checksum is wrong. ``positions``, from 1: one word, or two neighbours that changed places, would explain it; else none."""

    def __init__(self, positions: tuple[int, ...]) -> None:
        where = {
            0: "more than one word is wrong, or words are in another order",
            1: f"word {positions[0] if positions else 0} is probably the wrong one",
            2: f"words {' and '.join(map(str, positions))} have probably changed places",
        }[len(positions)]
        super().__init__(
            f"the checksum of the share is wrong: {where}",
            next_step="compare it word by word with the original",
        )
        self.positions = positions


class ShareFormatError(ShareError):
    """The checksum is right, but what it protects is no share: no mistyping, somebody made it so."""


class TooManyIterationsError(ShareError):
    """The shares ask for a decryption that takes minutes. Those of backup sets never do: it keeps a command busy, no more."""

    def __init__(self, exponent: int, most: int) -> None:
        super().__init__(
            f"the shares ask for iterations with the exponent {exponent}, and up to {most} are taken",
            next_step="shares that were made here have 1: find out who made these; or combine them with another SLIP-39 tool",
        )


class TooFewSharesError(ShareError):
    """More are needed. ``have`` and ``need`` count shares; complete groups where a set has more than one."""

    def __init__(self, have: int, need: int, *, of: str = "shares") -> None:
        super().__init__(
            f"{need} {of} are needed, and there {'is' if have == 1 else 'are'} {have or 'none'}",
            next_step=f"bring {need - have} more of the same set",
        )
        self.have = have
        self.need = need


class DuplicateShareError(ShareError):
    """Two shares have one number. ``positions``, from 1, are their places among those that were given.

    ``is_same``: it is the same share twice; else they differ, and one of them was made up.
    """

    def __init__(self, index: int, positions: tuple[int, int], *, is_same: bool) -> None:
        first, second = positions
        super().__init__(
            f"share {index} came twice (as the {_nth(first)} and as the {_nth(second)})"
            if is_same
            else f"the {_nth(first)} and the {_nth(second)} both say that they are share {index}, and differ",
            next_step="bring another share of the set"
            if is_same
            else "one of them is of no set that was made here",
        )
        self.index = index
        self.positions = positions
        self.is_same = is_same


class ForeignShareError(ShareError):
    """Shares of several sets. ``positions``, from 1: those that are not of the set that most are of, or the later ones."""

    def __init__(self, positions: tuple[int, ...], what: str) -> None:
        which = " and ".join(_nth(position) for position in positions)
        super().__init__(
            f"the {which} of the shares {'is' if len(positions) == 1 else 'are'} of another set: {what}",
            next_step="all shares of a set begin with the same two words",
        )
        self.positions = positions


class WrongSharesError(ShareError):
    """The shares say that they belong together, but do not make the secret that was split."""

    def __init__(self) -> None:
        super().__init__(
            "these shares do not belong together, though each of them says so: at least one was made up or altered",
            next_step="try them with another share in the place of each in turn",
        )


class PossessionError(ShareError):
    """A proof of possession does not fit: of another share, of another challenge or set, or malformed."""


def _nth(position: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th") if position not in {11, 12, 13} else "th"
    return f"{position}{ending}"
