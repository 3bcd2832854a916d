"""``Tags``: labels that users put on keys, for people, bills and tools; they decide nothing here."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Final

from strongroom.keyring._domain_errors import DomainTagError
from strongroom.keyring._errors import TagLimitError
from strongroom.keyring._key_state import read_changeable_key, read_key
from strongroom.keyring._values import Tag, TagPage
from strongroom.storage import Store, TagRecord, Transaction

MAX_TAGS_OF_KEY: Final = 50
DOMAIN_TAG: Final = "strongroom:domain"
"""Says which domain a key was put into; by it a client of AWS KMS says so of a new key."""


class Tags:
    """Puts, removes and lists tags: name (1 to 128 characters) to value (up to 256), up to 50 a key."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, key_id: str, *, limit: int, after: str | None) -> TagPage:
        """Return a page of a key's tags in the order of their names. Raises KeyNotFoundError."""
        read_key(self._store, key_id)
        found = self._store.list_tags(key_id, after=after, limit=limit + 1)
        page = found[:limit]
        return TagPage(
            tuple(Tag(tag.name, tag.value) for tag in page), page[-1].name if len(found) > limit else None
        )

    async def put(self, key_id: str, tags: Mapping[str, str]) -> None:
        """Add tags, and replace the values of those that are there: all or none.

        Raises TagLimitError when the key would have more than 50, DomainTagError, KeyNotFoundError, DestructionScheduledError.
        """
        await self._store.write(partial(_put, key_id=key_id, tags=dict(tags)))

    async def remove(self, key_id: str, names: Collection[str]) -> None:
        """Remove the tags of these names, where there are any. Raises KeyNotFoundError, DestructionScheduledError, DomainTagError."""
        await self._store.write(partial(_remove, key_id=key_id, names=tuple(names)))


def _require_kept(tx: Transaction, key_id: str, tags: Mapping[str, str | None]) -> None:
    """Require that the tag which says a key's domain stays as it is: a key is put into another domain, not tagged so.

    Raises DomainTagError.
    """
    if DOMAIN_TAG not in tags:
        return
    there = {tag.name: tag.value for tag in tx.list_tags(key_id, after=None, limit=MAX_TAGS_OF_KEY)}
    if there.get(DOMAIN_TAG) != tags[DOMAIN_TAG]:
        raise DomainTagError(key_id)


def put_tags(tx: Transaction, key_id: str, tags: Mapping[str, str]) -> None:
    """Put tags on a key inside a transaction. Raises TagLimitError."""
    for name, value in tags.items():
        tx.put_tag(TagRecord(key_id, name, value))
    if tx.count_tags(key_id) > MAX_TAGS_OF_KEY:
        raise TagLimitError(key_id, MAX_TAGS_OF_KEY)  # and the transaction forgets what was put


def _put(tx: Transaction, *, key_id: str, tags: Mapping[str, str]) -> None:
    read_changeable_key(tx, key_id)
    _require_kept(tx, key_id, tags)
    put_tags(tx, key_id, tags)


def _remove(tx: Transaction, *, key_id: str, names: Collection[str]) -> None:
    read_changeable_key(tx, key_id)
    _require_kept(tx, key_id, dict.fromkeys(names))
    there = {tag.name for tag in tx.list_tags(key_id, after=None, limit=MAX_TAGS_OF_KEY)}
    for name in there.intersection(names):  # a request may name thousands
        tx.delete_tag(key_id, name)
