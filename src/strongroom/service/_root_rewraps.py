"""``RootRewraps``: after a rotation of the root, what hangs under old roots is rewrapped in the background.

One API process of the host does it for all. Each batch has an intent before it and an outcome behind it in the audit log,
with counts. It is paced: no more domain KEKs a second than the rotation says, and never at work more than half of the
time, so that slow HSMs have as much time for callers as for this, however slow they are.
"""

import asyncio
import contextlib
from typing import Final

from strongroom.audit import AuditLog
from strongroom.core import AuditUnavailableError, Clock, EventSink, StrongroomError
from strongroom.keyring import Rewrapped, RootRewrapping
from strongroom.service._audited import CANCELLED, OK
from strongroom.service._due_work import PRINCIPAL
from strongroom.service._facts import outcome_of_error
from strongroom.storage import DomainRecord, RootRotationRecord

MAX_AT_ONCE: Final = 50
"""Domain KEKs in one batch: three HSM operations for each, and one transaction for all."""
_EVENT: Final = "root.Rewrap"
_IDLE_S: Final = 1.0
_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 60.0
"""Between tries while no HSM answers, or database or audit log do not take anything."""


class RootRewraps:
    """Rewraps domain KEKs for as long as there are any to rewrap. Belongs to one event loop."""

    def __init__(
        self, rewrapping: RootRewrapping, audit: AuditLog, *, events: EventSink, clock: Clock
    ) -> None:
        self._rewrapping = rewrapping
        self._audit = audit
        self._events = events
        self._clock = clock
        self._pause_s = _FIRST_PAUSE_S

    async def run(self) -> None:
        """Look for work once a second and do it, until cancelled. What goes wrong is told, and tried again."""
        while True:
            try:
                pause_s = await self.do_some()
            except Exception as error:  # noqa: BLE001  # whatever it is, the process that serves goes on
                cause = error.message if isinstance(error, StrongroomError) else type(error).__name__
                self._events.emit("root.not_rewrapped", cause=cause)
                pause_s = self._longer()
            await asyncio.sleep(pause_s)

    async def do_some(self) -> float:
        """Rewrap one batch, if there is any; returns how long to wait before the next one, in seconds.

        Raises AuditUnavailableError (then nothing was begun, or it is done and not told), StorageError and HsmError.
        """
        rotation = self._rewrapping.rotation()
        if rotation is None:
            return _IDLE_S
        most = max(1, min(int(rotation.domains_per_s), MAX_AT_ONCE))
        domains = self._rewrapping.next_domains(most)
        if not domains:
            await self._finish()
            return _IDLE_S
        begun_at = self._clock.monotonic()
        done = await self._audited(rotation, domains)
        if done.is_outage:
            return self._longer()
        self._pause_s = _FIRST_PAUSE_S
        took_s = self._clock.monotonic() - begun_at
        return max(len(domains) / rotation.domains_per_s - took_s, took_s)

    async def _audited(self, rotation: RootRotationRecord, domains: list[DomainRecord]) -> Rewrapped:
        detail = {"rotation": rotation.rotation_id, "domains": str(len(domains))}
        await self._audit.record("intent", _EVENT, principal=PRINCIPAL, detail=dict(detail))
        try:
            done = await self._rewrapping.rewrap(domains)
        except asyncio.CancelledError:
            with contextlib.suppress(AuditUnavailableError):
                self._audit.append("outcome", _EVENT, principal=PRINCIPAL, outcome=CANCELLED, detail=detail)
            raise
        except Exception as error:
            outcome = outcome_of_error(error)
            await self._audit.record("outcome", _EVENT, principal=PRINCIPAL, outcome=outcome, detail=detail)
            raise
        detail |= _counts(done) | {"left": str(self._rewrapping.count_left())}
        outcome = outcome_of_error(next(iter(done.failures.values()))) if done.failures else OK
        await self._audit.record("outcome", _EVENT, principal=PRINCIPAL, outcome=outcome, detail=detail)
        return done

    async def _finish(self) -> None:
        finished = await self._rewrapping.finish()
        if finished is None:
            return
        detail = {
            "rotation": finished.rotation_id,
            "root": "" if finished.root_id is None else finished.root_id.hex(),
            "rewrapped": str(finished.n_rewrapped),
        }
        self._events.emit("root.rewrapped", **detail)
        await self._audit.record("event", "root.rewrapped", principal=PRINCIPAL, detail=detail)

    def _longer(self) -> float:
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause_s


def _counts(done: Rewrapped) -> dict[str, str]:
    counts = {"rewrapped": str(done.n_rewrapped)}
    if done.n_changed:
        counts["changed_meanwhile"] = str(done.n_changed)
    if done.failures:
        counts["failed"] = str(len(done.failures))
        counts["first_failed_domain"] = next(iter(done.failures))
    return counts
