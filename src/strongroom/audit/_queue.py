"""What of a log is memory: entries that wait for the disk, who waits for them, and why nothing may be appended."""

from collections import deque
from collections.abc import Iterable, Sequence

from strongroom.audit._cursor import MAX_GROUP_BYTES
from strongroom.audit._entry import ENTRY_VERSION, Entry, Kind, encode_entry
from strongroom.audit._format import FRAME_EXTRA_BYTES
from strongroom.audit._refusing import REFUSING_EVENT, Refusing
from strongroom.audit._tickets import Tickets, Waiter
from strongroom.audit._torn import RECOVERED_EVENT, Cut
from strongroom.audit._use_entry import UseEncoder
from strongroom.audit._values import AuditStats, EntryFields, UseEntry
from strongroom.core import AuditUnavailableError, Clock

SLOW_AFTER_S = 5.0
"""A disk that has not answered for so long counts as failed."""
MAX_PENDING_ENTRIES = 65_536

Waiters = list[Waiter]


class EntryQueue:
    """The entries of one writer from ``seq`` on. All methods are for the holder of the log's lock.

    ``untold``: cuts that no durable entry tells of; the first entries do.
    """

    def __init__(self, writer: str, *, boot: int, seq: int, untold: Iterable[Cut], clock: Clock) -> None:
        self._writer, self._boot, self._clock = writer, boot, clock
        self._uses = UseEncoder(writer, boot)
        self._seq = seq  # of the next entry
        self._pending: deque[bytes] = deque()  # encoded, in no group yet
        self._untold = tuple(untold)
        self.tickets = Tickets(seq)
        self.is_closing = False
        self._failure: str | None = None
        self._death: str | None = None
        self._busy_since: float | None = None
        self._slowness: str | None = None  # why appends were refused while the disk did not answer
        self._entries = self._groups = self._failed_groups = self._refused = 0
        self._refusing = Refusing()  # since the disk failed
        self._add_untold()

    @property
    def is_empty(self) -> bool:
        """Whether no entry waits for a group."""
        return not self._pending

    @property
    def n_pending(self) -> int:
        """How many entries wait for a group."""
        return len(self._pending)

    @property
    def has_failed(self) -> bool:
        """Whether the last group failed."""
        return self._failure is not None

    @property
    def death(self) -> str | None:
        """Why nothing can ever be appended again, None while that is not so."""
        return self._death

    @property
    def stats(self) -> AuditStats:
        """Counters since the log was opened."""
        return AuditStats(self._entries, self._groups, self._failed_groups, self._refused)

    def why_not(self) -> str | None:
        """Why entries cannot be made durable now, None while they can."""
        if self._death is not None:
            return self._death
        if self._failure is not None:
            return self._failure
        if self.is_closing:
            return "the audit log is closed"
        if self._busy_since is None:
            return None
        waited_s = self._clock.monotonic() - self._busy_since
        return f"the disk has not answered for {waited_s:.0f} s" if waited_s > SLOW_AFTER_S else None

    def admit(self, kind: Kind, event: str, fields: EntryFields) -> int:
        """Number and encode an entry, and return its ticket. Raises AuditUnavailableError."""
        reason = self.why_not()
        if reason is not None or len(self._pending) >= MAX_PENDING_ENTRIES:
            raise self._refusal(reason, [event])
        return self._add(kind, event, fields)

    def admit_all(self, entries: Sequence[UseEntry]) -> None:
        """Number and encode entries that were made in one turn, all or none. Raises AuditUnavailableError."""
        reason = self.why_not()
        if reason is not None or len(self._pending) + len(entries) > MAX_PENDING_ENTRIES:
            raise self._refusal(reason, [entry.event for entry in entries])
        at = int(self._clock.now() * 1_000_000)
        at_part, encode = self._uses.at_part(at), self._uses.encode
        # One that cannot be encoded leaves none behind: entries without tickets would make others count as durable early.
        encoded = [encode(entry, seq, at, at_part) for seq, entry in enumerate(entries, self._seq)]
        self._pending += encoded
        self._seq += len(encoded)
        self.tickets.issue_many(len(entries))

    def take_group(self) -> list[bytes]:
        """Return the oldest entries that fit into one write; the disk counts as busy from now on."""
        group: list[bytes] = []
        size = 0
        while self._pending:
            size += len(self._pending[0]) + FRAME_EXTRA_BYTES
            if size > MAX_GROUP_BYTES:
                break
            group.append(self._pending.popleft())
        self._busy_since = self._clock.monotonic()
        return group

    def succeed(self, count: int) -> Waiters:
        """Take note that a group is durable; return who waited for it."""
        if self._failure is not None:
            self._refusing = Refusing()
        self._failure = self._busy_since = None
        self._untold = ()  # they went first
        self._entries += count
        self._groups += 1
        waiters = self.tickets.succeed(count)
        if self._slowness is not None:
            self._add_resumed(self._slowness)
            self._slowness = None
        return waiters

    def fail(self, error: OSError, group: Sequence[bytes], *, next_seq: int) -> Waiters:
        """Take note that a group, and so all that was numbered behind it, is not durable; return who waited."""
        if self._failure is None:
            self._refusing.begin(self._clock.now())
        self._refusing.add_entries([*group, *self._pending])
        self._failure = error.strerror or type(error).__name__
        self._busy_since = self._slowness = None
        self._failed_groups += 1
        self._pending.clear()
        self._seq = next_seq
        return self.tickets.fail_all()

    def refusing_entry(self, *, is_last: bool) -> bytes | None:
        """Return the entry that says what is refused, to be stored next; None where nothing new is to be said yet.

        And None while a cut is untold, since the first entry behind it tells of that; and once entries were numbered for good.
        """
        if self._untold or self._pending or self._death is not None:
            return None
        if not self._refusing.is_due(self._clock.monotonic(), is_last=is_last):
            return None
        return self._encode("event", REFUSING_EVENT, {"detail": self._refusing.detail(str(self._failure))})

    def told_refusing(self) -> None:
        """Take note that the entry that says what is refused is durable."""
        self._refusing.told(self._clock.monotonic())
        self._seq += 1
        self._entries += 1

    def add_return(self) -> None:
        """Add the entries that are the first to be written when a disk that failed is tried again."""
        self._add_untold()
        self._add_resumed(str(self._failure))

    def die(self, reason: str) -> None:
        """Take note that nothing will ever be written again."""
        self._death = reason

    def _add(self, kind: Kind, event: str, fields: EntryFields) -> int:
        payload = self._encode(kind, event, fields)
        self._seq += 1
        self._pending.append(payload)
        return self.tickets.issue()

    def _encode(self, kind: Kind, event: str, fields: EntryFields) -> bytes:
        return encode_entry(
            Entry(
                version=ENTRY_VERSION,
                writer=self._writer,
                seq=self._seq,
                boot=self._boot,
                at=int(self._clock.now() * 1_000_000),
                kind=kind,
                event=event,
                **fields,
            )
        )

    def _add_untold(self) -> None:
        for cut in self._untold:
            self._add("event", RECOVERED_EVENT, {"detail": cut.detail()})

    def _add_resumed(self, failure: str) -> None:
        self._add("event", "log.resumed", {"detail": {"failure": failure, "refused": str(self._refused)}})

    def _refusal(self, reason: str | None, events: Sequence[str]) -> AuditUnavailableError:
        self._refused += len(events)
        if self._failure is not None:
            self._refusing.events.update(events)
        if self._failure is None and self._busy_since is not None and not self.is_closing:
            self._slowness = reason
        heals = "it heals by itself within seconds once the disk takes writes again"
        return AuditUnavailableError(
            f"the audit log of {self._writer} cannot be written: {reason or 'too many entries wait for the disk'}",
            next_step="restart the process" if self._death else heals,
        )
