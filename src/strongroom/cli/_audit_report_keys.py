"""Keys of the reports of ``strongroom audit report``: their names, and which of them nobody uses."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from strongroom.audit import Entry, KeyLife, UseCount
from strongroom.cli._audit_report_words import Sheet, shown_moment
from strongroom.cli._errors import CliError
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.audit_reading import home_of

_PAGE: Final = 500
_ALIAS: Final = "alias/"


class UnusedKey(Struct, frozen=True):
    """A key that nobody used for long; times in microseconds since the Unix epoch, 0 for none that is known."""

    key_id: str
    state: str
    """Of the database; ``-`` where there is none."""
    created_at: int
    used_at: int
    """0: never, as far as is known."""
    used_by: str
    """Who, as far as entries tell."""


class UnusedKeys(Struct, frozen=True):
    """All of them, those longest unused first."""

    before: int
    """They were made and last used before this."""
    n_keys: int
    """How many keys were looked at."""
    keys: list[UnusedKey]
    has_database: bool
    begins_at: int
    """The earliest entry of the log."""
    noted_since: int
    """Since when the database notes uses; 0 without one."""
    left_out: int
    """Entries of keys for which there was no room."""

    def sheet(self) -> Sheet:
        """Return it as a table."""
        return Sheet(
            ["KEY", "STATE", "CREATED", "LAST USE", "BY"],
            [
                [
                    key.key_id,
                    key.state,
                    shown_moment(key.created_at),
                    shown_moment(key.used_at) if key.used_at else "never",
                    key.used_by or "-",
                ]
                for key in self.keys
            ],
        )


def unused_words(found: UnusedKeys, days: int, moment_text: Callable[[int], str]) -> list[str]:
    """Return what to know about the table."""
    lines = [f"{len(found.keys)} of {found.n_keys} keys were not used for {days} days."]
    if found.begins_at > found.before and not (found.has_database and found.noted_since <= found.before):
        lines.append(
            f"The log begins at {moment_text(found.begins_at)}: of uses before that it tells nothing."
        )
    if not found.has_database:
        lines.append("Keys are those of the entries: there is no database beside this log.")
    if found.left_out:
        lines.append(f"{found.left_out} entries of further keys were left out: there was no room.")
    return lines


def key_id_of(directory: Path, key: str) -> str:
    """Return the id of a key that is named by its id, its ARN or an alias. Raises CliError."""
    name = key.rsplit(":", maxsplit=1)[-1].removeprefix("key/") if key.startswith("arn:") else key
    if not name.startswith(_ALIAS):
        return name
    database = _database_of(directory)
    if database is None:
        raise CliError(f"{name} can be looked up in a home only", next_step="name the key by its id")
    with ReadOnlyStore.open(database) as store:
        alias = store.get_alias(name)
    if alias is None:
        raise CliError(f"there is no {name} in this home", next_step="see: strongroom keys list")
    return alias.key_id


def unused_keys(directory: Path, each: Callable[[Callable[[Entry], None]], None], before: int) -> UnusedKeys:
    """Go through the log and, where there is one, the database, for keys made and last used before a time."""
    uses = UseCount()
    each(uses.add)
    database = _database_of(directory)
    states: dict[str, str] | None = None
    noted_since = 0
    if database is not None:
        with ReadOnlyStore.open(database) as store:
            noted_since = int(store.get_use_tracking_start() * 1_000_000)
            states = _take_database(store, uses)
    lives = [life for life in uses.lives.values() if _counts(life, states)]
    found = [
        UnusedKey(
            life.key_id,
            "-" if states is None else states[life.key_id],
            life.created_at,
            life.used_at,
            life.used_by,
        )
        for life in lives
        if life.used_at < before and life.created_at < before
    ]
    found.sort(key=lambda key: (key.used_at or key.created_at, key.key_id))
    return UnusedKeys(
        before, len(lives), found, states is not None, uses.begins_at, noted_since, uses.left_out
    )


def _counts(life: KeyLife, states: dict[str, str] | None) -> bool:
    return not life.is_destroyed if states is None else life.key_id in states


def _take_database(store: ReadOnlyStore, uses: UseCount) -> dict[str, str]:
    """Add what the database knows to what entries told; return the states of all keys that there are."""
    states: dict[str, str] = {}
    after: str | None = None
    while page := store.list_keys(after=after, limit=_PAGE):
        after = page[-1].key_id
        for record in page:
            life = uses.life(record.key_id)
            if life is None:
                continue
            states[record.key_id] = record.state.value
            life.created_at = int(record.created_at * 1_000_000)
            noted = max((use.used_at for use in store.list_key_uses(record.key_id)), default=0.0)
            if (noted_us := int(noted * 1_000_000)) > life.used_at:
                life.used_at, life.used_by = noted_us, ""
    return states


def _database_of(directory: Path) -> Path | None:
    """Return the database of the home whose own log this is; None for a copy."""
    home = home_of(directory)
    return home.database if home is not None and home.database.exists() else None
