"""Reminds people of custodians who are to prove their shares, and raises the alarm when too few are left; metrics of both."""

from typing import Final

from strongroom.config import CustodiansConfig
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.runtime._reminders import Reminders
from strongroom.storage import BackupState, Reader
from strongroom.wiring.custodian_status import SetStatus, read_set_status
from strongroom.wiring.exposition import family

_MOST_BACKUPS: Final = 10_000


class CustodianReminders(Reminders):
    """Looks at the custodians of the active backup set."""

    def __init__(self, store: Reader, rules: CustodiansConfig, *, events: EventSink, clock: Clock) -> None:
        super().__init__(events=events, clock=clock)
        self._store = store
        self._rules = rules
        self._found: SetStatus | None = None
        self._n_to_destroy = 0

    def look(self) -> None:
        """Look now, and tell what has not been told for a day."""
        now = self._clock.now()
        try:
            self._found = read_set_status(self._store, self._rules, now=now)
            to_destroy = self._store.list_backups(state=BackupState.TO_DESTROY, limit=_MOST_BACKUPS)
        except StrongroomError as error:
            self._found, self._n_to_destroy = None, 0
            self._tell("custodians.unreadable", cause=error.message)
            return
        self._n_to_destroy = len(to_destroy)
        if self._found is None:
            return
        for one in self._found.custodians:
            if one.is_due:
                next_step = f"strongroom custodians challenge {one.custodian}"
                self._tell("custodian.due", set=self._found.set_id, custodian=one.custodian, next_step=next_step)  # fmt: skip
            if one.state == "revoked":
                next_step = f"strongroom custodians left {one.custodian}"
                self._tell("custodian.revoked", set=self._found.set_id, custodian=one.custodian, next_step=next_step)  # fmt: skip
        if self._found.is_too_few:
            counted = self._found.losses.counted
            self._tell("custodians.too_few", set=self._found.set_id, counted=counted, threshold=self._found.threshold, next_step="strongroom custodians report")  # fmt: skip

    def metrics(self) -> str:
        """Prometheus text of what the last look found; of custodians only where there is a backup set."""
        text = family(
            "backups_to_destroy",
            "gauge",
            "Backups of retired sets whose copies are to be destroyed.",
            {"": self._n_to_destroy},
        )
        found = self._found
        if found is None:
            return text
        by_id = {f'{{custodian="{one.custodian}"}}': one for one in found.custodians}
        age_s = {
            labels: self._clock.now() - one.proved_at
            for labels, one in by_id.items()
            if one.proved_at is not None and one.state == "holding"
        }
        due = {labels: int(one.is_due) for labels, one in by_id.items()}
        return text + "".join(
            (
                family("custodians_counted", "gauge", "Custodians who hold a share and proved it within the period.", {"": found.losses.counted}),
                family("custodians_needed", "gauge", "Custodians whose shares open a backup.", {"": found.threshold}),
                family("custodians_too_few", "gauge", "Whether one more loss may be one too many.", {"": int(found.is_too_few)}),
                family("custodian_due", "gauge", "Whether a custodian is to prove their share.", due),
                family("custodian_proof_age_seconds", "gauge", "Since a custodian proved their share.", age_s),
            )
        )  # fmt: skip

    def _tell(self, event: str, **fields: object) -> None:
        """Emit an event, unless this very one was told within a day."""
        if self._is_to_be_told(f"{event} {sorted(fields.items())}"):
            self._events.emit(event, **fields)
