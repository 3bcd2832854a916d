"""What ``strongroom members test`` has a member do: prove its roots and keys, each step timed."""

from collections.abc import Awaitable

from strongroom.core import Clock, Deadline, HsmKeyNotFoundError, RootId
from strongroom.hsm.cluster import Canary, Replica, prove_key, prove_use
from strongroom.storage import HsmKeyRecord, HsmKeyState, Store
from strongroom.wiring.members_door import ProofStep

_LIMIT_S = 10.0
"""For one step: all together take a slow HSM longer, and that is no failure."""
_MOST_KEYS = 100


class MemberTests:
    """Belongs to the event loop of main."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self, member: Replica, steps: list[ProofStep]) -> None:
        """Have a member prove itself; adds each step that it passed. Raises HsmError."""
        for root in self._store.list_roots():
            canary = Canary(root.canary, root.canary_digest)
            root_id = RootId(root.root_id)
            proof = prove_use(root_id, canary, member.use, deadline=self._soon())
            try:
                await self._timed(steps, f"root {root_id.hex()}", proof)
            except HsmKeyNotFoundError:
                if any(one.root_id == root.root_id for one in self._store.list_roots()):
                    raise  # else it was destroyed while it was proved
        await self._timed(steps, "random bytes", member.use.random(32, deadline=self._soon()))
        await self._timed(steps, "list of objects", member.keys.list_objects(deadline=self._soon()))
        for record in self._held_by(member.name)[:_MOST_KEYS]:
            proof = prove_key(record, member.use, None, deadline=self._soon())
            await self._timed(steps, f"key {record.key_id.hex()} ({record.spec})", proof)

    def _soon(self) -> Deadline:
        return Deadline.after(self._clock, _LIMIT_S)

    async def _timed(self, steps: list[ProofStep], what: str, work: Awaitable[object]) -> None:
        began = self._clock.monotonic()
        await work
        steps.append(ProofStep(what, round((self._clock.monotonic() - began) * 1000, 3)))

    def _held_by(self, member: str) -> list[HsmKeyRecord]:
        held = {copy.key_id for copy in self._store.list_held_hsm_key_copies() if copy.member == member}
        return [record for record in self._store.list_hsm_keys(HsmKeyState.ACTIVE) if record.key_id in held]
