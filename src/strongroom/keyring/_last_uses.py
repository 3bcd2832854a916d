"""``LastUses``: when each version of a key was last used, gathered in memory and written now and then.

A use costs a look into a dict; the database hears of it with the next ``flush``, about once a minute, in one row for each
version that was used meanwhile. Each process notes its own; the rows join them. What a crash takes away is the last
minute of one process, which the audit log has.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from strongroom.core import Clock, KeyState, StorageError
from strongroom.keyring._key_state import at_time, read_key
from strongroom.keyring._version_samples import Outstanding, Sample, VersionSamples
from strongroom.keyring._versions import NO_MATERIAL, all_versions
from strongroom.storage import KeyRecord, KeyUseRecord, KeyVersionRecord, Store, Transaction

_MAX_HELD: Final = 200_000
_ROWS_A_WRITE: Final = 500
_REST: Final = 4.0
"""How many times as long as a write took a gentle flush rests after it: callers have their turn meanwhile."""
_PROCESSING: Final = frozenset({"Decrypt", "Verify", "VerifyMac"})


class LastUse(NamedTuple):
    """The last time that a key did what it is for, and since when that is noted."""

    key_id: str
    created_at: float
    tracked_since: float
    """Seconds since the Unix epoch; not before the key was made."""
    used_at: float | None = None
    """None: not since then."""
    operation: str = ""
    request_id: str = ""


class VersionUses(NamedTuple):
    """One version of a key, and how it was used as far as that was noted."""

    version: int
    material_id: str
    created_at: float
    is_current: bool
    n_uses: int
    used_at: float | None
    n_protected: int = 0
    """How many of the uses protected something, since they are told apart."""
    protected_at: float | None = None
    processed_at: float | None = None
    """When something was last opened or verified."""
    outstanding: Outstanding | None = None
    """What is known of its ciphertexts; None where it has none, or none was noted."""
    is_in_use: bool = True
    """Whether its end needs an approval; the current version, and one that waits, cannot be ended at all."""
    retired_at: float | None = None
    """When its material was destroyed."""
    closed_by: str = ""
    """Digest of the inventory that shows that nobody needs it."""


class KeyVersionUses(NamedTuple):
    """The versions of a key, oldest first, with their uses."""

    key_id: str
    tracked_since: float
    versions: tuple[VersionUses, ...]
    state: KeyState = KeyState.ACTIVE


class _Noted(Struct, gc=False):
    """The uses of one version since the last flush; like ``KeyUseRecord``, but it changes with each of them."""

    key_id: str
    material_id: str
    n_uses: int
    used_at: float
    operation: str
    request_id: str
    n_protected: int
    protected_at: float | None
    processed_at: float | None

    def record(self) -> KeyUseRecord:
        """Return it as the database has it."""
        return KeyUseRecord(*astuple(self))


class LastUses:
    """Notes uses of keys; belongs to one event loop. Between two flushes it knows 200,000 versions at most, 80 MB of them."""

    def __init__(self, store: Store, samples: VersionSamples, *, clock: Clock) -> None:
        """What ``samples`` note is written and told with the uses."""
        self._samples = samples
        self._store = store
        self._clock = clock
        self._held: dict[tuple[str, str], _Noted] = {}
        self._writing: dict[tuple[str, str], _Noted] = {}
        self._turn = asyncio.Lock()
        self._n_hurried = 0  # flushes under way that are not gentle
        self.n_forgotten = 0
        """Uses that found no room. Their versions look less recently used than they are."""

    @property
    def is_filling(self) -> bool:
        """Whether it should be written soon: uses of more versions will find no room."""
        return len(self._held) >= _MAX_HELD // 2

    def note(
        self,
        key_id: str,
        material_id: str,
        operation: str,
        request_id: str,
        *,
        n_uses: int = 1,
        is_processing: bool = False,
    ) -> None:
        """Note that a version was used just now, ``n_uses`` times.

        Whether it protected something follows from the operation, but for ``is_processing``: of ReEncrypt the source.
        """
        place = (key_id, material_id)
        noted = self._held.get(place)
        if noted is None:
            if len(self._held) >= _MAX_HELD:
                self.n_forgotten += 1
                return
            noted = self._held[place] = _Noted(
                key_id, material_id, 0, 0.0, operation, request_id, 0, None, None
            )
        noted.n_uses += n_uses
        noted.used_at = now = self._clock.now()
        noted.operation, noted.request_id = operation, request_id
        if is_processing or operation in _PROCESSING:
            noted.processed_at = now
        else:
            noted.protected_at = now
            noted.n_protected += n_uses

    def last_use(self, key_id: str) -> LastUse:
        """Tell the last use of a key in any state: by all processes as of their last flush, by this one as of now.

        Raises KeyNotFoundError.
        """
        record = read_key(self._store, key_id)
        uses = self._store.list_key_uses(key_id)
        uses += self._unwritten(key_id, all_versions(self._store, key_id))
        since = max(self._store.get_use_tracking_start(), record.created_at)
        known = LastUse(key_id, record.created_at, since)
        if not uses:
            return known
        last = max(uses, key=lambda use: use.used_at)
        return known._replace(used_at=last.used_at, operation=last.operation, request_id=last.request_id)

    def uses_of_versions(self, key_id: str) -> KeyVersionUses:
        """Tell how each version of a key was used; as current as ``last_use``. Raises KeyNotFoundError."""
        record = read_key(self._store, key_id)
        uses = {use.material_id: use for use in self._store.list_key_uses(key_id)}
        versions = all_versions(self._store, key_id)
        for held in self._unwritten(key_id, versions):
            known = uses.get(held.material_id)
            uses[held.material_id] = held if known is None else known.joined(held)
        since = max(self._store.get_use_tracking_start(), record.created_at)
        outstanding = self._outstanding(key_id, versions)
        return KeyVersionUses(
            key_id,
            since,
            tuple(
                _version_uses(
                    record, version, uses.get(version.material_id), outstanding.get(version.material_id)
                )
                for version in versions
                if version.material_id != NO_MATERIAL
            ),
            at_time(record, self._clock.now()).state,
        )

    async def flush(self, *, gently: bool = False) -> int:
        """Write what was noted, and return how many versions that were. Raises StorageError: then it is kept for the next.

        So it is when this is cancelled; what was being written may then be counted twice, which is better than never.
        A gentle one rests between its writes, until one comes that is not.
        """
        self._n_hurried += not gently
        try:
            async with self._turn:
                await self._flush_samples()
                return await self._flush_uses()
        finally:
            self._n_hurried -= not gently

    async def _flush_uses(self) -> int:
        self._writing, self._held = self._held, {}
        waiting = iter(list(self._writing.values()))
        n_written = 0
        try:
            while part := list(islice(waiting, _ROWS_A_WRITE)):
                began = self._clock.monotonic()
                await self._store.note(partial(_note, uses=[noted.record() for noted in part]))
                for use in part:
                    del self._writing[use.key_id, use.material_id]
                n_written += len(part)
                await self._rest(began)
        finally:  # nothing is left but after an error
            for place, use in self._writing.items():
                newer = self._held.get(place)
                both = use if newer is None else _Noted(*use.record().joined(newer.record()))
                self._held[place] = both
            self._writing = {}
        return n_written

    async def _rest(self, began: float) -> None:
        if not self._n_hurried:
            await asyncio.sleep(_REST * (self._clock.monotonic() - began))

    def _unwritten(self, key_id: str, versions: Sequence[KeyVersionRecord]) -> list[KeyUseRecord]:
        """Return what is noted of a key's versions and not written yet."""
        places = [(key_id, version.material_id) for version in versions]
        return [
            held[place].record() for held in (self._writing, self._held) for place in places if place in held
        ]

    def _outstanding(self, key_id: str, versions: Sequence[KeyVersionRecord]) -> dict[str, Outstanding]:
        """Return what is known of the ciphertexts of a key's versions, by material id."""
        samples = {
            material_id: Sample.decode(sample)
            for material_id, sample in self._store.list_version_samples(key_id).items()
        }
        for material_id, noted in self._samples.noted_of(
            key_id, [version.material_id for version in versions]
        ).items():
            known = samples.get(material_id)
            samples[material_id] = noted if known is None else known.joined(noted)
        now = self._clock.now()
        return {material_id: sample.outstanding(now) for material_id, sample in samples.items()}

    async def _flush_samples(self) -> None:
        """Join what was noted of ciphertexts with what the database has; what cannot be written is kept."""
        waiting = iter(self._samples.waiting())
        while part := list(islice(waiting, _ROWS_A_WRITE)):
            began = self._clock.monotonic()
            taken = {place: self._samples.of(*place).take() for place in part}
            try:
                below = await self._store.note(partial(_join_samples, samples=taken))
            except (StorageError, asyncio.CancelledError):
                for place, sample in taken.items():
                    self._samples.of(*place).put_back(sample)
                raise
            for place, mark in below.items():
                self._samples.of(*place).follow(mark)
            await self._rest(began)


