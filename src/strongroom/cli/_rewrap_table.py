"""A column of ciphertexts in an SQL table, rewrapped in bounded transactions; and the file that says how far that is."""

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from strongroom.cli._errors import NotDoneError
from strongroom.cli._rewrap_inventory import Counting
from strongroom.client import Client, Item, Result
from strongroom.core import StorageError, random_bytes
from strongroom.storage import CiphertextRow, CiphertextTable

_ROUNDS: Final = 3
"""How often a row is tried whose ciphertext others change meanwhile."""
_MAX_STATE_BYTES: Final = 65_536


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a run came, and in what."""

    table: str
    key_column: str
    ciphertext_column: str
    key: str
    """As the command named it: under another one the rows up to here are not done."""
    last_key: int | str
    key_kind: str
    rewrapped: int
    failed: int


@dataclass
class TableTally:
    """What became of the rows, interrupted runs included."""

    rewrapped: int = 0
    failed: int = 0
    contended: int = 0
    """Those that others changed each time we came to write; they hold what the others wrote."""


class StateFile:
    """The place of a run on disk; without a path it remembers nothing."""

    def __init__(
        self, path: Path | None, table: str, key_column: str, ciphertext_column: str, *, key: str
    ) -> None:
        self._path = path
        self._names = (table, key_column, ciphertext_column, key)

    def read(self, tally: TableTally) -> Any:
        """Return the key of the last row that is done; None at the beginning. Raises NotDoneError for another's file."""
        if self._path is None or not self._path.exists():
            return None
        try:
            with self._path.open("rb") as file:
                place = msgspec.json.decode(file.read(_MAX_STATE_BYTES), type=Place)
            key = _key_from(place)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            raise NotDoneError(
                f"{self._path} is no state of a rewrap", next_step="choose another --state"
            ) from None
        if (place.table, place.key_column, place.ciphertext_column, place.key) != self._names:
            raise NotDoneError(
                f"{self._path} is the state of another table or column, or of another key",
                next_step="choose another --state",
            )
        tally.rewrapped, tally.failed = place.rewrapped, place.failed
        return key

    def write(self, key: Any, tally: TableTally) -> None:
        """Remember that all rows up to this key are done; on disk when this returns."""
        if self._path is None:
            return
        kind, written = _key_to(key)
        place = Place(*self._names, written, kind, tally.rewrapped, tally.failed)
        part = self._path.with_name(f".{self._path.name}-{random_bytes(8).hex()}.part")
        try:
            with part.open("xb") as file:
                file.write(msgspec.json.encode(place))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)

    def remove(self) -> None:
        """All is done: forget the place."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def rewrap_table(
    client: Client,
    key: str,
    table: CiphertextTable,
    context: Mapping[str, str],
    *,
    state: StateFile,
    tally: TableTally,
    most: int,
    progress: Callable[[TableTally], None],
    report: Callable[[str], None],
    counting: Counting | None = None,
) -> None:
    """Rewrap every row; ``most`` rows in a transaction. Raises StorageError and as ``Client.rewrap_many``.

    With ``counting`` all rows are read once more at the end.
    """
    last = state.read(tally)
    while rows := table.rows_after(last, most):
        last = rows[-1].key
        if counting is not None:
            _each(rows, counting.found, lambda: None)
        _key_to(last)  # a key that could not be remembered shows before anything is changed
        for _ in range(_ROUNDS):
            rows = _once(
                client, key, table, context, rows=rows, tally=tally, report=report, counting=counting
            )
            if not rows:
                break
            rows = table.rows_of([row.key for row in rows])
        for row in rows:
            tally.contended += 1
            report(f"row {row.key}: others change it all the time; it holds what they wrote")
        state.write(last, tally)
        progress(tally)
    if counting is not None:
        last = None
        while rows := table.rows_after(last, most):
            last = rows[-1].key
            _each(rows, counting.left, counting.unreadable)
    state.remove()


def _each(
    rows: Sequence[CiphertextRow], count: Callable[[bytes], None], unreadable: Callable[[], None]
) -> None:
    for row in rows:
        try:
            count(_ciphertext(row))
        except ValueError:
            unreadable()


def _once(
    client: Client,
    key: str,
    table: CiphertextTable,
    context: Mapping[str, str],
    *,
    rows: Sequence[CiphertextRow],
    tally: TableTally,
    report: Callable[[str], None],
    counting: Counting | None,
) -> list[CiphertextRow]:
    """Rewrap rows and write what came of it; returns those that others changed meanwhile."""
    items: list[tuple[CiphertextRow, Item]] = []
    for row in rows:
        try:
            items.append((row, Item(_ciphertext(row), _context(row))))
        except ValueError as error:
            tally.failed += 1
            report(f"row {row.key}: {error}")
    changes = []
    results = client.rewrap_many(key, (item for _, item in items), context=context)
    for (row, _), result in zip(items, results, strict=True):
        if result.error is None:
            changes.append((row, _stored(row, result)))
        else:
            tally.failed += 1
            report(f"row {row.key}: {result.error.reason}")
    lost = table.replace(changes)
    tally.rewrapped += len(changes) - len(lost)
    if counting is not None:
        left = {id(row) for row in lost}
        _each([row for row, _ in changes if id(row) not in left], counting.rewrapped, lambda: None)
    return lost


def _ciphertext(row: CiphertextRow) -> bytes:
    stored = row.ciphertext
    if isinstance(stored, str):
        try:
            return b64decode(stored, validate=True)
        except (Base64Error, ValueError):
            raise ValueError("the ciphertext is no base64") from None
    if isinstance(stored, bytes | bytearray | memoryview):
        return bytes(stored)
    raise ValueError("the ciphertext is neither bytes nor text")


def _stored(row: CiphertextRow, result: Result) -> bytes | str:
    """Return a new ciphertext in the form in which the old one is stored."""
    made = result.get()
    return b64encode(made).decode() if isinstance(row.ciphertext, str) else made


def _context(row: CiphertextRow) -> Mapping[str, str] | None:
    if row.context is None:
        return None
    try:
        if isinstance(row.context, str | bytes):
            return msgspec.json.decode(row.context, type=dict[str, str])
        return msgspec.convert(row.context, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ValueError("the encryption context is no JSON object with strings only") from None


def _key_to(key: Any) -> tuple[str, int | str]:
    match key:
        case bool():
            pass
        case int():
            return "int", key
        case str():
            return "str", key
        case UUID():
            return "uuid", str(key)
        case bytes():
            return "bytes", key.hex()
    raise StorageError(
        f"keys of the type {type(key).__name__} are not known here",
        next_step="name a key column with numbers, texts, UUIDs or bytes",
    )


def _key_from(place: Place) -> Any:
    match place.key_kind, place.last_key:
        case "int", int(number):
            return number
        case "str", str(text):
            return text
        case "uuid", str(text):
            return UUID(text)
        case "bytes", str(text):
            return bytes.fromhex(text)
    raise ValueError("no key")


def document_of(tally: TableTally) -> dict[str, int]:
    """Return what ``--json`` shows."""
    return asdict(tally)
