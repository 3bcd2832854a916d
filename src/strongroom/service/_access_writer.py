"""``AccessWriter``: changes key policies and grants, durably, in force in every process when it returns."""

import hashlib
import json
from functools import partial
from typing import Final

from strongroom.core import Clock, encode_fields, random_bytes
from strongroom.keyring import read_key, require_active
from strongroom.policy import grantable_actions
from strongroom.service._access_book import MAX_GRANTS_OF_GRANTEE
from strongroom.service._access_protocols import NewGrant
from strongroom.service._errors import GrantLimitError, GrantNotFoundError, UnfitGrantError
from strongroom.storage import GrantRecord, KeyPolicyRecord, Store, Transaction

MAX_GRANTS_OF_KEY: Final = 50_000
_DIGEST_LABEL: Final = "strongroom grant parameters v1"


class AccessWriter:
    """Belongs to one event loop. All raise KeyNotFoundError and StorageError."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self._clock = clock

    async def put_policy(self, key_id: str, document: str) -> None:
        """Give a key another policy. That it can be kept to was checked before."""
        record = KeyPolicyRecord(key_id, document, self._clock.now())
        await self.store.write(partial(_put_policy, record=record))

    async def create_grant(self, key_id: str, wanted: NewGrant, created_by: str) -> GrantRecord:
        """Make a grant, or return the one that says the same. Raises GrantLimitError, UnfitGrantError, KeyStateError."""
        return await self.store.write(partial(_create_grant, record=self._record(key_id, wanted, created_by)))

    def check_grant(self, key_id: str, wanted: NewGrant) -> None:
        """Check what ``create_grant`` would, and make nothing. Raises as it does."""
        record = self._record(key_id, wanted, "")
        _require_fit(self.store, record)
        if self.store.find_same_grant(record) is None:
            _require_room(self.store, record)

    async def delete_grant(self, grant_id: str) -> None:
        """Remove a grant: no request that is sent after this returned can use it. Raises GrantNotFoundError."""
        if not await self.store.write(lambda tx: tx.delete_grant(grant_id)):
            raise GrantNotFoundError

    def _record(self, key_id: str, wanted: NewGrant, created_by: str) -> GrantRecord:
        return GrantRecord(
            random_bytes(32).hex(),
            key_id,
            wanted.name,
            wanted.grantee,
            wanted.retiring,
            tuple(sorted(wanted.actions)),
            wanted.equals,
            wanted.subset,
            _digest(wanted) if wanted.name else random_bytes(32),
            created_by,
            self._clock.now(),
        )


def _digest(wanted: NewGrant) -> bytes:
    """Return what is the same for grants that say the same. Who makes them does not matter, as at AWS."""
    constraints = json.dumps([wanted.equals, wanted.subset], sort_keys=True)
    fields = [wanted.name, wanted.grantee, wanted.retiring, constraints, *sorted(wanted.actions)]
    return hashlib.sha256(encode_fields(_DIGEST_LABEL, [field.encode() for field in fields])).digest()


def _put_policy(tx: Transaction, record: KeyPolicyRecord) -> None:
    read_key(tx, record.key_id)
    tx.put_key_policy(record)


def _create_grant(tx: Transaction, record: GrantRecord) -> GrantRecord:
    _require_fit(tx, record)
    same = tx.find_same_grant(record)
    if same is not None:
        return same
    _require_room(tx, record)
    tx.insert_grant(record)
    return record


def _require_fit(reader: Transaction | Store, record: GrantRecord) -> None:
    key = read_key(reader, record.key_id)
    require_active(key, key.material_id)
    unfit = sorted(set(record.actions) - grantable_actions(key.spec, key.usage))
    if unfit:
        raise UnfitGrantError(f"a grant on a key of {key.spec} for {key.usage} cannot be for {unfit[0]}")
    if (record.context_equals is not None or record.context_subset is not None) and not key.spec.is_symmetric:
        raise UnfitGrantError(f"a key of {key.spec} takes no encryption context that a grant could ask for")


def _require_room(reader: Transaction | Store, record: GrantRecord) -> None:
    for limit, found in (
        (MAX_GRANTS_OF_GRANTEE, reader.count_grants(record.key_id, grantee=record.grantee)),
        (MAX_GRANTS_OF_KEY, reader.count_grants(record.key_id)),
    ):
        if found >= limit:
            raise GrantLimitError(limit)
