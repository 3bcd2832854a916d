"""Rotations of the root: what main does for the home's owner, and what it sees for itself before it destroys a root.

    rotate    the rotation is durable → a new root is made, copied, proved → it is the current one, durable
    (then an API process rewraps what hangs under old roots: ``service.RootRewraps``)
    retire    nothing hangs under old roots → every domain KEK is opened under the current one → tombstone, if each is still
              what was opened → destroyed on every member

A rotation that was killed while its root was made is taken up at the next start: what was made is undone, and another
root is made. Destroying is a step of its own, since backups of the database from before the rotation can only be opened
with the old root: a person decides when those are not needed any more.

Nobody but the home's owner is heard: a process of our own user that is none of the API processes. Where there are officers,
they approve each rotation and each end of a root, and every member counts their signatures (``custody``). An approval is spent when it is
begun: a rotation that was interrupted needs another one.
"""

import asyncio
import os
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from strongroom.audit import AuditLog
from strongroom.core import (
    ApprovalRequiredError,
    Clock,
    Deadline,
    EventSink,
    HsmKeyNotFoundError,
    HsmRequestError,
    StrongroomError,
    random_bytes,
)
from strongroom.hsm.cluster import MadeRootCopies
from strongroom.runtime._approved_acts import ApprovedAct
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._reconciling import Reconciling
from strongroom.runtime._root_retiring import RootRetiring, RootRotationError
from strongroom.storage import (
    RootRecord,
    RootRotationRecord,
    RootState,
    RotationState,
    Store,
    Transaction,
)
from strongroom.wiring.root_door import RootAnswer, RootRequest

_MAKE_LIMIT_S: Final = 60.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_UNDER_WAY: Final = (RotationState.MAKING, RotationState.REWRAPPING)


