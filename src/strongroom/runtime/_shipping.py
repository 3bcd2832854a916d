"""The sinks of the audit log in the main process: a shipper each, their lag, and their metrics."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from strongroom.audit import LogHeads
from strongroom.config import Home, SinkConfig
from strongroom.core import Clock, EventSink
from strongroom.shipping import OwnThread, Shipper, ShipperLimits, ShippingError
from strongroom.wiring.audit_sinks import make_sink
from strongroom.wiring.exposition import family

_LOOK_EVERY_S: Final = 1.0
_LOOK_LIMIT_S: Final = 30.0
_LAST_ENTRIES_S: Final = 2.0
"""How long the end of the service waits for sinks; what they have not taken then, they get after the next start."""


class Shipping:
    """Belongs to the event loop of main. Nobody waits for it."""

    def __init__(self, sinks: Sequence[SinkConfig], home: Home, *, events: EventSink, clock: Clock) -> None:
        self._shippers = [
            Shipper(
                sink.name,
                make_sink(sink, home, clock=clock),
                home.audit,
                ShipperLimits(sink.alarm_entries, sink.alarm_s, sink.timeout_s, sink.retry_max_s),
                events=events,
                clock=clock,
            )
            for sink in sinks
        ]
        self._heads = LogHeads(home.audit)
        self._thread = OwnThread("audit-heads")
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ship, and to watch how far behind each sink is."""
        if not self._shippers:
            return
        for shipper in self._shippers:
            shipper.start()
        self._looking = asyncio.ensure_future(self._look_now_and_then())

    async def finish(self) -> None:
        """Give sinks a moment for the last entries, and end."""
        await asyncio.gather(*(shipper.finish(_LAST_ENTRIES_S) for shipper in self._shippers))
        if self._looking is not None:
            self._looking.cancel()
        self._thread.close()

    def metrics(self) -> str:
        """Prometheus text of each sink; nothing where there is none."""
        if not self._shippers:
            return ""
        found = {f'{{sink="{shipper.name}"}}': shipper.standing for shipper in self._shippers}
        return "".join(
            (
                family(
                    "audit_sink_lag_entries",
                    "gauge",
                    "Entries of the audit log that a sink has not accepted.",
                    {label: one.lag_entries for label, one in found.items()},
                ),
                family(
                    "audit_sink_lag_seconds",
                    "gauge",
                    "Age of the oldest of them.",
                    {label: round(one.lag_s, 3) for label, one in found.items()},
                ),
                family(
                    "audit_sink_failing",
                    "gauge",
                    "Whether the last attempt failed.",
                    {label: int(one.is_failing) for label, one in found.items()},
                ),
                family(
                    "audit_sink_accepted_total",
                    "counter",
                    "Entries that a sink accepted, repeats included.",
                    {label: one.accepted for label, one in found.items()},
                ),
                family(
                    "audit_sink_failures_total",
                    "counter",
                    "Attempts to ship that failed.",
                    {label: one.failures for label, one in found.items()},
                ),
            )
        )

    async def _look_now_and_then(self) -> None:
        while True:
            with contextlib.suppress(OSError, ShippingError):
                heads = await self._thread.run(self._heads.look, limit_s=_LOOK_LIMIT_S)
                for shipper in self._shippers:
                    shipper.look(heads)
            await asyncio.sleep(_LOOK_EVERY_S)
