"""What the members that serve are told of officers without being asked: changes of the chain, and what was rejected."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from strongroom.core import ApprovalRequiredError, EventSink, HsmError, StorageError
from strongroom.custody import Chain, write_document
from strongroom.hsm.wire import MAX_RECORDS, CustodyPlace, FollowChain, RejectAct, WhereInChain, WireClient
from strongroom.storage import ApprovalState, Store

_LOOK_EVERY_S: Final = 3.0
_MOST_REJECTIONS: Final = 20
STEP_LIMIT_S: Final = 15.0
"""For each thing that a worker is told."""
_MOST_BYTES: Final = 700_000
"""Of records in one frame."""


class WorkerDoor(NamedTuple):
    """Where main speaks to a worker of its own."""

    member: str
    admin_path: str
    pid: int


class Shows(Protocol):
    """Whoever shows a worker the chain (``CustodyKeeping``)."""

    def head(self) -> str:
        """Return the hash of the newest document, as the database has it now. Raises StorageError."""
        ...

    async def introduce(self, door: WorkerDoor, rejections: Iterable[RejectAct] = ()) -> None:
        """Show a worker what it lacks of the chain, and what was rejected. Raises HsmError and StorageError."""
        ...


class CustodyTelling:
    """Tells every worker once. Belongs to the event loop of main."""

    def __init__(self, store: Store, shows: Shows, *, events: EventSink) -> None:
        self._store = store
        self._shows = shows
        self._events = events
        self._told: set[tuple[WorkerDoor, str]] = set()

    async def run(self, doors: Callable[[], Iterable[WorkerDoor]]) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            with contextlib.suppress(StorageError):  # the next look finds it
                await self.look(list(doors()))

    async def look(self, doors: Iterable[WorkerDoor]) -> None:
        """Tell these workers what they were not told. Raises StorageError."""
        head, rejections = self._shows.head(), self._rejections()
        news = {head, *rejections}
        self._told = {(door, name) for door, name in self._told if name in news}
        for door in doors:
            untold = [name for name in news if (door, name) not in self._told]
            if not untold:
                continue
            try:
                await self._shows.introduce(door, [rejections[name] for name in untold if name in rejections])
            except HsmError as error:  # it is shown when it starts again, and before it is asked
                self._events.emit("custody.not_told", member=door.member, cause=error.message)
            else:
                self._told |= {(door, name) for name in untold}

    def _rejections(self) -> dict[str, RejectAct]:
        """Return the newest rejections by the ids of their requests: members keep on disk what they were told."""
        found = {}
        for row in self._store.list_rejections(limit=_MOST_REJECTIONS):
            record = self._store.get_approval(row.request_id)
            if record is not None and record.state is ApprovalState.REJECTED:
                found[record.id] = RejectAct(record.document, row.signature)
        return found


async def show(client: WireClient, member: str, chain: Chain, events: EventSink) -> None:
    """Show a worker the records that it lacks. What it does not follow is told as an event. Raises HsmError."""
    place = await client.call(WhereInChain(), timeout_s=STEP_LIMIT_S)
    try:
        for records in _portions(chain, place):
            place = await client.call(FollowChain(records), timeout_s=STEP_LIMIT_S)
    except ApprovalRequiredError as error:
        events.emit("custody.not_followed", member=member, cause=error.message)
        return
    if place.sequence < place.pinned_sequence:
        events.emit(
            "custody.rolled_back", member=member, record=place.sequence, remembers=place.pinned_sequence
        )


def _portions(chain: Chain, place: CustodyPlace) -> Iterator[list[bytes]]:
    """Give the records that a worker lacks, in frames that are not too long; none where it is elsewhere or ahead."""
    portion: list[bytes] = []
    for record in chain.records[place.sequence :]:
        data = write_document(record)
        if portion and (len(portion) == MAX_RECORDS or sum(map(len, portion)) + len(data) > _MOST_BYTES):
            yield portion
            portion = []
        portion.append(data)
    if portion:
        yield portion
