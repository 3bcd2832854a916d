"""Direct keys for the service: what main does for API processes, and what it checks before it does it.

An API process is not trusted with more than it needs. It cannot name what is destroyed: it says which key of the service is
due, and main looks for itself, by its own clock, whether that key is suspended and its date has come, and which Direct keys it
has. What it has made counts against a limit, a few at a time; and what does not become a version of a key in the database
soon is destroyed again. Who made a request is told by the kernel (``ControlServer``).
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from strongroom.core import (
    ApprovalRequiredError,
    Clock,
    Deadline,
    EventSink,
    HsmKeyId,
    HsmKeyLimitError,
    HsmRequestError,
    KeyOrigin,
    KeySpec,
    KeyUsage,
    MemberBusyError,
    StorageError,
    StrongroomError,
    TooFewMembersError,
)
from strongroom.custody import Json
from strongroom.hsm.cluster import Destroyed, TooFewCopiesError
from strongroom.keyring import end_due_key
from strongroom.runtime._approved_acts import ApprovedAct
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._key_requests import (
    DESTROY_LIMIT_S,
    MAKE_LIMIT_S,
    DestroyKey,
    KeyDestroyed,
    KeyMade,
    MakeKey,
)
from strongroom.storage import HsmKeyRecord, HsmKeyState, Store, Transaction

_ALL_VERSIONS: Final = 2**31
_MOST_AT_ONCE: Final = 4
_MOST_WAITING: Final = 64
_CLAIM_LIMIT_S: Final = 30.0
"""How long a key that was made may belong to no version: longer than the longest wait for the turn to write."""
_LEFT_BEHIND_S: Final = 300.0
"""A key that is older was not made a moment ago for a version that is still to come."""
_TRY_AGAIN_S: Final = 5.0


class HsmKeys(Protocol):
    """Whoever makes and destroys Direct keys (``Reconciling``)."""

    async def create(
        self,
        spec: KeySpec,
        usage: KeyUsage,
        label: str,
        *,
        may_leave: bool,
        deadline: Deadline,
        made_for: str,
    ) -> HsmKeyRecord:
        """Make one."""
        ...

    async def destroy_chosen(
        self, choose: Callable[[Transaction], Sequence[HsmKeyId]], *, deadline: Deadline
    ) -> list[Destroyed]:
        """Destroy those that are chosen in the transaction of their tombstones."""
        ...


class KeyMaking:
    """Makes and destroys Direct keys for whoever asks at the control socket. Belongs to the event loop of main."""

    def __init__(
        self,
        store: Store,
        keys: HsmKeys,
        *,
        most_keys: int,
        custody: CustodyKeeping | None = None,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``most_keys`` are made in all; who wants more gets HsmKeyLimitError. ``custody``: where officers approve."""
        self._custody = custody
        self._store = store
        self._keys = keys
        self._most_keys = most_keys
        self._events = events
        self._clock = clock
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)
        self._under_way: dict[str, asyncio.Task[HsmKeyRecord]] = {}
        self._n_asked = 0  # of those, without the ones that were refused or found
        self._beginning: set[str] = set()  # what is being made for: of some there is no record yet
        self._unclaimed: dict[
            HsmKeyId, dict[object, float]
        ] = {}  # until when each asker may store its version
        self._asking: Counter[object] = Counter()
        self._gone: set[object] = set()  # of those that are asking
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Destroy what an earlier service made for versions that never came, and begin to look after new ones.

        Call before any API process runs. Raises StorageError.
        """
        await self._destroy_unclaimed(None)
        self._looking = asyncio.ensure_future(self._look())

    def close(self) -> None:
        """End; what is under way is undone now or at the next start."""
        for task in (self._looking, *self._under_way.values()):
            if task is not None:
                task.cancel()

    async def make(self, request: MakeKey, asker: object) -> KeyMade:
        """Make a key, or give the one that was made for the same version. Raises HsmError and StorageError."""
        task = self._under_way.get(request.made_for)
        if task is None:
            task = self._under_way[request.made_for] = asyncio.ensure_future(self._make(request))
            task.add_done_callback(lambda _task: self._under_way.pop(request.made_for, None))
        self._asking[asker] += 1
        try:
            record = await asyncio.shield(task)
            is_gone = asker in self._gone
        finally:
            self._asking[asker] -= 1
            if not self._asking[asker]:
                del self._asking[asker]
                self._gone.discard(asker)
        if (record.spec, record.usage) != (request.spec, request.usage):
            raise HsmRequestError("another kind of key was made for this version")
        until = self._clock.monotonic() + (0.0 if is_gone else _CLAIM_LIMIT_S)
        self._unclaimed.setdefault(record.key_id, {}).setdefault(asker, until)
        self._changed.set()
        return KeyMade(request.call, record.key_id, record.public_key)

    async def destroy(self, request: DestroyKey) -> KeyDestroyed:
        """Destroy a key of the service if its date has come by our clock. Raises StorageError, ApprovalRequiredError."""
        answer = KeyDestroyed(request.call)
        hsm_keys = self._hsm_keys_of(request.key_id)
        act = None
        if self._custody is not None and hsm_keys:
            parameters = {"key_id": request.key_id, "hsm_keys": hsm_keys}
            act = self._custody.approved(request.approval, "DestroyHsmKey", parameters)
            self._custody.begin(act)

        def choose(tx: Transaction) -> Sequence[HsmKeyId]:
            nonlocal answer
            ended = end_due_key(tx, request.key_id, self._clock.now())
            if ended is None:
                return ()
            if act is not None and sorted(key_id.hex() for key_id in ended.hsm_key_ids) != hsm_keys:
                raise ApprovalRequiredError("the key has got other Direct keys than those that were approved")
            answer = KeyDestroyed(request.call, True, ended.n_versions, ended.n_aliases)
            return ended.hsm_key_ids

        deadline = Deadline.after(self._clock, DESTROY_LIMIT_S)
        with self._carrying(act, "key", hsm_keys):
            destroyed = await self._keys.destroy_chosen(choose, deadline=deadline)
        left_on = sorted({member for one in destroyed for member in one.left_on})
        if answer.was_due:
            self._events.emit("key.ended", service_key=request.key_id, left_on=", ".join(left_on))
        return KeyDestroyed(request.call, answer.was_due, answer.n_versions, answer.n_aliases, left_on)

    def lost(self, asker: object) -> None:
        """Take notice that an API process has gone: nobody will store the versions of what it had made."""
        if asker in self._asking:
            self._gone.add(asker)
        for claims in self._unclaimed.values():
            if asker in claims:
                claims[asker] = self._clock.monotonic()
        self._changed.set()

    async def _make(self, request: MakeKey) -> HsmKeyRecord:
        found = self._store.find_hsm_key_made_for(request.made_for)
        if found is not None:
            return found
        if request.usage not in request.spec.usages:
            raise HsmRequestError(f"a key of {request.spec} cannot be made for {request.usage}")
        self._require_fitting(request)
        act = None
        if self._custody is not None:
            kind: dict[str, Json] = {
                "spec": str(request.spec),
                "usage": str(request.usage),
                "may_leave": True,
            }
            act = self._custody.approved(request.approval, "CreateHsmKey", kind)
        if self._n_asked >= _MOST_WAITING:
            raise MemberBusyError("too many Direct keys are being made at the moment")
        self._n_asked += 1
        try:
            with self._carrying(act, "make", [_label(request)]):
                return await self._made(request, act, Deadline.after(self._clock, MAKE_LIMIT_S))
        finally:
            self._n_asked -= 1

    async def _made(self, request: MakeKey, act: ApprovedAct | None, deadline: Deadline) -> HsmKeyRecord:
        async with self._places:
            if self._store.count_hsm_keys() + self._without_record() >= self._most_keys:
                raise HsmKeyLimitError(
                    f"the cluster has {self._most_keys} Direct keys, as many as it may have",
                    next_step="destroy some, or raise cluster.max_direct_keys as far as the HSMs have room",
                )
            if self._custody is not None and act is not None:
                self._custody.begin(act)  # of all members one makes it, once
            self._beginning.add(request.made_for)
            try:
                made = await self._keys.create(
                    request.spec,
                    request.usage,
                    _label(request),
                    may_leave=True,
                    deadline=deadline,
                    made_for=request.made_for,
                )
            except TooFewCopiesError as error:
                raise TooFewMembersError(error.message, next_step=error.next_step) from error
            finally:
                self._beginning.discard(request.made_for)
        self._events.emit("key.made", key=made.key_id.hex(), made_for=request.made_for)
        return made

    def _carrying(
        self, act: ApprovedAct | None, kind: str, names: Sequence[str]
    ) -> contextlib.AbstractContextManager[None]:
        if self._custody is None:
            return contextlib.nullcontext()
        return self._custody.carrying(act, kind, names)

    def _hsm_keys_of(self, key_id: str) -> list[str]:
        """Return the Direct keys of a key of the service: their ids in hex, sorted."""
        versions = self._store.list_key_versions(key_id, after=0, limit=_ALL_VERSIONS)
        return sorted(version.hsm_key_id.hex() for version in versions if version.hsm_key_id)

    def _may_go(self, record: HsmKeyRecord) -> bool:
        """Whether members will let a key be destroyed that belongs to no version: else it stays until officers approve."""
        return self._custody is None or self._custody.lets_destroy(record)

    def _require_fitting(self, request: MakeKey) -> None:
        """Raise HsmRequestError unless it is the first version of a new key, or one of the kind that its key has."""
        key = self._store.get_key(request.key_id)
        if key is None:
            if request.version > 1:
                raise HsmRequestError("there is no such key that it could be a further version of")
            return
        asked = (KeyOrigin.AWS_CLOUDHSM, request.spec, request.usage)
        if (key.origin, key.spec.direct, key.usage) != asked:
            raise HsmRequestError("the key that it is to be a version of is of another kind")

    def _without_record(self) -> int:
        """How many of the keys that are being made have no record at this moment, and so are not counted yet."""
        pending = {record.made_for for record in self._store.list_hsm_keys(HsmKeyState.PENDING)}
        find = self._store.find_hsm_key_made_for
        return sum(made_for not in pending and find(made_for) is None for made_for in self._beginning)

    async def _look(self) -> None:
        """Destroy what was made and claimed by nobody in time, until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock.monotonic()
            waits_s = min(
                (max(one.values()) - now for one in self._unclaimed.values()), default=_CLAIM_LIMIT_S
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(waits_s, 0.0)):
                    await self._changed.wait()
            now = self._clock.monotonic()
            due = {key_id for key_id, one in self._unclaimed.items() if max(one.values()) <= now}
            with contextlib.suppress(StorageError):  # then they are found the next time
                due |= self._left_behind()
            if not due:
                continue
            try:
                await self._destroy_unclaimed(due)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is told and tried again
                cause = error.message if isinstance(error, StrongroomError) else type(error).__name__
                self._events.emit("key.unclaimed_not_destroyed", cause=cause)
                await asyncio.sleep(_TRY_AGAIN_S)
            else:
                for key_id in due:
                    self._unclaimed.pop(key_id, None)

    def _left_behind(self) -> set[HsmKeyId]:
        """Return the keys whose version was retired: they belong to none, and nobody waits for them as for new ones."""
        before = self._clock.now() - _LEFT_BEHIND_S
        return {
            record.key_id
            for record in self._store.list_unclaimed_hsm_keys()
            if record.created_at < before and record.key_id not in self._unclaimed and self._may_go(record)
        }

    async def _destroy_unclaimed(self, chosen: set[HsmKeyId] | None) -> None:
        """Destroy those of ``chosen`` (None: all) that belong to no version of a key."""
        found = self._store.list_unclaimed_hsm_keys()
        if not found:
            return  # a disk that is full is no reason not to start
        stays = {record.key_id for record in found if not self._may_go(record)}
        if stays and chosen is None:
            self._events.emit(
                "key.unclaimed_needs_approval", keys=", ".join(sorted(one.hex() for one in stays))
            )

        def choose(tx: Transaction) -> Sequence[HsmKeyId]:
            unclaimed = [record.key_id for record in tx.list_unclaimed_hsm_keys()]
            return [
                key_id for key_id in unclaimed if key_id not in stays and (chosen is None or key_id in chosen)
            ]

        deadline = Deadline.after(self._clock, DESTROY_LIMIT_S)
        for destroyed in await self._keys.destroy_chosen(choose, deadline=deadline):
            record = destroyed.record
            self._events.emit("key.unclaimed", key=record.key_id.hex(), made_for=record.made_for)


def _label(request: MakeKey) -> str:
    """By which the token, and whoever hands the approval over, know what a key is made for."""
    return f"kms {request.made_for}"
