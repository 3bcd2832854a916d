"""Carrying out what was scheduled: keys whose date of destruction has come.

Called about once a minute by one process. Nothing is lost when it is not called for a while, or twice at once: the
transaction that destroys a key looks whether it is still due. A crash leaves an intent without an outcome; the next
call finds the key either still due, and destroys it, or destroyed already.
"""

from typing import Final

from strongroom.audit import AuditLog
from strongroom.keyring import Destroyed, KeyLifecycle
from strongroom.service._due_work import NOT_DUE, Told, do_due_work

DESTROY_EVENT: Final = "keyring.DestroyKey"
_MOST_AT_ONCE: Final = 100


async def destroy_due_keys(lifecycle: KeyLifecycle, audit: AuditLog) -> int:
    """Destroy up to 100 keys whose date has come, and return how many were destroyed.

    For each the intent is durable before, and the outcome after it. A key that cannot be destroyed does not keep the
    others from it. Raises AuditUnavailableError, and StorageError when the keys cannot be listed.
    """

    async def destroy(key_id: str) -> Told:
        return _told(await lifecycle.destroy_due(key_id))

    return await do_due_work(audit, DESTROY_EVENT, lifecycle.list_due(limit=_MOST_AT_ONCE), destroy)


def _told(gone: Destroyed | None) -> Told:
    if gone is None:  # its destruction was cancelled, or another process was faster
        return Told(is_done=False, outcome=NOT_DUE)
    detail = {"versions": str(gone.n_versions), "aliases": str(gone.n_aliases)}
    if gone.left_on:
        detail["left_on"] = ", ".join(gone.left_on)
    return Told(is_done=True, detail=detail)
