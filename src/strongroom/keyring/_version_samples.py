"""``VersionSamples``: which ciphertexts of a version were issued, seen again and moved away, by a sample in bounded memory.

The sample of a version is a bottom-k sketch (E. Cohen and H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007; before it
P. Gibbons, "Distinct sampling", VLDB 2001): of all ciphertexts those 256 whose *mark* is smallest. The mark is the first 8 bytes of the
nonce, which is random, so it needs no hash, and nobody can choose one: what does not authenticate is not noted. Of n ciphertexts
with k of them below the mark t, a part of 2**64, there are about k / t; a part p of them is found with a standard error of
sqrt(p (1 - p) / k), which is 3 % of all at most. Up to 256 the sample is the whole. Samples of several processes join into the
sample of all, however often and in whatever order: so a process notes for itself, and the database hears of it with the uses.

A ciphertext that is not sampled costs one comparison of 8 bytes.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.core import Clock, StorageError

SAMPLE_SIZE: Final = 256
MARK_BYTES: Final = 8
MARK: Final = slice(24, 24 + MARK_BYTES)
LATELY_S: Final = 30 * 86_400.0
_EVERY: Final = b"\xff" * 9
"""Greater than every mark."""
_FORMAT: Final = 1
_HEAD_BYTES: Final = 1 + 9
_ENTRY_BYTES: Final = MARK_BYTES + 3 * 4
_MAX_HELD: Final = 200_000
_MAX_ENTRIES: Final = 200_000
_LATEST: Final = 2**32 - 1


class Traced(NamedTuple):
    """What is known of one ciphertext: seconds since the Unix epoch, 0 where it did not happen as far as is known."""

    issued_at: int = 0
    """When it was made; 0 if that was before it was noted."""
    seen_at: int = 0
    """When it was last opened, for whatever reason."""
    moved_at: int = 0
    """When it was last replaced by one under another version or key."""

    def joined(self, other: "Traced") -> "Traced":
        """Return both as one."""
        issued = (self.issued_at, other.issued_at)
        issued_at = min(issued) if all(issued) else max(issued)
        return Traced(issued_at, max(self.seen_at, other.seen_at), max(self.moved_at, other.moved_at))

    @property
    def is_gone(self) -> bool:
        """Whether it was moved and not seen afterwards: then it is likely needed no more."""
        return self.moved_at > 0 and self.seen_at <= self.moved_at


class Sample(NamedTuple):
    """The ciphertexts of a version whose mark is below ``below``."""

    below: bytes = _EVERY
    traced: Mapping[bytes, Traced] = MappingProxyType({})

    @property
    def is_whole(self) -> bool:
        """Whether this has every ciphertext that was noted."""
        return self.below == _EVERY

    @property
    def each_stands_for(self) -> float:
        """How many ciphertexts there are for each in the sample."""
        return 1.0 if self.is_whole else 2.0**64 / (int.from_bytes(self.below[:MARK_BYTES]) or 1)

    def outstanding(self, now: float) -> "Outstanding":
        """Return what the sample says about all."""
        left = [one for one in self.traced.values() if not one.is_gone]
        seen = [one for one in left if one.seen_at]
        lately = [one for one in seen if now - one.seen_at <= LATELY_S]
        scale = self.each_stands_for
        margin = 0 if self.is_whole else round(2.0 * math.sqrt(len(left)) * scale)
        return Outstanding(
            round(len(self.traced) * scale),
            round(len(left) * scale),
            round((len(left) - len(seen)) * scale),
            round(len(lately) * scale),
            margin,
            self.is_whole,
        )

    def joined(self, other: "Sample") -> "Sample":
        """Return the sample of all that either is a sample of."""
        below = min(self.below, other.below)
        traced = {mark: one for mark, one in self.traced.items() if mark < below}
        for mark, one in other.traced.items():
            if mark < below:
                known = traced.get(mark)
                traced[mark] = one if known is None else known.joined(one)
        if len(traced) > SAMPLE_SIZE:
            marks = sorted(traced)
            below = marks[SAMPLE_SIZE]
            traced = {mark: traced[mark] for mark in marks[:SAMPLE_SIZE]}
        return Sample(below, traced)

    def encode(self) -> bytes:
        """Return 10 bytes and 20 for each ciphertext; ``decode`` reads them."""
        entries = (
            mark + b"".join(date.to_bytes(4) for date in self.traced[mark]) for mark in sorted(self.traced)
        )
        return bytes([_FORMAT]) + self.below.ljust(9, b"\x00") + b"".join(entries)

    @staticmethod
    def decode(encoded: bytes) -> "Sample":
        """Read what ``encode`` wrote. Raises StorageError for anything else."""
        n_entries, rest = divmod(len(encoded) - _HEAD_BYTES, _ENTRY_BYTES)
        if not 0 <= n_entries <= SAMPLE_SIZE or rest or encoded[0] != _FORMAT:
            raise StorageError("a sample of ciphertexts in the database is damaged")
        head = encoded[1:_HEAD_BYTES]
        below = head if head == _EVERY else head[:MARK_BYTES]
        traced = {}
        for at in range(_HEAD_BYTES, len(encoded), _ENTRY_BYTES):
            entry = encoded[at : at + _ENTRY_BYTES]
            dates = (int.from_bytes(entry[begin : begin + 4]) for begin in range(MARK_BYTES, _ENTRY_BYTES, 4))
            traced[entry[:MARK_BYTES]] = Traced(*dates)
        return Sample(below, traced)


class Outstanding(NamedTuple):
    """How many ciphertexts of a version were noted, and what became of them; estimates unless ``is_exact``."""

    n_known: int
    n_left: int
    """Those that were not moved away, or seen since: they may be needed still, unless their owners deleted them."""
    n_never_seen: int
    """Of those, the ones that nobody opened since they were made."""
    n_seen_lately: int
    """Of those, the ones that were opened within 30 days."""
    margin: int
    """``n_left`` is wrong by no more than this in 95 of 100 cases."""
    is_exact: bool


class _Room:
    """How much all samples of a process may note before it is written, and what is noted in this second."""

    def __init__(self, clock: Clock, n_free: int) -> None:
        self.n_free = n_free
        self.n_forgotten = 0
        self._clock = clock
        self._second = 0
        self.made = self.opened = Traced()

    def now(self) -> int:
        """Return the second; ``made`` and ``opened`` are what all that were made or opened in it have in common."""
        second = min(max(int(self._clock.now()), 1), _LATEST)
        if second != self._second:
            self._second = second
            self.made, self.opened = Traced(second), Traced(0, second)
        return second


class VersionSample:
    """What one process notes of one version between two flushes. Belongs to one event loop."""

    __slots__ = ("_room", "_traced", "below")

    def __init__(self, room: _Room) -> None:
        self._room = room
        self._traced: dict[bytes, Traced] = {}
        self.below = _EVERY
        """Marks that are not below this need not be noted."""

    def __len__(self) -> int:
        return len(self._traced)

    def issued(self, mark: bytes) -> None:
        """Note that a ciphertext was made whose mark is below ``below``."""
        self._room.now()
        self._note(mark, self._room.made)

    def seen(self, mark: bytes) -> None:
        """Note that one was opened."""
        known, now = self._traced.get(mark), self._room.now()
        if known is None:
            self._note(mark, self._room.opened)
        elif known.seen_at < now:  # most are opened more than once in a second, or by nobody
            self._traced[mark] = Traced(known.issued_at, now, known.moved_at)

    def moved(self, mark: bytes) -> None:
        """Note that one was opened and made anew under another version or key."""
        now = self._room.now()
        self._note(mark, Traced(seen_at=now, moved_at=now))

    def discarded(self, mark: bytes) -> None:
        """Forget one that was made and given to nobody."""
        if self._traced.pop(mark, None) is not None:
            self._room.n_free += 1

    def take(self) -> Sample:
        """Return what was noted since the last time, and begin anew."""
        taken, self._traced = Sample(self.below, self._traced), {}
        self._room.n_free += len(taken.traced)
        return taken

    def peek(self) -> Sample:
        """Return what was noted since ``take``."""
        return Sample(self.below, dict(self._traced))

    def put_back(self, sample: Sample) -> None:
        """Take back what ``take`` returned: it could not be written."""
        joined = sample.joined(Sample(self.below, self._traced))
        self._room.n_free -= len(joined.traced) - len(self._traced)
        self.below, self._traced = joined.below, dict(joined.traced)

    def follow(self, below: bytes) -> None:
        """Note no more than what the sample of all processes has room for."""
        self.below = min(self.below, below)

    def _note(self, mark: bytes, what: Traced) -> None:
        known = self._traced.get(mark)
        if known is not None:
            self._traced[mark] = known.joined(what)
            return
        if self._room.n_free <= 0:
            self._room.n_forgotten += 1
            return
        self._traced[mark] = what
        if len(self._traced) > SAMPLE_SIZE:
            self.below = max(self._traced)
            del self._traced[self.below]
        else:
            self._room.n_free -= 1


class VersionSamples:
    """The samples of the versions that one process used lately; belongs to one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._room = _Room(clock, _MAX_ENTRIES)
        self._held: dict[tuple[str, str], VersionSample] = {}
        self._spare = VersionSample(self._room)
        self._spare.below = b""  # no mark is below it
        self.on_forgetting: Callable[[], None] = lambda: None
        """Called when samples that ``of`` returned are not these any more."""

    def of(self, key_id: str, material_id: str) -> VersionSample:
        """Return where to note ciphertexts of a version; where there is no room, one that notes nothing."""
        place = (key_id, material_id)
        found = self._held.get(place)
        if found is None:
            if len(self._held) >= _MAX_HELD:
                return self._spare
            found = self._held[place] = VersionSample(self._room)
        return found

    def has_room_for(self, sample: VersionSample) -> bool:
        """Whether ``of`` returned a sample of the version's own."""
        return sample is not self._spare

    def issued(self, key_id: str, material_id: str, ciphertext: bytes) -> None:
        """Note that a ciphertext was made under a version."""
        mark, sample = mark_of(ciphertext), self.of(key_id, material_id)
        if mark < sample.below:
            sample.issued(mark)

    def discarded(self, key_id: str, material_id: str, ciphertext: bytes) -> None:
        """Forget one that was made just now and given to nobody."""
        self.of(key_id, material_id).discarded(mark_of(ciphertext))

    def seen(self, key_id: str, material_id: str, ciphertext: bytes) -> None:
        """Note that one was opened."""
        mark, sample = mark_of(ciphertext), self.of(key_id, material_id)
        if mark < sample.below:
            sample.seen(mark)

    def moved(self, key_id: str, material_id: str, ciphertext: bytes) -> None:
        """Note that one was opened and made anew."""
        mark, sample = mark_of(ciphertext), self.of(key_id, material_id)
        if mark < sample.below:
            sample.moved(mark)

    @property
    def n_forgotten(self) -> int:
        """Ciphertexts that found no room between two flushes."""
        return self._room.n_forgotten

    def noted_of(self, key_id: str, material_ids: Iterable[str]) -> dict[str, Sample]:
        """Return what is noted of these versions of a key and not written yet, by material id."""
        held = {material_id: self._held.get((key_id, material_id)) for material_id in material_ids}
        return {material_id: one.peek() for material_id, one in held.items() if one}

    def waiting(self) -> list[tuple[str, str]]:
        """Return the versions of which something is noted; when there are many, the others are forgotten."""
        noted = {place: held for place, held in self._held.items() if len(held)}
        if len(self._held) > _MAX_HELD // 2:
            self._held = dict(noted)
            self.on_forgetting()
        return list(noted)


def mark_of(ciphertext: bytes) -> bytes:
    """Return the first 8 bytes of the nonce: they stand behind 23 bytes of header and one of length."""
    return ciphertext[MARK]