class RootKeeping:
    """Rotates the root and retires old ones. Belongs to the event loop of main."""

    def __init__(
        self,
        store: Store,
        keys: Reconciling,
        audit: AuditLog,
        *,
        api_pids: Callable[[], Collection[int]],
        custody: CustodyKeeping | None = None,
        request_s: float,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``custody``: where officers approve rotations; without it the home's owner is heard alone.

        ``request_s`` is how long a request may wait for HSMs: so long an old root may be in use after it was read of.
        """
        self._custody = custody
        self._store = store
        self._keys = keys
        self._audit = audit
        self._api_pids = api_pids
        self._retiring = RootRetiring(store, keys, request_s=request_s, clock=clock)
        self._events = events
        self._clock = clock
        self._turn = asyncio.Lock()
        self._resuming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take up a rotation whose root was being made when an earlier service ended. Raises StorageError."""
        if self._waiting() is not None:
            self._resuming = asyncio.ensure_future(self._resume())

    def close(self) -> None:
        """End; a rotation that is being begun is taken up at the next start."""
        if self._resuming is not None:
            self._resuming.cancel()

    async def answer(self, request: RootRequest, pid: int) -> RootAnswer:
        """Do what the home's owner asks.

        Raises ApprovalRequiredError for an API process, or where officers have not approved it, RootRotationError when it cannot be done now, HsmError,
        StorageError and AuditUnavailableError.
        """
        if pid in self._api_pids():
            raise ApprovalRequiredError("API processes do not rotate the root")
        if self._turn.locked():
            raise RootRotationError(
                "another command about the root is at work", next_step="see: strongroom root status"
            )
        async with self._turn:
            if request.action == "rotate":
                return await self._rotate(request.domains_per_s, request.approval)
            if request.action == "rate":
                return await self._set_rate(request.domains_per_s)
            return await self._retire(request.approval)

    async def _claimed(self, approval: str, verb: str, root: RootRecord) -> ApprovedAct | None:
        """Spend what officers approved of a root; None where there are no officers. Raises ApprovalRequiredError."""
        if self._custody is None:
            return None
        return await self._custody.claimed(approval, verb, {"root_id": root.root_id.hex()}, _owner())

    def _carrying(self, act: ApprovedAct | None, kind: str, name: str) -> AbstractContextManager[None]:
        return nullcontext() if self._custody is None else self._custody.carrying(act, kind, [name])

    def _told_of(self, act: ApprovedAct | None) -> dict[str, str]:
        """Say in an entry under which approval it is done, and by which evidence that is proved."""
        if act is None or self._custody is None:
            return {}
        return {"approval": act.approval, "evidence": self._custody.evidence_sha256(act)}

    async def _rotate(self, domains_per_s: float, approval: str) -> RootAnswer:
        self._require_none_under_way()
        act = await self._claimed(approval, "RotateRoot", self._store.get_current_root())
        now = self._clock.now()
        rotation_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
        rotation = RootRotationRecord(rotation_id, RotationState.MAKING, _owner(), now, domains_per_s)
        detail = {"rotation": rotation_id, "domains_per_s": f"{domains_per_s:g}", **self._told_of(act)}
        await self._audit.record("intent", "root.Rotate", principal=_owner(), detail=dict(detail))
        await self._store.write(lambda tx: tx.insert_root_rotation(rotation))
        try:
            with self._carrying(act, "make-root", ""):
                made = await self._make(rotation)
        except StrongroomError as error:
            try:
                await self._give_up(rotation, error)
            finally:
                self.start()  # where not even that could be written, nobody else would go on
            raise
        n_domains = await self._tell_made(rotation, made)
        return RootAnswer(made.record.root_id.hex(), list(made.held_by), list(made.lacking), n_domains)

    def _require_none_under_way(self) -> None:
        last = self._store.get_last_root_rotation()
        current = self._store.get_current_root().root_id
        n_left = sum(n for root_id, n in self._store.count_domains_by_root().items() if root_id != current)
        if n_left or (last is not None and last.state in _UNDER_WAY):
            raise RootRotationError(
                f"a rotation is under way: {n_left} domain KEKs hang under old roots",
                next_step="wait until it is finished: strongroom root status --wait",
            )

    async def _make(self, rotation: RootRotationRecord) -> MadeRootCopies:
        def publish(tx: Transaction, record: RootRecord) -> None:
            tx.publish_root(record)
            n_domains = sum(tx.count_domains_by_root().values())
            begun = rotation._replace(
                state=RotationState.REWRAPPING,
                root_id=record.root_id,
                published_at=self._clock.now(),
                n_domains=n_domains,
            )
            tx.change_root_rotation(begun)

        deadline = Deadline.after(self._clock, _MAKE_LIMIT_S)
        made = await self._keys.roots.make(publish, deadline=deadline)
        for member in made.lacking:
            lacks = HsmKeyNotFoundError("the member serves and did not get the new root")
            self._keys.must_come_back(member, lacks)
        return made

    async def _tell_made(self, rotation: RootRotationRecord, made: MadeRootCopies) -> int:
        published = self._store.get_last_root_rotation()
        n_domains = 0 if published is None else published.n_domains
        detail = {
            "rotation": rotation.rotation_id,
            "root": made.record.root_id.hex(),
            "members": ", ".join(made.held_by),
            "domains": str(n_domains),
        }
        await self._audit.record(
            "outcome", "root.Rotate", principal=rotation.asked_by, outcome="ok", detail=detail
        )
        return n_domains

    async def _give_up(self, rotation: RootRotationRecord, error: StrongroomError) -> None:
        now = self._clock.now()
        failed = rotation._replace(
            state=RotationState.FAILED, finished_at=now, trouble=error.message[:1000], trouble_at=now
        )

        def fail(tx: Transaction) -> None:
            found = tx.get_last_root_rotation()
            if (
                found is not None and found.state is RotationState.MAKING
            ):  # else what failed was kept after all
                tx.change_root_rotation(failed)

        await self._store.write(fail)
        await self._audit.record(
            "outcome",
            "root.Rotate",
            principal=rotation.asked_by,
            outcome=type(error).__name__,
            detail={"rotation": rotation.rotation_id},
        )

    def _waiting(self) -> RootRotationRecord | None:
        """Return the rotation whose root is still to be made."""
        last = self._store.get_last_root_rotation()
        return last if last is not None and last.state is RotationState.MAKING else None

    async def _resume(self) -> None:
        """Make the root of a rotation that was interrupted, as soon as enough members serve."""
        pause_s = _FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            if len(self._keys.serving()) < self._keys.roots.n_wanted:
                continue
            async with self._turn:
                if await self._is_made():
                    return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _is_made(self) -> bool:
        """Try once more to make the root of a rotation; returns whether there is nothing more to try."""
        try:
            rotation = self._waiting()  # as it is now: its rate may have been changed
            if rotation is None:  # a commit that failed may be found complete
                return True
            try:
                made = await self._make(rotation)
            except (HsmRequestError, ApprovalRequiredError) as error:
                await self._give_up(rotation, error)
                return True
        except StrongroomError as error:
            self._events.emit("root.not_made", cause=error.message)
            return False
        try:
            await self._tell_made(rotation, made)
        except StrongroomError as error:
            self._events.emit("root.made_and_not_told", cause=error.message)
        return True

    async def _set_rate(self, domains_per_s: float) -> RootAnswer:
        last = self._store.get_last_root_rotation()
        if last is None or last.state not in _UNDER_WAY:
            raise RootRotationError(
                "no rotation is under way", next_step="begin one: strongroom root rotate --rate N"
            )

        def change(tx: Transaction) -> None:
            now = tx.get_last_root_rotation()
            if now is not None:
                tx.change_root_rotation(now._replace(domains_per_s=domains_per_s))

        detail = {"rotation": last.rotation_id, "domains_per_s": f"{domains_per_s:g}"}
        await self._audit.record("intent", "root.SetRate", principal=_owner(), detail=dict(detail))
        await self._store.write(change)
        await self._audit.record("outcome", "root.SetRate", principal=_owner(), outcome="ok", detail=detail)
        return RootAnswer()

    async def _retire(self, approval: str) -> RootAnswer:
        roots = self._store.list_roots()
        old = [root for root in roots if root.state is RootState.OLD]
        if not old:
            raise RootRotationError("there is no old root", next_step="see: strongroom root status")
        self._require_none_under_way()
        if self._custody is None:
            return await self._retire_these(old, None)
        named = self._custody.root_named(approval)
        (root,) = [root for root in old if root.root_id.hex() == named] or old[:1]
        act = await self._claimed(approval, "RetireRoot", root)
        with self._carrying(act, "root", root.root_id.hex()):
            return await self._retire_these([root], act)

    async def _retire_these(self, old: Sequence[RootRecord], act: ApprovedAct | None) -> RootAnswer:
        detail = {"roots": " ".join(root.root_id.hex() for root in old), **self._told_of(act)}
        await self._audit.record("intent", "root.Retire", principal=_owner(), detail=dict(detail))
        try:
            answer = await self._retiring.retire(old)
        except StrongroomError as error:
            await self._audit.record(
                "outcome", "root.Retire", principal=_owner(), outcome=type(error).__name__, detail=detail
            )
            raise
        left_on = sorted({member for root in answer.retired for member in root.left_on})
        detail |= {"domains": str(answer.n_domains), "left_on": ", ".join(left_on)}
        await self._audit.record("outcome", "root.Retire", principal=_owner(), outcome="ok", detail=detail)
        return answer


def _owner() -> str:
    return f"local/{os.geteuid()}"