def _version_uses(
    record: KeyRecord, version: KeyVersionRecord, use: KeyUseRecord | None, outstanding: Outstanding | None
) -> VersionUses:
    return VersionUses(
        version.version,
        version.material_id,
        version.created_at,
        version.version == record.current_version,
        0 if use is None else use.n_uses,
        None if use is None else use.used_at,
        0 if use is None else use.n_protected,
        None if use is None else use.protected_at,
        None if use is None else use.processed_at,
        outstanding,
    )


def _join_samples(
    tx: Transaction, *, samples: Mapping[tuple[str, str], Sample]
) -> dict[tuple[str, str], bytes]:
    """Store samples joined with what is there, and return up to which mark each goes.

    One that is damaged stays so, for whoever looks at its key to be told, and nothing more is noted for it: uses, by which
    versions are judged, are written all the same.
    """
    stored = tx.list_samples_of_keys({key_id for key_id, _ in samples})
    joined = {}
    for place, sample in samples.items():
        with contextlib.suppress(StorageError):  # of what cannot be decoded; the database was asked before
            joined[place] = Sample.decode(stored[place]).joined(sample) if place in stored else sample
    tx.put_version_samples({place: sample.encode() for place, sample in joined.items()})
    return {place: joined[place].below if place in joined else b"" for place in samples}


def _note(tx: Transaction, *, uses: Sequence[KeyUseRecord]) -> None:
    tx.note_key_uses(uses)
