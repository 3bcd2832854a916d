"""Carrying out what was scheduled: keys whose date of destruction has come.

Called about once a minute by one process. Nothing is lost when it is not called for a while, or twice at once: the
transaction that destroys a key looks whether it is still due. A crash leaves an intent without an outcome; the next
call finds the key either still due, and destroys it, or destroyed already.
"""

import asyncio
import contextlib
from typing import Final

from strongroom.audit import AuditLog
from strongroom.core import AuditUnavailableError, StrongroomError
from strongroom.keyring import Destroyed, KeyLifecycle
from strongroom.service._audited import CANCELLED, OK
from strongroom.service._facts import outcome_of_error

DESTROY_EVENT: Final = "keyring.DestroyKey"
PRINCIPAL: Final = "strongroom"
"""Who destroys: the service itself. Who wanted it stands in the entry of ScheduleKeyDeletion."""
NOT_DUE: Final = "NotDue"
_MOST_AT_ONCE: Final = 100


async def destroy_due_keys(lifecycle: KeyLifecycle, audit: AuditLog) -> int:
    """Destroy up to 100 keys whose date has come, and return how many were destroyed.

    For each the intent is durable before, and the outcome after it. A key that cannot be destroyed does not keep the
    others from it. Raises AuditUnavailableError, and StorageError when the keys cannot be listed.
    """
    n_destroyed = 0
    for key_id in lifecycle.list_due(limit=_MOST_AT_ONCE):
        intent = audit.append("intent", DESTROY_EVENT, principal=PRINCIPAL, key_id=key_id)
        outcome, detail = OK, dict[str, str]()
        try:
            await audit.commit(intent)
            gone = await lifecycle.destroy_due(key_id)
        except AuditUnavailableError:  # then the intent is not in the log, and nothing was begun
            raise
        except asyncio.CancelledError:
            with contextlib.suppress(AuditUnavailableError):
                audit.append("outcome", DESTROY_EVENT, principal=PRINCIPAL, key_id=key_id, outcome=CANCELLED)
            raise
        except StrongroomError as error:
            outcome = outcome_of_error(error)
        else:
            outcome, detail = _told(gone)
            n_destroyed += gone is not None
        await audit.record(
            "outcome", DESTROY_EVENT, principal=PRINCIPAL, key_id=key_id, outcome=outcome, detail=detail
        )
    return n_destroyed


def _told(gone: Destroyed | None) -> tuple[str, dict[str, str]]:
    if gone is None:  # its destruction was cancelled, or another process was faster
        return NOT_DUE, {}
    return OK, {"versions": str(gone.n_versions), "aliases": str(gone.n_aliases)}
