"""What a log that cannot be written refuses: counted by event, and told in few entries, so that they find room on a full disk."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Final

from strongroom.audit._entry import decode_entry
from strongroom.audit._errors import AuditCorruptError

REFUSING_EVENT: Final = "log.refusing"
_OWN: Final = "log."
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 3_600.0
_TOLD: Final = 8


class Refusing:
    """One outage of the disk. For the holder of the log's lock."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        """Entries that were refused, by event."""
        self._since = 0.0
        self._n_told = 0
        self._tell_at = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def begin(self, now: float) -> None:
        """Take note of when the disk failed."""
        self._since = now

    def add_entries(self, payloads: Iterable[bytes]) -> None:
        """Count entries that were appended and could not be made durable; what the log says of itself is none of them."""
        for payload in payloads:
            with contextlib.suppress(AuditCorruptError):
                event = decode_entry(payload).event
                if not event.startswith(_OWN):
                    self.events[event] += 1

    def is_due(self, now: float, *, is_last: bool) -> bool:
        """Whether there is something new to tell, and it is time to: at first at once, then ever more rarely."""
        return self.events.total() > self._n_told and (is_last or now >= self._tell_at)

    def detail(self, failure: str) -> dict[str, str]:
        """Return the detail of the entry: since when, why, and how many of which events."""
        loudest = dict(self.events.most_common(_TOLD))
        return {
            "failure": failure,
            "since": str(int(self._since * 1_000_000)),
            "refused": str(self.events.total()),
            "events": json.dumps(loudest, separators=(",", ":")),
        }

    def told(self, now: float) -> None:
        """Take note that it was told."""
        self._n_told = self.events.total()
        self._tell_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
