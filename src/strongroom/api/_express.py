"""The express lane: requests that need no waiting are done together, and answered when their audit entries are durable.

    a connection boards a request ─► end of the turn of the event loop, for all that boarded:
        read, verify ─► decode, authorise, act, write the answer ─► all entries to the audit log in one call
                                                                   └─ durable: answers go out, in one call of the log

No task and no future stands for any of them. A request is taken back to its connection, which then goes the usual way
(``Handler.handle``), whenever anything about it is unusual: its form (``_plain_request``), its signer or its
members (``_express_operations``), a key that is not in memory, any refusal, any error. Nothing has happened by then, so the
usual way starts from the beginning, checks everything itself, and words and records the refusal.

All that boarded are verified before the first of them acts: code and data of one half at a time fit into the
processor's caches, of both they do not.
"""

import asyncio
from typing import Protocol, TypeAlias

from strongroom.api._answers import Answers
from strongroom.api._arns import Arns, arns_of
from strongroom.api._errors import Where
from strongroom.api._express_operations import EXPRESS, Do
from strongroom.api._http import Request, response_bytes
from strongroom.api._known_signers import Verified
from strongroom.api._metrics import ApiMetrics
from strongroom.api._sigv4 import SignatureVerifier
from strongroom.audit import UseEntry
from strongroom.core import Clock
from strongroom.service import Caller, ImmediateService


class Passenger(Protocol):
    """A connection, with one request in the lane."""

    @property
    def peer(self) -> str:
        """Address of the other side."""
        ...

    @property
    def boarded(self) -> bytes | Request | None:
        """What it boarded with: what one read brought, or a request that came in several; None when it left meanwhile."""
        ...

    def take_back(self) -> None:
        """Handle the request the usual way."""
        ...

    def depart(self) -> None:
        """Take notice that the request is being done, and that an answer will come."""
        ...

    def arrive(self, response: bytes) -> None:
        """Send the answer. Raises nothing."""
        ...


_Found: TypeAlias = tuple[Verified, tuple[str, Do], bytes]
"""Who signed a request, the name of its operation with what does that, and the body."""
_Ride: TypeAlias = tuple[Passenger, str, Do, Caller, bytes, Arns]
"""A request that verified: whose it is, its operation, what does that, the caller, the body, and how to render ARNs."""
_Arrival: TypeAlias = tuple[Passenger, str, str, bytes]
"""A request that was done: whose it is, its operation and id, and the answer, for when that is durable."""


