"""``DomainRotations``: the keys of a domain that was replaced move to the one in its place, then the old KEK is removed.

What is to be done stands in the database alone: a domain that names another in its place. So whoever is killed at any point
is followed by somebody who goes on, and two who do it at once do each other no harm. It is done in parts with pauses, for each
commit has every process look at its keys again.

The old domain KEK goes last, when no key is in its domain and no blob in the whole database names it.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from strongroom.core import Clock, HsmIntegrityError, HsmRequestError
from strongroom.envelope import EnvelopeError, MalformedBlobError, Purpose, credential_binding
from strongroom.keyring._ciphers import KekCiphers, domain_of
from strongroom.keyring._credentials import CREDENTIALS
from strongroom.keyring._domain_resealing import DomainResealing, ResealedKey, store_resealed
from strongroom.keyring._errors import MissingRecordError
from strongroom.storage import AccessKeyRecord, DomainRecord, KeyRecord, Store, Transaction

_PART: Final = 25
_PAUSE_S: Final = 0.1
_RETRY_S: Final = 60.0
_ROUNDS: Final = 5
_HEADS: Final = 500
_UNUSED_S: Final = 3_600.0
_UNREADABLE: Final = (
    EnvelopeError, MalformedBlobError, MissingRecordError, HsmIntegrityError, HsmRequestError
)  # fmt: skip


class DomainReplaced(NamedTuple):
    """How far a rotation came."""

    domain_id: str
    """The domain whose place was taken."""
    replaced_by: str
    n_moved: int
    """Keys, or access keys, that were moved by this attempt."""
    n_left: int
    """Of those that are left, some could not be read, or were changed again and again."""
    is_done: bool
    """Whether the old domain KEK is removed."""


class DomainRotations:
    """Finishes rotations of domains. Belongs to one event loop."""

    def __init__(
        self, store: Store, ciphers: KekCiphers, resealing: DomainResealing, *, clock: Clock
    ) -> None:
        self._store = store
        self._ciphers = ciphers
        self._resealing = resealing
        self._clock = clock
        self._tried_at: dict[str, float] = {}
        self._cleaned_at = clock.monotonic()

    def due(self) -> list[str]:
        """Return the ids of replaced domains that nobody here tried to finish within the last minute."""
        now = self._clock.monotonic()
        found = [domain.domain_id for domain in self._store.list_replaced_domains()]
        self._tried_at = {
            domain_id: tried_at for domain_id, tried_at in self._tried_at.items() if domain_id in found
        }
        return [
            domain_id
            for domain_id in found
            if domain_id not in self._tried_at or now >= self._tried_at[domain_id] + _RETRY_S
        ]

    async def finish(self, domain_id: str, *, pause_s: float = _PAUSE_S) -> DomainReplaced | None:
        """Move what is under a replaced domain KEK, in parts, and remove it; None when somebody else has done so.

        What cannot be read stays where it is, and so does the KEK. Raises NoMemberError, StorageError, and HsmIntegrityError when
        a domain KEK itself does not open.
        """
        self._tried_at[domain_id] = self._clock.monotonic()
        old = self._store.get_domain(domain_id)
        if old is None or old.replaced_by is None:
            return None
        for under in (
            domain_id,
            old.replaced_by,
        ):  # before each key in turn finds out that one of them does not open
            await self._ciphers.domain(under)
        n_moved = 0
        for _ in range(_ROUNDS):
            n_more, n_failed = await self._move_all(old, old.replaced_by, pause_s)
            n_moved += n_more
            if n_failed or not self._n_left(old):
                break
        if not self._n_left(old) and await self._move_strays(old, pause_s):
            removed = await self._store.write(partial(_remove, domain_id=domain_id, heir_id=old.replaced_by))
            if removed:
                return DomainReplaced(domain_id, old.replaced_by, n_moved, 0, is_done=True)
        if self._store.get_domain(domain_id) is None:
            return None
        return DomainReplaced(domain_id, old.replaced_by, n_moved, self._n_left(old), is_done=False)

    async def remove_unused(self) -> int:
        """Remove, once a minute, domains that were made for a key which was never stored; return how many."""
        now = self._clock.monotonic()
        if now < self._cleaned_at + _RETRY_S:
            return 0
        self._cleaned_at = now
        before = self._clock.now() - _UNUSED_S
        return await self._store.write(lambda tx: tx.remove_unused_domains(made_before=before))

    async def _move_all(self, old: DomainRecord, heir_id: str, pause_s: float) -> tuple[int, int]:
        """Move what can be moved; return how many were, and how many could not be read."""
        if old.kind == CREDENTIALS:
            return await self._move_access_keys(old, heir_id)
        n_moved = n_failed = 0
        after = ""
        while keys := self._store.list_keys_in_domain(old.domain_id, after=after, limit=_PART):
            n_more, n_bad = await self._move(keys, heir_id)
            n_moved += n_more
            n_failed += n_bad
            after = keys[-1].key_id
            await asyncio.sleep(pause_s)
        return n_moved, n_failed

    async def _move(self, keys: Sequence[KeyRecord], goes_to: str | None) -> tuple[int, int]:
        """Move keys in one transaction, to their own domain for None; a key that was changed meanwhile stays."""
        resealed: list[ResealedKey] = []
        n_failed = 0
        for key in keys:
            try:
                resealed.append(await self._resealing.reseal(key, goes_to or key.domain_id))
            except _UNREADABLE:
                n_failed += 1
            await asyncio.sleep(0)  # others have their turn
        n_moved = await self._store.write(partial(_store_all, keys=resealed)) if resealed else 0
        return n_moved, n_failed

    async def _move_access_keys(self, old: DomainRecord, heir_id: str) -> tuple[int, int]:
        n_moved = n_failed = 0
        for record in _access_keys_under(self._store.list_access_keys(), old.domain_id):
            binding = credential_binding(record.access_key_id)
            try:
                wrapped = await self._resealing.resealed(
                    Purpose.CREDENTIAL, record.wrapped_secret, heir_id, binding
                )
            except _UNREADABLE:
                n_failed += 1
            else:
                n_moved += await self._store.write(
                    partial(_store_secret, record=record, wrapped=wrapped, heir_id=heir_id)
                )
        return n_moved, n_failed

    def _n_left(self, old: DomainRecord) -> int:
        if old.kind == CREDENTIALS:
            return len(_access_keys_under(self._store.list_access_keys(), old.domain_id))
        now = self._store.get_domain(old.domain_id)
        if now is None:
            return 0
        has_more = bool(self._store.list_keys_in_domain(old.domain_id, after="", limit=1))
        return max(now.key_count, 1) if has_more else 0

    async def _move_strays(self, old: DomainRecord, pause_s: float) -> bool:
        """Look through all that is wrapped for the old domain KEK; whether nothing, any more, is under it.

        Nothing should be: whoever stores a blob looks where its key is. But what is removed then is gone for ever.
        """
        under = bytes.fromhex(old.domain_id.replace("-", ""))
        is_clean = True
        for of_digest_keys in (False, True):
            after = ("", 0)
            while heads := self._store.list_blob_heads(
                after=after, limit=_HEADS, of_digest_keys=of_digest_keys
            ):
                strays = {key_id for key_id, _, head in heads if head[3:19] == under}
                found = [key for key in map(self._store.get_key, strays) if key is not None]
                n_moved, _ = await self._move(found, None) if found else (0, 0)
                is_clean = is_clean and n_moved == len(strays)
                after = heads[-1][:2]
                await asyncio.sleep(min(pause_s, 0.01))
        return is_clean


def _access_keys_under(records: Sequence[AccessKeyRecord], domain_id: str) -> list[AccessKeyRecord]:
    return [record for record in records if domain_of(record.wrapped_secret) == domain_id]


def _store_all(tx: Transaction, *, keys: Sequence[ResealedKey]) -> int:
    return sum(store_resealed(tx, key) for key in keys)


def _store_secret(tx: Transaction, *, record: AccessKeyRecord, wrapped: bytes, heir_id: str) -> bool:
    heir = tx.get_domain(heir_id)
    if heir is None or heir.replaced_by is not None:
        return False
    return tx.rewrap_access_key(record.access_key_id, was=record.wrapped_secret, wrapped=wrapped)


def _remove(tx: Transaction, *, domain_id: str, heir_id: str) -> bool:
    """Remove a domain that nothing is in; the records of its destroyed keys go to the one in its place."""
    if tx.list_keys_in_domain(domain_id, after="", limit=1):
        return False
    if _access_keys_under(tx.list_access_keys(), domain_id):
        return False
    return tx.remove_domain(domain_id, heir_id)
