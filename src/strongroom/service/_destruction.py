"""Carrying out what was scheduled: keys whose date of destruction has come.

Called about once a minute by one process. Nothing is lost when it is not called for a while, or twice at once: the
transaction that destroys a key looks whether it is still due. A crash leaves an intent without an outcome; the next
call finds the key either still due, and destroys it, or destroyed already. Where the home has officers, keys inside HSMs wait
for their approval.
"""

from typing import Final

from strongroom.custody import Json
from strongroom.keyring import Destroyed
from strongroom.service._approval_values import JOBS
from strongroom.service._custody_verbs import CustodyVerbs
from strongroom.service._direct_acts import DESTROY_HSM_KEY, destruction_parameters
from strongroom.service._due_work import NOT_DUE, Told, do_due_work

DESTROY_EVENT: Final = "keyring.DestroyKey"
_MOST_AT_ONCE: Final = 100
_MOST_LOOKED_AT: Final = 1_000
"""More than are worked on at once: those that wait for officers keep no others from their turn."""


class DestructionVerbs(CustodyVerbs):
    """What the service does by itself; no caller can."""

    async def destroy_due_keys(self) -> int:
        """Destroy up to 100 keys whose date has come, and return how many were destroyed.

        For each the intent is durable before, and the outcome after it. A key that cannot be destroyed does not keep the
        others from it. Raises AuditUnavailableError, and StorageError when the keys cannot be listed.
        """
        lifecycle = self._keyring.lifecycle

        async def destroy(key_id: str) -> Told:
            parameters = self._direct_end_of(key_id)
            if parameters is None:
                return _told(await lifecycle.destroy_due(key_id))
            under = dict[str, str]()
            gone = await self.approved(
                DESTROY_HSM_KEY,
                parameters,
                JOBS,
                lambda approval: lifecycle.destroy_due(key_id, approval=approval),
                is_done=lambda destroyed: destroyed is not None,
                detail=under,
            )
            told = _told(gone)
            return told._replace(detail={**told.detail, **under}) if told.is_done else told

        due = lifecycle.list_due(limit=_MOST_LOOKED_AT)
        due = await self.not_waiting(DESTROY_HSM_KEY, due, self._direct_end_of)
        return await do_due_work(self._audit, DESTROY_EVENT, due[:_MOST_AT_ONCE], destroy)

    def _direct_end_of(self, key_id: str) -> dict[str, Json] | None:
        """Return what officers approve before a key is destroyed; None where nobody need."""
        if not self.has_officers:
            return None
        hsm_keys = self._keyring.lifecycle.direct_keys_of(key_id)
        return destruction_parameters(key_id, hsm_keys) if hsm_keys else None


def _told(gone: Destroyed | None) -> Told:
    if gone is None:  # its destruction was cancelled, or another process was faster
        return Told(is_done=False, outcome=NOT_DUE)
    detail = {"versions": str(gone.n_versions), "aliases": str(gone.n_aliases)}
    if gone.left_on:
        detail["left_on"] = ", ".join(gone.left_on)
    return Told(is_done=True, detail=detail)
