"""The end of old roots: what main sees for itself before it destroys them.

Enough members prove the current root → nobody can be using an old one any more → every domain KEK opens under the current
one → tombstone, in a transaction that finds each domain KEK as it was opened → destroyed on every member.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from strongroom.core import Clock, StrongroomError
from strongroom.hsm.cluster import TooFewCopiesError
from strongroom.keyring import DomainsChangedError, RootScan
from strongroom.runtime._any_member import AnyMember
from strongroom.runtime._reconciling import Reconciling
from strongroom.storage import RootRecord, RootState, Store, Transaction
from strongroom.wiring.root_door import DEFAULT_DOMAINS_PER_S, RetiredRoot, RootAnswer

_MOST_AT_ONCE: Final = 50
_SCANS: Final = 5
_FASTER: Final = 3.0
"""The scan asks an HSM once for each domain KEK, rewrapping three times."""
_MARGIN_S: Final = 1.0


class RootRotationError(StrongroomError):
    """The root cannot be rotated or retired as things are; the message says why."""


class RootRetiring:
    """Destroys old roots under which nothing hangs. Belongs to the event loop of main."""

    def __init__(self, store: Store, keys: Reconciling, *, request_s: float, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._request_s = request_s
        self._clock = clock

    async def retire(self, old: Sequence[RootRecord]) -> RootAnswer:
        """Destroy old roots. Raises RootRotationError, TooFewCopiesError and other HsmErrors; then nothing is destroyed."""
        current = self._store.get_current_root()
        proved = await self._keys.roots.prove(current)
        if len(proved) < self._keys.roots.n_wanted:
            raise TooFewCopiesError(
                f"{len(proved)} members prove that they hold the current root, and {self._keys.roots.n_wanted} must",
                next_step="bring the others back: strongroom members list",
            )
        await self._until_nobody_uses_them()
        members = AnyMember(self._keys.serving)
        scan = RootScan(self._store, members, current, clock=self._clock, request_s=self._request_s)
        buried = await self._buried(old, current, scan)
        retired = []
        for record in buried:
            left_on = await self._keys.roots.sweep(record)
            retired.append(RetiredRoot(record.root_id.hex(), list(left_on)))
        return RootAnswer(current.root_id.hex(), held_by=proved, n_domains=scan.n_opened, retired=retired)

    async def _until_nobody_uses_them(self) -> None:
        """Wait until no request can be under way that read of a domain KEK before it was rewrapped."""
        last = self._store.get_last_root_rotation()
        if last is None:
            return
        since = max(last.last_at or 0.0, last.published_at or 0.0, last.finished_at or 0.0)
        left_s = since + self._request_s + _MARGIN_S - self._clock.now()
        await asyncio.sleep(min(max(left_s, 0.0), self._request_s + _MARGIN_S))

    async def _buried(
        self, old: Sequence[RootRecord], current: RootRecord, scan: RootScan
    ) -> Sequence[RootRecord]:
        """Make the tombstones in a transaction that sees every domain KEK as it was opened under the current root."""
        ids = {root.root_id: root for root in old}
        for _ in range(_SCANS):
            await scan.run(_MOST_AT_ONCE, self._pace)
            try:
                return await self._keys.roots.destroy(partial(self._entomb, ids, current, scan))
            except DomainsChangedError:
                continue  # what is new is opened, too
        raise RootRotationError("domain KEKs kept being changed meanwhile", next_step="try it again")

    def _entomb(
        self, old: Mapping[bytes, RootRecord], current: RootRecord, scan: RootScan, tx: Transaction
    ) -> Sequence[RootRecord]:
        counts = tx.count_domains_by_root()
        in_use = [root_id for root_id in old if counts.get(root_id)]
        if in_use or tx.get_current_root().root_id != current.root_id:
            raise RootRotationError(
                "something hangs under an old root again", next_step="see: strongroom root status"
            )
        scan.require_all_opened(tx)
        now = self._clock.now()
        buried = [root._replace(state=RootState.DESTROYED, destroyed_at=now) for root in old.values()]
        for record in buried:
            tx.move_root(record, was=RootState.OLD)  # here, and not before, it is gone for good
        return buried

    async def _pace(self, n_opened: int) -> None:
        last = self._store.get_last_root_rotation()
        per_s = _FASTER * (DEFAULT_DOMAINS_PER_S if last is None else last.domains_per_s)
        await asyncio.sleep(n_opened / per_s)
