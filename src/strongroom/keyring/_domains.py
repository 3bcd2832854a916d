"""``Domains``: which domain KEK is over which keys, as people choose it.

Keys of nobody in particular lie in *shards*, which fill up by themselves and are never chosen. A *named* domain is for the keys
that are put there, a tenant's for instance; a *dedicated* one is a single key's own. Each has one KEK. Rotation puts another
domain, with a KEK and an id of its own, in the place of one, under the same name; ``DomainRotations`` moves the keys.
"""

import re
from collections.abc import Collection
from functools import partial
from typing import Final

from strongroom.core import Clock, KeyOrigin, StorageError
from strongroom.keyring._ciphers import domain_of
from strongroom.keyring._creation import DEDICATED, DomainMaking, max_keys_of
from strongroom.keyring._credentials import CREDENTIALS
from strongroom.keyring._domain_errors import (
    DomainFullError,
    DomainNameError,
    DomainNameInUseError,
    DomainNotFoundError,
    DomainStateError,
    NotInDomainError,
)
from strongroom.keyring._domain_resealing import DomainResealing, ResealedKey, store_resealed
from strongroom.keyring._domain_values import DomainInfo, DomainKind, DomainPage, Replacement
from strongroom.keyring._errors import MissingRecordError
from strongroom.keyring._key_state import read_key
from strongroom.keyring._tags import DOMAIN_TAG
from strongroom.storage import DomainRecord, KeyRecord, Reader, Store, TagRecord, Transaction

MAX_DOMAIN_NAME: Final = 64
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAKEN: Final = frozenset({"automatic", "credentials", DEDICATED, "none", "shard"})
_TRIES: Final = 5
_MOST_TAGS: Final = 1_000


