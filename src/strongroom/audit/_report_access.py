"""Who used which key, by which verb, how often, first and last; and who changed what about it."""

from collections import deque
from typing import Final

from msgspec import Struct

from strongroom.audit._catalogue import classes_of
from strongroom.audit._entry import Entry
from strongroom.audit._event_type import Pci
from strongroom.audit._filter import OK
from strongroom.audit._report_counts import Tally, keys_of, who_of

MOST_ROWS: Final = 20_000
"""Pairs of principal and verb, over all keys."""
MOST_CHANGES: Final = 20
"""Changes of one key that are listed: the latest."""
_CHANGES: Final = frozenset((Pci.CREDENTIALS, Pci.OBJECTS))


class AccessRow(Struct):
    """What one principal did with a key by one verb."""

    principal: str
    event: str
    done: Tally
    failed: Tally


class KeyChange(Struct, frozen=True):
    """A change of a key, or of who may use it: its policy, grants, versions, destruction."""

    at: int
    principal: str
    event: str
    outcome: str


class KeyAccess(Struct):
    """What the log tells of one key."""

    key_id: str
    rows: list[AccessRow]
    changes: list[KeyChange]
    """The latest, oldest first."""
    n_changes: int
    used: Tally
    """Uses that went well."""
    left_out: int = 0
    """Entries of further principals and verbs, for which there was no room."""


class AccessReport(Struct, frozen=True):
    """All of it, key by key in the order of their ids."""

    keys: list[KeyAccess]
    left_out: int
    """Entries of keys, principals and verbs for which there was no room."""


class _Key:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], AccessRow] = {}
        self.changes: deque[KeyChange] = deque(maxlen=MOST_CHANGES)
        self.n_changes = 0
        self.used = Tally()
        self.left_out = 0


class AccessCount:
    """Counts entry by entry, in bounded memory. ``key_id``: of one key alone."""

    def __init__(self, key_id: str | None = None, *, most_rows: int = MOST_ROWS) -> None:
        self._only = key_id
        self._most_rows = most_rows
        self._n_rows = 0
        self._keys: dict[str, _Key] = {}
        self._left_out = 0

    def add(self, entry: Entry) -> None:
        """Count an entry; intents say nothing that their outcomes do not."""
        if entry.kind == "intent":
            return
        for key_id in keys_of(entry):
            if self._only is None or key_id == self._only:
                self._add(key_id, entry)

    def _add(self, key_id: str, entry: Entry) -> None:
        key = self._keys.get(key_id)
        if key is None:
            if self._n_rows >= self._most_rows:
                self._left_out += 1
                return
            key = self._keys[key_id] = _Key()
        classes = classes_of(entry)
        is_done = entry.outcome in ("", OK) and entry.kind != "refusal"
        if is_done and Pci.USE in classes:
            key.used.add(entry.at)
        who = who_of(entry)
        if classes & _CHANGES:
            key.n_changes += 1
            key.changes.append(KeyChange(entry.at, who, entry.event, entry.outcome))
        row = key.rows.get((who, entry.event))
        if row is None:
            if self._n_rows >= self._most_rows:
                self._left_out += 1
                key.left_out += 1
                return
            self._n_rows += 1
            row = key.rows[who, entry.event] = AccessRow(who, entry.event, Tally(), Tally())
        (row.done if is_done else row.failed).add(entry.at)

    def report(self) -> AccessReport:
        """Return what was counted."""
        return AccessReport(
            [
                KeyAccess(
                    key_id,
                    sorted(
                        key.rows.values(),
                        key=lambda row: (-row.done.entries - row.failed.entries, row.principal),
                    ),
                    list(key.changes),
                    key.n_changes,
                    key.used,
                    key.left_out,
                )
                for key_id, key in sorted(self._keys.items())
            ],
            self._left_out,
        )
