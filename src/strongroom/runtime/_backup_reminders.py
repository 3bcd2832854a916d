"""Reminds people of backups: an event when the newest one is too old or none was opened for too long, and metrics."""

from strongroom.config import Config, Home
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.runtime._reminders import Reminders
from strongroom.storage import Reader
from strongroom.wiring.backup_status import BackupStatus, backup_status_of, backup_warnings
from strongroom.wiring.exposition import family


class BackupReminders(Reminders):
    """Looks at the home's backups."""

    def __init__(self, home: Home, config: Config, store: Reader, *, events: EventSink, clock: Clock) -> None:
        super().__init__(events=events, clock=clock)
        self._home = home
        self._limits = config.backups
        self._store = store
        self._found = BackupStatus()

    def look(self) -> None:
        """Look now, and tell what a person has to do, once a day."""
        now = self._clock.now()
        try:
            self._found = backup_status_of(self._store, self._home, self._limits, now=now)
        except StrongroomError:
            return  # the database says so elsewhere
        if self._found.is_due and self._is_to_be_told("backup.due"):
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