class Domains:
    """Shows and makes domains, and moves keys. What changes something is durable when it returns.

    All raise StorageError. A domain is named by its name or its id; the id of one that is being replaced stands for the one
    that takes its place. Belongs to one event loop.
    """

    def __init__(
        self,
        store: Store,
        making: DomainMaking,
        resealing: DomainResealing,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._making = making
        self._resealing = resealing
        self._clock = clock

    def page(self, *, limit: int, after: str | None) -> DomainPage:
        """Return a page of domains."""
        found = self._store.list_domains(after=after or "", limit=limit + 1)
        shown = tuple(self._info(domain) for domain in found[:limit] if domain.replaced_by is None)
        return DomainPage(shown, found[limit - 1].domain_id if len(found) > limit else None)

    def find(self, domain: str) -> DomainInfo:
        """Return a domain. Raises DomainNotFoundError."""
        return self._info(find_domain(self._store, domain))

    def of_key(self, key_id: str) -> DomainInfo:
        """Return the domain that a key is in. Raises KeyNotFoundError, NotInDomainError."""
        return self._info(self._key_and_home(key_id)[1])

    async def create(self, name: str) -> DomainInfo:
        """Make a domain, whose keys are those that are put there. Raises DomainNameError, DomainNameInUseError, HsmError.

        A name has 1 to 64 of a-z, 0-9, dot, underscore and hyphen, and begins and ends with a letter or a digit.
        """
        if name in _TAKEN:
            raise DomainNameError(f"no domain is called {name!r}: it says what kind of domain one is")
        require_domain_name(name)
        if self._store.get_named_domain(name) is not None:  # before an HSM is asked for nothing
            raise DomainNameInUseError(name)
        return self._info(await self._making.make(DEDICATED, name))

    async def rotate(self, domain: str) -> DomainInfo:
        """Put a new domain KEK in the place of a domain's. Whatever is sealed from now on is under it.

        What is under the old one is moved by ``DomainRotations``. Raises DomainNotFoundError, DomainStateError while the last
        rotation of this domain goes on, HsmError.
        """
        old = find_domain(self._store, domain)
        _require_settled(self._store, old)
        heir = await self._making.draft(old.kind)
        work = partial(_replace, old_id=old.domain_id, heir=heir, at=self._clock.now())
        return self._info(await self._store.write(work))

    async def move(self, key_id: str, domain: str) -> DomainInfo:
        """Put a key into a named domain, or into one of its own (``dedicated``), in one step; no effect where it is there.

        In any state but destroyed. Whatever was encrypted under it opens as before. Raises KeyNotFoundError, NotInDomainError,
        DomainNotFoundError, DomainFullError, DomainStateError for a domain that fills up by itself, HsmError.
        """
        for _ in range(_TRIES):
            key, now_in = self._key_and_home(key_id)
            if _is_there(self._store, now_in, domain):
                return self._info(now_in)
            target = await self._target(domain)
            try:
                moved = await self._store.write(
                    partial(_move, key=await self._resealing.reseal(key, target.domain_id))
                )
            except MissingRecordError:  # the key moved, and the domain that it was in was removed
                if read_key(self._store, key_id).domain_id == key.domain_id:
                    raise
                continue
            finally:
                if domain == DEDICATED:  # unless the key is in it now
                    await self._store.write(partial(_remove_unused, domain_id=target.domain_id))
            if moved is not None:
                return self._info(moved)
        raise StorageError("other requests kept changing this key before it could be moved")

    def _key_and_home(self, key_id: str) -> tuple[KeyRecord, DomainRecord]:
        """Return a key and the domain that it is in or going to. Raises KeyNotFoundError, NotInDomainError."""
        while True:
            key = _enveloped(read_key(self._store, key_id))
            try:
                return key, find_domain(self._store, key.domain_id)
            except (
                DomainNotFoundError
            ):  # between the two looks it moved, and the domain that it was in was removed
                if read_key(self._store, key_id).domain_id == key.domain_id:
                    raise

    async def _target(self, domain: str) -> DomainRecord:
        if domain == DEDICATED:
            return await self._making.make(DEDICATED)
        target = find_domain(self._store, domain)
        require_open(target)
        return target

    def _info(self, domain: DomainRecord) -> DomainInfo:
        replaced = self._store.find_domain_replaced_by(domain.domain_id)
        replaces = None if replaced is None else self._replacement(replaced)
        n_keys: int = domain.key_count
        max_keys: int | None = max_keys_of(domain)
        if domain.kind == CREDENTIALS:
            n_keys, max_keys = len(self._store.list_access_keys()), None
        return DomainInfo(
            domain.domain_id,
            kind_of(domain),
            domain.name,
            n_keys,
            max_keys,
            domain.created_at,
            domain.root_id,
            replaces,
        )

    def _replacement(self, old: DomainRecord) -> Replacement:
        n_left, n_total = old.key_count, old.n_to_move
        if old.kind == CREDENTIALS:
            secrets = [record.wrapped_secret for record in self._store.list_access_keys()]
            n_left = sum(domain_of(secret) == old.domain_id for secret in secrets)
            n_total = len(secrets)
        return Replacement(old.domain_id, old.replaced_at or 0.0, n_left, max(n_total, n_left))


def require_domain_name(name: str) -> None:
    """Raise DomainNameError for what no domain is called. ``dedicated`` has the form of a name."""
    if not _NAME.fullmatch(name) or _ID.fullmatch(name):
        raise DomainNameError(
            f"a domain is called by 1 to {MAX_DOMAIN_NAME} of a-z 0-9 . _ - and begins and ends with a letter or a digit"
        )


def kind_of(domain: DomainRecord) -> DomainKind:
    """Tell what a domain is for."""
    return DomainKind.NAMED if domain.name is not None else DomainKind(domain.kind)


def find_domain(reader: Reader, domain: str) -> DomainRecord:
    """Return the domain of a name or an id, or the one that is taking its place. Raises DomainNotFoundError."""
    found = reader.get_domain(domain) if _ID.fullmatch(domain) else reader.get_named_domain(domain)
    if found is not None and found.replaced_by is not None:
        found = reader.get_domain(found.replaced_by)
    if found is None:
        raise DomainNotFoundError(domain)
    return found


def require_open(domain: DomainRecord) -> None:
    """Require a domain that a key can be put into by name. Raises DomainStateError, DomainFullError."""
    if domain.kind != DEDICATED:
        raise DomainStateError(
            f"the domain {domain.domain_id} is no named one: the service alone puts keys there"
        )
    limit = max_keys_of(domain)
    if domain.key_count >= limit:
        raise DomainFullError(domain.name or domain.domain_id, limit)


def retag(tx: Transaction, key_id: str, domain: DomainRecord) -> None:
    """Let the tag that says a key's domain, where it has one, say this one."""
    names: Collection[str] = [tag.name for tag in tx.list_tags(key_id, after=None, limit=_MOST_TAGS)]
    if DOMAIN_TAG in names:
        tx.put_tag(TagRecord(key_id, DOMAIN_TAG, domain.name or DEDICATED))


def _is_there(reader: Reader, now_in: DomainRecord, domain: str) -> bool:
    """Whether a key that is in one domain, or is on its way there, is where it is to go. Raises DomainNotFoundError."""
    if domain == DEDICATED:
        return kind_of(now_in) is DomainKind.DEDICATED
    return find_domain(reader, domain).domain_id == now_in.domain_id


def _enveloped(key: KeyRecord) -> KeyRecord:
    if key.origin is KeyOrigin.AWS_CLOUDHSM:
        raise NotInDomainError(key.key_id)
    return key


def _require_settled(reader: Reader, domain: DomainRecord) -> None:
    """Require a domain whose last rotation is at its end. Raises DomainStateError."""
    replaced = reader.find_domain_replaced_by(domain.domain_id)
    if replaced is not None or domain.replaced_by is not None:
        left = "" if replaced is None else f"; {replaced.key_count} keys are left"
        raise DomainStateError(f"the domain is being rotated{left}")


def _replace(tx: Transaction, *, old_id: str, heir: DomainRecord, at: float) -> DomainRecord:
    old = tx.get_domain(old_id)
    if old is None:
        raise DomainNotFoundError(old_id)
    _require_settled(tx, old)
    tx.insert_domain(heir)
    if not tx.replace_domain(old, heir.domain_id, at):
        raise DomainStateError("the domain is being rotated")
    return tx.get_domain(heir.domain_id) or heir


def _move(tx: Transaction, *, key: ResealedKey) -> DomainRecord | None:
    """Store a moved key; None when it, or the domain that it goes to, changed meanwhile."""
    target, old = tx.get_domain(key.goes_to), tx.get_domain(key.was_in)
    if target is None or old is None or target.replaced_by is not None:
        return None
    require_open(target)
    if not store_resealed(tx, key):
        return None
    retag(tx, key.key_id, target)
    if kind_of(old) is DomainKind.DEDICATED and old.replaced_by is None:
        _remove_unused(tx, domain_id=old.domain_id)
    return tx.get_domain(target.domain_id)


def _remove_unused(tx: Transaction, *, domain_id: str) -> None:
    """Remove a domain for one key that has none, unless keys of another are on their way to it."""
    if tx.find_domain_replaced_by(domain_id) is None:
        tx.remove_domain(domain_id)
