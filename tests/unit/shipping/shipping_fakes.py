"""A sink that fails on command but otherwise keeps what it gets, events that are kept, and waiting for what will come."""

import asyncio
import threading

from strongroom.audit import Entry
from strongroom.core import SystemClock
from strongroom.shipping import Shipper, ShipperLimits, SinkError

CLOCK = SystemClock()


class KeptSink:
    """Keeps entries as sent, and as accepted by ``confirm``. ``fault`` is called before each of both, and may raise or hang."""

    def __init__(self, *, hold_s=0.0, hold_entries=1):
        self.hold_s, self.hold_entries = hold_s, hold_entries
        self.sent, self.accepted, self.batches = [], [], []
        self.fault = lambda call: None
        self.may_go = threading.Event()

    def send(self, entries):
        self.fault("send")
        self.batches.append(len(entries))
        self.sent += entries

    def confirm(self):
        self.fault("confirm")
        self.accepted += self.sent
        self.sent = []

    def abort(self):
        self.sent = []
        self.may_go.set()


class KeptEvents:
    def __init__(self):
        self.events = []

    def emit(self, event, **fields):
        self.events.append((event, fields))

    def names(self):
        return [event for event, _ in self.events]


LIMITS = ShipperLimits(alarm_entries=1000, alarm_s=3600.0, timeout_s=20.0, retry_max_s=0.02)


def shipper_to(sink, audit, events=None, **limits):
    return Shipper(
        "lines", sink, audit, LIMITS._replace(**limits), events=events or KeptEvents(), clock=CLOCK
    )


async def until(is_so, limit_s=60.0):
    async with asyncio.timeout(limit_s):
        while not is_so():
            await asyncio.sleep(0.01)


async def write(log, count, **fields):
    for _ in range(count):
        await log.record("event", "test.event", **fields)


def made_entries(first, last):
    return [
        Entry(
            version=1, writer="main", seq=seq, boot=1, at=1_800_000_000_000_000 + seq, kind="event", event="x"
        )
        for seq in range(first, last + 1)
    ]


def refusing(message="no"):
    def fault(call):
        raise SinkError(message)

    return fault
