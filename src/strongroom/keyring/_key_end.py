"""The end of a key inside HSMs whose date of destruction has come, inside a transaction."""

from typing import Final, NamedTuple

from strongroom.core import HsmKeyId, KeyOrigin, KeyState
from strongroom.storage import Transaction

_ALL_VERSIONS: Final = 1_000_000


class EndedKey(NamedTuple):
    """What went with a key."""

    n_versions: int
    n_aliases: int
    hsm_key_ids: tuple[HsmKeyId, ...]
    """The Direct keys that it was. Whoever ended it destroys them in the same transaction."""


def end_due_key(tx: Transaction, key_id: str, now: float) -> EndedKey | None:
    """Destroy a key that is Direct keys if its date has come: its versions and aliases go, its record stays.

    None when it is not so; nothing has happened then.
    """
    found = tx.get_key(key_id)
    if found is None or found.origin is not KeyOrigin.AWS_CLOUDHSM:
        return None
    if found.state in {KeyState.ACTIVE, KeyState.DESTROYED}:
        return None
    if found.destroy_at is None or found.destroy_at > now:
        return None
    versions = tx.list_key_versions(key_id, after=0, limit=_ALL_VERSIONS)
    tx.change_key(found._replace(state=KeyState.DESTROYED))
    tx.uncount_key_in_domain(found.domain_id)
    hsm_key_ids = tuple(HsmKeyId(version.hsm_key_id) for version in versions if version.hsm_key_id)
    tx.delete_access_to(key_id)
    return EndedKey(tx.delete_material(key_id), tx.delete_aliases_of(key_id), hsm_key_ids)