class ExpressLane:
    """Answers usual requests in groups. For one event loop."""

    def __init__(
        self,
        service: ImmediateService,
        verifier: SignatureVerifier,
        answers: Answers,
        metrics: ApiMetrics,
        *,
        clock: Clock,
        account_id: str,
    ) -> None:
        self._service = service
        self._verifier = verifier
        self._answers = answers
        self._metrics = metrics
        self._clock = clock
        self._account_id = account_id
        self._boarding: list[Passenger] = []

    def board(self, passenger: Passenger) -> None:
        """Take a passenger's request to the end of this turn of the event loop."""
        if not self._boarding:
            asyncio.get_running_loop().call_soon(self._go)
        self._boarding.append(passenger)

    def _go(self) -> None:
        """Do what boarded, and hand its entries over."""
        boarding, self._boarding = self._boarding, []
        started, now = self._clock.monotonic(), self._clock.now()
        rides: list[_Ride] = []
        for passenger in boarding:
            boarded = passenger.boarded
            if boarded is None:  # it left meanwhile
                continue
            ride = self._verified(passenger, boarded, now)
            if ride is None:
                _give_back(passenger)
            else:
                rides.append(ride)
        entries: list[UseEntry] = []
        arrivals: list[_Arrival] = []
        for ride in rides:
            # A connection that read twice in one turn may have boarded twice, with one request by now.
            if ride[0].boarded is not None and not self._is_done(ride, now, entries, arrivals):
                _give_back(ride[0])
        if entries:
            _Group(self._answers, self._metrics, self._clock, started, arrivals).send(self._service, entries)

    def _verified(self, passenger: Passenger, boarded: bytes | Request, now: float) -> _Ride | None:
        """Read a request, find its operation and verify its signature."""
        try:
            found = self._plain(boarded, now) if isinstance(boarded, bytes) else self._whole(boarded)
        except Exception:  # noqa: BLE001  # the usual way meets it again, and tells
            return None
        if found is None:
            return None
        (principal, access_key_id, region), (operation, do), body = found
        caller = Caller(principal, access_key_id, passenger.peer, region, self._answers.new_request_id())
        return passenger, operation, do, caller, body, arns_of(self._account_id, region)

    def _plain(self, data: bytes, now: float) -> _Found | None:
        plain = self._verifier.read_plain(data)
        if plain is None:
            return None
        express = EXPRESS.get(plain.values[plain.shape.target])
        if express is None:
            return None
        verified = self._verifier.verify_plain(plain, now)
        return None if verified is None else (verified, express, plain.body)

    def _whole(self, request: Request) -> _Found | None:
        """As ``_plain`` for a request that the connection has read itself, since it came in several parts."""
        express = EXPRESS.get(request.by_name.get("x-amz-target", ""))
        if express is None or request.method != "POST":
            return None
        verified = self._verifier.verify_known(request)
        return None if verified is None else (verified, express, request.body)

    def _is_done(self, ride: _Ride, now: float, entries: list[UseEntry], arrivals: list[_Arrival]) -> bool:
        """Do one request; False when it is for the usual way."""
        passenger, operation, do, caller, body, arns = ride
        try:
            done = do(self._service, caller, body, arns)
            if done is None:
                return False
            answer, entry = done
            request_id = caller.request_id
            arrivals.append((passenger, operation, request_id, self._answers.usual(answer, request_id, now)))
        except Exception:  # noqa: BLE001  # the usual way meets it again, and tells
            return False
        entries.append(entry)
        passenger.depart()
        return True


def _give_back(passenger: Passenger) -> None:
    """Leave a request to the usual way; what fails there at once is that connection's alone."""
    try:
        passenger.take_back()
    except Exception as error:  # noqa: BLE001  # told, as the event loop tells what fails in a connection
        context = {"message": "a connection failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


class _Group:
    """Requests whose entries were handed to the audit log in one call."""

    def __init__(
        self,
        answers: Answers,
        metrics: ApiMetrics,
        clock: Clock,
        started: float,
        arrivals: list[_Arrival],
    ) -> None:
        self._answers = answers
        self._metrics = metrics
        self._clock = clock
        self._started = started
        self._arrivals = arrivals
        self._next = 0

    def send(self, service: ImmediateService, entries: list[UseEntry]) -> None:
        """Make the entries durable, after which the answers go out."""
        try:
            service.record_uses(entries, self._decided)
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody knows of a record
            self._decided(len(self._arrivals), error)  # a decision that comes all the same finds nobody left

    def _decided(self, count: int, error: Exception | None) -> None:
        """Send the answers whose entries are durable now, or say that they are not."""
        arrivals = self._arrivals[self._next : self._next + count]
        self._next += count
        if error is not None:
            self._fail(arrivals, error)
            return
        elapsed = self._clock.monotonic() - self._started
        counts: dict[str, int] = {}
        for passenger, operation, _, response in arrivals:
            passenger.arrive(response)
            counts[operation] = counts.get(operation, 0) + 1
        for operation, answered in counts.items():
            self._metrics.record(operation, "OK", elapsed, answered)

    def _fail(self, arrivals: list[_Arrival], error: Exception) -> None:
        elapsed = self._clock.monotonic() - self._started
        for passenger, operation, request_id, _ in arrivals:
            code, response = self._answers.failure(error, Where(Arns("-", "-"), operation), request_id)
            passenger.arrive(response_bytes(response, keep_alive=True))
            self._metrics.record(operation, code, elapsed)
