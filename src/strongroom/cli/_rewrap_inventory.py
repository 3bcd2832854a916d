"""What a rewrap finds, counted by key version: the draft of an inventory."""

import uuid
from collections import Counter

from strongroom.core import INVENTORY_FORMAT, Clock, Inventory, VersionFound
from strongroom.envelope import Blob, MalformedBlobError, Purpose


class Counting:
    """Counts the ciphertexts of one key as a rewrap goes."""

    def __init__(self, key_id: str, kind: str, store: str, clock: Clock) -> None:
        self._key_id = key_id
        self._id_bytes = uuid.UUID(key_id).bytes
        self._kind = kind
        self._store = store[:256]
        self._clock = clock
        self._began_at = clock.now()
        self._found: Counter[int] = Counter()
        self._rewrapped: Counter[int] = Counter()
        self._left: Counter[int] = Counter()
        self._scanned = 0
        self._unreadable = 0

    def found(self, ciphertext: bytes) -> None:
        """Count what was there before."""
        version = self._version_of(ciphertext)
        if version:
            self._found[version] += 1

    def rewrapped(self, ciphertext: bytes) -> None:
        """Count one that was replaced."""
        version = self._version_of(ciphertext)
        if version:
            self._rewrapped[version] += 1

    def left(self, ciphertext: bytes) -> None:
        """Count what is there at the end."""
        version = self._version_of(ciphertext)
        if version is None:
            self._unreadable += 1
        elif version:
            self._scanned += 1
            self._left[version] += 1

    def unreadable(self) -> None:
        """Count what stands where a ciphertext should, and is none."""
        self._unreadable += 1

    def line(self, before: bytes | None, after: bytes | None) -> None:
        """Count a line: the ciphertext that it had, None for none that could be read, and the one in its place, if there is one."""
        if before is None:
            self.unreadable()
            return
        self.found(before)
        if after is not None:
            self.rewrapped(before)
        self.left(before if after is None else after)

    def inventory(self, *, is_complete: bool) -> Inventory:
        """Return what was found."""
        numbers = sorted({*self._found, *self._left})
        return Inventory(
            INVENTORY_FORMAT,
            self._key_id,
            self._kind,  # type: ignore[arg-type]  # one of the two, as the commands say it
            self._store,
            round(self._began_at, 3),
            round(self._clock.now(), 3),
            self._scanned,
            self._unreadable,
            is_complete,
            [VersionFound(n, self._found[n], self._rewrapped[n], self._left[n]) for n in numbers],
        )

    def _version_of(self, ciphertext: bytes) -> int | None:
        """Return the version that a ciphertext of this key names; 0 for one of another key, None for what is none."""
        try:
            blob = Blob.parse(ciphertext)
        except MalformedBlobError:
            return None
        if blob.purpose is not Purpose.DATA or blob.wrapping_key_id != self._id_bytes:
            return 0
        return blob.wrapping_key_version
