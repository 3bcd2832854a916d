"""Reminds people of PINs that are due to be changed: an event when one becomes due and once a day, and metrics."""

from collections.abc import Sequence

from strongroom.config import Home, MemberConfig, PinsConfig
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.runtime._reminders import Reminders
from strongroom.wiring.exposition import family
from strongroom.wiring.pin_status import PinStatus, last_departure, read_pin_status


class PinReminders(Reminders):
    """Looks at the home's PINs."""

    def __init__(
        self,
        home: Home,
        members: Sequence[MemberConfig],
        pins: PinsConfig,
        *,
        events: EventSink,
        clock: Clock,
    ) -> None:
        super().__init__(events=events, clock=clock)
        self._home = home
        self._members = members
        self._pins = pins
        self._found: list[PinStatus] = []

    def look(self) -> None:
        """Look now, and tell of each PIN that is due and of which nothing was told for a day."""
        now = self._clock.now()
        try:
            departed_at = last_departure(self._home)
        except StrongroomError:
            departed_at = 0.0  # the database says so elsewhere
        self._found = read_pin_status(self._home, self._members, self._pins, now=now, departed_at=departed_at)
        for status in self._found:
            if status.is_due and self._is_to_be_told(f"{status.member} {status.role}"):
                self._events.emit(
                    "pin.due", member=status.member, role=status.role, next_step="strongroom pin rotate"
                )

    def metrics(self) -> str:
        """Prometheus text of what the last look found."""
        now = self._clock.now()
        labelled = {f'{{member="{one.member}",role="{one.role}"}}': one for one in self._found}
        age_s = {
            labels: now - one.changed_at for labels, one in labelled.items() if one.changed_at is not None
        }
        due = {labels: int(one.is_due) for labels, one in labelled.items()}
        open_ = {labels: int(one.state != "current") for labels, one in labelled.items()}
        return (
            family("pin_age_seconds", "gauge", "Age of a token's PIN, where it is known.", age_s)
            + family("pin_due", "gauge", "Whether a PIN is due to be changed.", due)
            + family("pin_change_open", "gauge", "Whether a change of a PIN has not come to its end.", open_)
        )
