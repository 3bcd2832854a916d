"""One share: what is said of it in public, its secret value, and its words.

The words hold, ten bits in each (SLIP-0039, "Format of the share mnemonic"):

| Bits | What |
|---|---|
| 15 | identifier of the set, random |
| 1 | extendable: the identifier has no part in the encryption under the passphrase |
| 4 | exponent of its iterations |
| 4 + 4 + 4 | number of the group, threshold of groups, count of groups; each less 1 |
| 4 + 4 | number of the share, threshold of the group; each less 1 |
| 128, 256, … | value, with zero bits in front until it fills words |
| 30 | checksum (RS1024) |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.core import Secret
from strongroom.shares._checksum import CHECKSUM_WORDS, checksum, is_intact, wrong_positions
from strongroom.shares._errors import ShareChecksumError, ShareFormatError, ShareLengthError
from strongroom.shares._field import MAX_VALUE_BYTES
from strongroom.shares._words import indices_of, words_of

MIN_VALUE_BYTES: Final = 16
MAX_SHARES: Final = 16
MAX_TEXT_CHARS: Final = 2_048
_HEAD_WORDS: Final = 4
_MIN_WORDS: Final = 20
_MAX_WORDS: Final = _HEAD_WORDS + -(-8 * MAX_VALUE_BYTES // 10) + CHECKSUM_WORDS
_MAX_PADDING_BITS: Final = 8
_CUSTOMISATION: Final = (b"shamir", b"shamir_extendable")
"""What the checksum is begun with: of sets that are not extendable, and of those that are."""


class SetParameters(NamedTuple):
    """What all shares of a set have in common."""

    set_identifier: int
    is_extendable: bool
    iteration_exponent: int
    group_threshold: int
    group_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """A share. Its repr shows no secret; ``words`` and ``value`` are the secret itself.

    Numbers count from 1. ``set_identifier`` has 15 bits, so two sets have the same one now and then.
    """

    set_identifier: int
    index: int
    """Number of the share in its group."""
    threshold: int
    """How many shares of its group are needed."""
    value: Secret
    iteration_exponent: int = 1
    is_extendable: bool = True
    group_index: int = 1
    group_threshold: int = 1
    group_count: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for what no share can say."""
        counts = (self.index, self.threshold, self.group_index, self.group_threshold, self.group_count)
        if not (
            0 <= self.set_identifier < 1 << 15
            and 0 <= self.iteration_exponent < 16
            and all(1 <= count <= MAX_SHARES for count in counts)
            and max(self.group_index, self.group_threshold) <= self.group_count
            and MIN_VALUE_BYTES <= len(self.value) <= MAX_VALUE_BYTES
            and len(self.value) % 2 == 0
        ):
            raise ValueError("a share has no such fields")

    @property
    def set_parameters(self) -> SetParameters:
        """What all shares of the set have in common."""
        return SetParameters(
            self.set_identifier,
            self.is_extendable,
            self.iteration_exponent,
            self.group_threshold,
            self.group_count,
        )

    @property
    def words(self) -> tuple[str, ...]:
        """The words, which whoever holds them holds the share by: 33 for 32 bytes, 20 for 16. Made anew each time."""
        padded = -(-8 * len(self.value) // 10)
        indices = [*self._head(), *_in_words(int.from_bytes(self.value.reveal(), "big"), padded)]
        return words_of([*indices, *checksum(indices, _CUSTOMISATION[self.is_extendable])])

    def zeroize(self) -> None:
        """Overwrite the value. Copies that were made of it, such as words, are out of reach."""
        self.value.zeroize()

    def _head(self) -> list[int]:
        number = self.set_identifier << 1 | self.is_extendable
        fields = (
            self.iteration_exponent,
            self.group_index - 1,
            self.group_threshold - 1,
            self.group_count - 1,
            self.index - 1,
            self.threshold - 1,
        )
        for field in fields:
            number = number << 4 | field
        return _in_words(number, _HEAD_WORDS)


def read_share(text: str) -> Share:
    """Read the words of a share, in any case, with any white space between them.

    Raises UnknownWordError, ShareLengthError, ShareChecksumError and ShareFormatError. Bounds: 2,048 characters, secrets of 128
    to 512 bits.
    """
    words = text.lower().split() if len(text) <= MAX_TEXT_CHARS else []
    if not words or len(words) > _MAX_WORDS:
        raise ShareLengthError(len(words) or len(text.split()))
    indices = indices_of(words)
    padding_bits = 10 * (len(indices) - _HEAD_WORDS - CHECKSUM_WORDS) % 16
    if len(indices) < _MIN_WORDS or padding_bits > _MAX_PADDING_BITS:
        raise ShareLengthError(len(indices))
    _check_checksum(indices)
    return _decoded(indices, padding_bits)


def _check_checksum(indices: Sequence[int]) -> None:
    is_extendable = indices[1] >> 4 & 1
    if is_intact(indices, _CUSTOMISATION[is_extendable]):
        return
    either = (_CUSTOMISATION[is_extendable], _CUSTOMISATION[1 - is_extendable])
    raise ShareChecksumError(next(filter(None, (wrong_positions(indices, one) for one in either)), ()))


def _decoded(indices: Sequence[int], padding_bits: int) -> Share:
    head = _from_words(indices[:_HEAD_WORDS])
    exponent, group_index, group_threshold, group_count, index, threshold = (
        head >> shift & 15 for shift in range(20, -1, -4)
    )
    if group_threshold > group_count or group_index > group_count:
        raise ShareFormatError("the share says that it is of more groups than there are")
    coded = indices[_HEAD_WORDS:-CHECKSUM_WORDS]
    n_bytes = (10 * len(coded) - padding_bits) // 8
    try:
        value = _from_words(coded).to_bytes(n_bytes, "big")
    except OverflowError:
        raise ShareFormatError("the share has bits in front of its value that are not zero") from None
    return Share(
        set_identifier=head >> 25,
        index=index + 1,
        threshold=threshold + 1,
        value=Secret(value),
        iteration_exponent=exponent,
        is_extendable=bool(head >> 24 & 1),
        group_index=group_index + 1,
        group_threshold=group_threshold + 1,
        group_count=group_count + 1,
    )


def _in_words(number: int, count: int) -> list[int]:
    return [number >> shift & 1023 for shift in range(10 * (count - 1), -1, -10)]


def _from_words(indices: Sequence[int]) -> int:
    number = 0
    for index in indices:
        number = number << 10 | index
    return number
