"""Reads about Direct keys and their copies.

A row that cannot be read, since somebody wrote nonsense into it, is left out of every list and told by
``list_unreadable_hsm_keys``: one damaged row is no reason to stop everything else. Tombstones are kept for ever; who
compares a member with the records reads those alone that may concern it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import and_, bindparam, or_, select, tuple_

from strongroom.core import HsmKeyId, KeySpec
from strongroom.storage._queries import AnyRow, Queries
from strongroom.storage._records import (
    CopyState,
    HsmKeyCopyRecord,
    HsmKeyRecord,
    HsmKeyState,
    UnreadableHsmKey,
)
from strongroom.storage._rows import hsm_key_of, readable_hsm_keys_of
from strongroom.storage._schema import hsm_key_copies, hsm_keys

_IDS_AT_ONCE: Final = 500

_HSM_KEY: Final = select(hsm_keys).where(hsm_keys.c.key_id == bindparam("key_id"))
_HSM_KEYS: Final = select(hsm_keys).order_by(hsm_keys.c.created_at, hsm_keys.c.key_id)
_HSM_KEYS_IN: Final = _HSM_KEYS.where(hsm_keys.c.state == bindparam("state"))
_AMONG: Final = _HSM_KEYS_IN.where(hsm_keys.c.key_id.in_(bindparam("ids", expanding=True)))
_LEFT_ON: Final = select(hsm_key_copies.c.key_id).where(
    hsm_key_copies.c.member == bindparam("member"), hsm_key_copies.c.state == CopyState.HELD.value
)
_CONCERNING: Final = _HSM_KEYS.where(
    or_(
        hsm_keys.c.state != HsmKeyState.DESTROYED.value,
        hsm_keys.c.destroyed_at >= bindparam("since"),
        hsm_keys.c.key_id.in_(_LEFT_ON),
    )
)
_PAIRS: Final = [(str(spec), str(usage)) for spec in KeySpec for usage in spec.usages]
_UNREADABLE: Final = (
    select(hsm_keys.c.key_id, hsm_keys.c.label)
    .where(
        or_(
            tuple_(hsm_keys.c.spec, hsm_keys.c.usage).not_in(_PAIRS),
            hsm_keys.c.state.not_in([str(state) for state in HsmKeyState]),
        )
    )
    .order_by(hsm_keys.c.key_id)
)
_COPIES: Final = select(hsm_key_copies).order_by(hsm_key_copies.c.key_id, hsm_key_copies.c.member)
_COPIES_OF: Final = _COPIES.where(hsm_key_copies.c.key_id == bindparam("key_id"))
_COPIES_HELD: Final = _COPIES.where(hsm_key_copies.c.state == CopyState.HELD.value)
_HOLDING_DESTROYED: Final = (
    select(hsm_key_copies.c.member)
    .join_from(hsm_key_copies, hsm_keys, hsm_key_copies.c.key_id == hsm_keys.c.key_id)
    .where(
        and_(
            hsm_key_copies.c.state == CopyState.HELD.value,
            hsm_keys.c.state == HsmKeyState.DESTROYED.value,
        )
    )
    .distinct()
)


class HsmKeyReads(Queries):
    """See ``Reader``, which has them."""

    def get_hsm_key(self, key_id: HsmKeyId) -> HsmKeyRecord | None:
        """Return a Direct key by its id. Raises StorageError when its row cannot be read, too."""
        row = self._first(_HSM_KEY, {"key_id": key_id})
        return None if row is None else hsm_key_of(row)

    def list_hsm_keys(self, state: HsmKeyState | None = None) -> list[HsmKeyRecord]:
        """Return the Direct keys of one state, or all with their tombstones, oldest first."""
        if state is None:
            return readable_hsm_keys_of(self._all(_HSM_KEYS, {}))
        return readable_hsm_keys_of(self._all(_HSM_KEYS_IN, {"state": state.value}))

    def list_hsm_keys_concerning(self, member: str, *, since: float) -> list[HsmKeyRecord]:
        """Return the Direct keys that a member may lack or have to destroy, oldest first.

        Those are all that are not destroyed, those whose copy there is not known to be gone, and those destroyed at
        ``since`` (seconds since the Unix epoch) or later. For other tombstones see ``list_destroyed_hsm_keys_among``.
        """
        return readable_hsm_keys_of(self._all(_CONCERNING, {"member": member, "since": since}))

    def list_destroyed_hsm_keys_among(self, key_ids: Iterable[bytes]) -> list[HsmKeyRecord]:
        """Return the tombstones among the Direct keys of these ids."""
        ids = list(key_ids)
        found = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            values = {"state": HsmKeyState.DESTROYED.value, "ids": ids[start : start + _IDS_AT_ONCE]}
            found.extend(readable_hsm_keys_of(self._all(_AMONG, values)))
        return found

    def list_unreadable_hsm_keys(self) -> list[UnreadableHsmKey]:
        """Return the Direct keys whose row says something that no software of this version understands."""
        return [UnreadableHsmKey(HsmKeyId(row[0]), row[1]) for row in self._all(_UNREADABLE, {})]

    def list_hsm_key_copies(self, key_id: HsmKeyId | None = None) -> list[HsmKeyCopyRecord]:
        """Return what is known of the copies of one Direct key, or of all."""
        if key_id is None:
            return _copies_of(self._all(_COPIES, {}))
        return _copies_of(self._all(_COPIES_OF, {"key_id": key_id}))

    def list_held_hsm_key_copies(self) -> list[HsmKeyCopyRecord]:
        """Return the copies that members hold, as far as is known, those of destroyed keys too."""
        return _copies_of(self._all(_COPIES_HELD, {}))

    def list_holders_of_destroyed_hsm_keys(self) -> set[str]:
        """Return the members that may still hold a Direct key with a tombstone."""
        return {row[0] for row in self._all(_HOLDING_DESTROYED, {})}


def _copies_of(rows: Sequence[AnyRow]) -> list[HsmKeyCopyRecord]:
    return [HsmKeyCopyRecord(HsmKeyId(row[0]), row[1], CopyState(row[2])) for row in rows]
