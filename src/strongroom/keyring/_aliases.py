"""``Aliases``: other names of keys."""

from functools import partial
from typing import Final

from strongroom.core import Clock
from strongroom.keyring._errors import AliasExistsError, AliasLimitError, AliasNotFoundError
from strongroom.keyring._key_state import read_changeable_key, read_key
from strongroom.keyring._values import AliasInfo, AliasPage
from strongroom.storage import AliasRecord, DuplicateError, Store, Transaction

MAX_ALIASES_OF_KEY: Final = 50


class Aliases:
    """Makes, moves, lists and removes aliases. Changes are in force in every process when a call returns."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def page(self, *, key_id: str | None, limit: int, after: str | None) -> AliasPage:
        """Return a page of aliases, of one key or of all, in the order of their names. Raises KeyNotFoundError."""
        if key_id is not None:
            read_key(self._store, key_id)
        found = self._store.list_aliases(key_id=key_id, after=after, limit=limit + 1)
        page = found[:limit]
        return AliasPage(
            tuple(AliasInfo(*alias) for alias in page), page[-1].name if len(found) > limit else None
        )

    async def create(self, alias_name: str, target_key_id: str) -> AliasInfo:
        """Give a key another name.

        Raises AliasExistsError, AliasLimitError, KeyNotFoundError, DestructionScheduledError.
        """
        now = self._clock.now()
        record = AliasRecord(alias_name, target_key_id, now, now)
        try:
            await self._store.write(partial(_create, record=record))
        except DuplicateError:
            raise AliasExistsError(alias_name) from None
        return AliasInfo(*record)

    async def move(self, alias_name: str, target_key_id: str, *, former: str | None = None) -> None:
        """Let an alias point to another key; the state of the key that it leaves does not matter.

        With ``former`` only an alias that still points to that key is there: whoever was authorised was so about that one. Raises AliasNotFoundError, AliasLimitError, KeyNotFoundError, DestructionScheduledError.
        """
        await self._store.write(
            partial(_move, name=alias_name, key_id=target_key_id, former=former, now=self._clock.now())
        )

    async def delete(self, alias_name: str, *, former: str | None = None) -> str:
        """Remove an alias, and return the id of the key that it pointed to. Raises AliasNotFoundError.

        ``former`` is as for ``move``.
        """
        return await self._store.write(partial(_delete, name=alias_name, former=former))


def _create(tx: Transaction, *, record: AliasRecord) -> None:
    _require_room(tx, record.key_id)
    tx.insert_alias(record)


def _move(tx: Transaction, *, name: str, key_id: str, former: str | None, now: float) -> None:
    found = _read(tx, name, former)
    if found.key_id == key_id:
        read_changeable_key(tx, key_id)
    else:
        _require_room(tx, key_id)
    tx.move_alias(name, key_id, now)


def _delete(tx: Transaction, *, name: str, former: str | None) -> str:
    found = _read(tx, name, former)
    tx.delete_alias(name)
    return found.key_id


def _read(tx: Transaction, name: str, former: str | None) -> AliasRecord:
    found = tx.get_alias(name)
    if found is None or former not in {None, found.key_id}:
        raise AliasNotFoundError(name)
    return found


def _require_room(tx: Transaction, key_id: str) -> None:
    read_changeable_key(tx, key_id)
    if tx.count_aliases(key_id) >= MAX_ALIASES_OF_KEY:
        raise AliasLimitError(key_id, MAX_ALIASES_OF_KEY)
