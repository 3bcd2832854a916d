"""Reminds people of backups: an event when the newest one is too old or none was opened for too long, and metrics."""

import asyncio
from typing import Final

from strongroom.config import Config, Home
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.storage import Reader
from strongroom.wiring.backup_status import DAY_S, BackupStatus, backup_status_of, backup_warnings
from strongroom.wiring.exposition import family

_LOOK_EVERY_S: Final = 600.0


class BackupReminders:
    """Looks at the home's backups every ten minutes. Belongs to the event loop of main."""

    def __init__(self, home: Home, config: Config, store: Reader, *, events: EventSink, clock: Clock) -> None:
        self._home = home
        self._limits = config.backups
        self._store = store
        self._events = events
        self._clock = clock
        self._found = BackupStatus()
        self._told_at = -DAY_S
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._looking = asyncio.ensure_future(self._look_now_and_then())

    def close(self) -> None:
        """End."""
        if self._looking is not None:
            self._looking.cancel()

    def look(self) -> None:
        """Look now, and tell what a person has to do, once a day."""
        now = self._clock.now()
        try:
            self._found = backup_status_of(self._store, self._home, self._limits, now=now)
        except StrongroomError:
            return  # the database says so elsewhere
        if self._found.is_due and now - self._told_at >= DAY_S:
            self._told_at = now
            for warning in backup_warnings(self._found, now=now):
                self._events.emit("backup.due", what=warning)

    def metrics(self) -> str:
        """Prometheus text of what the last look found; what is not known is left out."""
        now, found = self._clock.now(), self._found
        ages = {
            '{of="bundle"}': found.newest_at,
            '{of="verification"}': found.verified_at,
            '{of="vendor"}': found.vendor_at,
        }
        age_s = {label: now - at for label, at in ages.items() if at is not None}
        due = {
            '{of="bundle"}': int(found.is_old),
            '{of="verification"}': int(found.is_unverified),
            '{of="vendor"}': int(found.is_vendor_old),
        }
        return family("backup_age_seconds", "gauge", "Age of the newest backup of its kind.", age_s) + family(
            "backup_due", "gauge", "Whether the newest backup of its kind is too old.", due
        )

    async def _look_now_and_then(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)
