"""Work that the service does by itself, key by key, when a date has come: an intent before, an outcome behind."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.audit import AuditLog
from strongroom.core import AuditUnavailableError, StrongroomError
from strongroom.service._audited import CANCELLED, OK
from strongroom.service._facts import outcome_of_error

PRINCIPAL: Final = "strongroom"
"""Who does it: the service itself. Who wanted it stands in the entry of the call that set the date."""
NOT_DUE: Final = "NotDue"
_NO_DETAIL: Final = MappingProxyType[str, str]({})


class Told(NamedTuple):
    """What work on one key came to, for the audit log."""

    is_done: bool
    """Whether anything was changed."""
    outcome: str = OK
    key_version: str = ""
    detail: Mapping[str, str] = _NO_DETAIL


async def do_due_work(
    audit: AuditLog, event: str, key_ids: Iterable[str], act: Callable[[str], Awaitable[Told]]
) -> int:
    """Work on each key and return on how many it was done.

    An error of ours is the outcome of its key, and the next key has its turn. Raises AuditUnavailableError: without an
    intent nothing is begun.
    """
    n_done = 0
    for key_id in key_ids:
        intent = audit.append("intent", event, principal=PRINCIPAL, key_id=key_id)
        try:
            await audit.commit(intent)
            told = await act(key_id)
        except AuditUnavailableError:  # then the intent is not in the log, and nothing was begun
            raise
        except asyncio.CancelledError:
            with contextlib.suppress(AuditUnavailableError):
                audit.append("outcome", event, principal=PRINCIPAL, key_id=key_id, outcome=CANCELLED)
            raise
        except StrongroomError as error:
            told = Told(is_done=False, outcome=outcome_of_error(error))
        n_done += told.is_done
        await audit.record(
            "outcome",
            event,
            principal=PRINCIPAL,
            key_id=key_id,
            key_version=told.key_version,
            outcome=told.outcome,
            detail=dict(told.detail),
        )
    return n_done
