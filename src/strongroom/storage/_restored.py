"""What is forgotten in a database that was restored from a backup: everything about HSMs that are not there any more."""

from typing import Final

from sqlalchemy import bindparam, delete, update

from strongroom.storage._backup_records import BackupSetState
from strongroom.storage._changes import Changes
from strongroom.storage._schema import hsm_key_copies, members, transport_keys
from strongroom.storage._schema_backups import backup_sets, backup_transport_keys

_OF_LOST_MEMBERS: Final = tuple(
    delete(table) for table in (members, transport_keys, hsm_key_copies, backup_transport_keys)
)
_END_SETS: Final = (
    update(backup_sets)
    .where(backup_sets.c.state == bindparam("was"))
    .values(state=bindparam("new_state"), ended_at=bindparam("new_ended_at"))
)


class RestoreWrites(Changes):
    """See ``Transaction``, which has them."""

    def forget_all_members(self) -> None:
        """Forget every member, its transport keys, also those of backup sets, and what was known of its copies of keys."""
        for statement in _OF_LOST_MEMBERS:
            self._changed(statement, {})

    def end_backup_sets_of_lost_members(self, *, at: float) -> int:
        """End every backup set: no HSM holds anything of one. Returns how many were in use.

        Unlike ``retire_backup_set`` this condemns no backup: what was made under these sets is all that there is, until another set
        is made.
        """
        ended = (
            (BackupSetState.ACTIVE, BackupSetState.RETIRED),
            (BackupSetState.MAKING, BackupSetState.ABANDONED),
        )
        n_active, _ = (
            self._changed(_END_SETS, {"was": was.value, "new_state": state.value, "new_ended_at": at})
            for was, state in ended
        )
        return n_active
