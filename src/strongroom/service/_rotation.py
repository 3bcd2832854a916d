"""``RotationVerbs``, and rotation by itself: the new versions of keys whose date has come, or whose cryptoperiod is over.

``rotate_due_keys`` is called about once a minute by one process. Nothing is lost when it is not called for a while, and
a key is rotated once however many call it: the transaction that makes a version current looks whether the key is still
due. A crash leaves an intent without an outcome; the next call finds the key either still due, and rotates it, or rotated.
"""

from collections.abc import Mapping
from typing import Final

from strongroom.core import KeyOrigin
from strongroom.custody import Json
from strongroom.keyring import KeyById, KeyInfo, Rotated, RotationStatus, VersionPage
from strongroom.service._approval_values import JOBS, Asker
from strongroom.service._custody_verbs import CustodyVerbs
from strongroom.service._direct_acts import CREATE_HSM_KEY, creation_parameters
from strongroom.service._due_work import NOT_DUE, Told, do_due_work
from strongroom.service._values import Caller

ROTATE_EVENT: Final = "keyring.RotateKey"
_MOST_AT_ONCE: Final = 100
_MOST_LOOKED_AT: Final = 1_000
"""More than are worked on at once: those that wait for officers keep no others from their turn."""


class RotationVerbs(CustodyVerbs):
    """See ``RotationService`` for what each verb promises."""

    async def enable_key_rotation(self, caller: Caller, key_id: str, *, days: int) -> None:
        """Rotate a key by schedule."""
        await self._change(
            caller,
            "EnableKeyRotation",
            lambda: self._keyring.rotations.enable(key_id, days=days),
            key_id=key_id,
            detail={"days": str(days)},
        )

    async def disable_key_rotation(self, caller: Caller, key_id: str) -> None:
        """Rotate a key no longer by schedule."""
        await self._change(
            caller,
            "DisableKeyRotation",
            lambda: self._keyring.rotations.disable(key_id),
            key_id=key_id,
        )

    async def mark_key_compromised(self, caller: Caller, key_id: str) -> KeyInfo:
        """Take a key out of use for good, because others may know its material."""
        return await self._change(
            caller,
            "MarkKeyCompromised",
            lambda: self._keyring.lifecycle.mark_compromised(key_id),
            key_id=key_id,
        )

    async def get_key_rotation_status(self, caller: Caller, key_id: str) -> RotationStatus:
        """Tell how a key is rotated."""

        async def act() -> RotationStatus:
            return self._keyring.rotations.status(key_id)

        return await self._use(caller, "GetKeyRotationStatus", act(), key=KeyById(key_id))

    async def rotate_key_on_demand(self, caller: Caller, key_id: str) -> KeyInfo:
        """Make a new version of a key; the entry of the outcome names it."""
        detail = dict[str, str]()

        async def act() -> KeyInfo:
            parameters = self._direct_version_of(key_id)
            if parameters is None:
                return await self._keyring.rotations.rotate_on_demand(key_id)
            return await self.approved(
                CREATE_HSM_KEY,
                parameters,
                Asker.of(caller),
                lambda approval: self._keyring.rotations.rotate_on_demand(key_id, approval=approval),
                detail=detail,
            )

        return await self._change(caller, "RotateKeyOnDemand", act, key_id=key_id, detail=detail)

    async def list_key_rotations(
        self, caller: Caller, key_id: str, *, limit: int, after: int | None, with_first: bool
    ) -> VersionPage:
        """List the versions of a key."""

        async def act() -> VersionPage:
            return self._keyring.rotations.versions(key_id, limit=limit, after=after, with_first=with_first)

        return await self._use(caller, "ListKeyRotations", act(), key=KeyById(key_id))

    async def rotate_due_keys(self) -> int:
        """Rotate up to 100 keys whose date has come, and return how many were rotated.

        For each the intent is durable before, and the outcome after it. A key that cannot be rotated does not keep the
        others from it, and stays due; one that waits for officers is not tried before they decided. Raises
        AuditUnavailableError, and StorageError when the keys cannot be listed.
        """

        async def rotate(key_id: str) -> Told:
            under = dict[str, str]()
            return told_of_rotation(await self.rotate_if_due(key_id, under=under), under)

        due = self._keyring.rotations.list_due(limit=_MOST_LOOKED_AT)
        due = await self.not_waiting(CREATE_HSM_KEY, due, self._direct_version_of)
        return await do_due_work(self._audit, ROTATE_EVENT, due[:_MOST_AT_ONCE], rotate)

    async def rotate_if_due(self, key_id: str, *n_uses: int, under: dict[str, str]) -> Rotated | None:
        """Rotate a key as ``KeyRotations.rotate_due``; one inside HSMs if officers approved that, which ``under`` then names."""
        rotations = self._keyring.rotations
        parameters = self._direct_version_of(key_id)
        if parameters is None:
            return await rotations.rotate_due(key_id, *n_uses)
        return await self.approved(
            CREATE_HSM_KEY,
            parameters,
            JOBS,
            lambda approval: rotations.rotate_due(key_id, *n_uses, approval=approval),
            is_done=lambda rotated: rotated is not None,
            detail=under,
        )

    def _direct_version_of(self, key_id: str) -> dict[str, Json] | None:
        """Return what officers approve before a key gets another version; None where nobody need."""
        if not self.has_officers:
            return None
        info = self._keyring.describe(KeyById(key_id))
        if info.origin is not KeyOrigin.AWS_CLOUDHSM:
            return None
        return creation_parameters(info.spec, info.usage)


def told_of_rotation(rotated: Rotated | None, under: Mapping[str, str]) -> Told:
    """Say what a rotation that nobody asked for came to, and ``under`` which approval."""
    if rotated is None:  # it was suspended, or another process was faster
        return Told(is_done=False, outcome=NOT_DUE)
    detail = {"version": str(rotated.version), **under}
    if rotated.because != "schedule":
        detail["because"] = rotated.because
    return Told(is_done=True, key_version=rotated.material_id, detail=detail)
