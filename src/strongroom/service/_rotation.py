"""``RotationVerbs``, and rotation by itself: the new versions of keys whose date has come, or whose cryptoperiod is over.

``rotate_due_keys`` is called about once a minute by one process. Nothing is lost when it is not called for a while, and
a key is rotated once however many call it: the transaction that makes a version current looks whether the key is still
due. A crash leaves an intent without an outcome; the next call finds the key either still due, and rotates it, or rotated.
"""

from typing import Final

from strongroom.audit import AuditLog
from strongroom.keyring import KeyById, KeyInfo, KeyRotations, Rotated, RotationStatus, VersionPage
from strongroom.service._audited import AuditedVerbs
from strongroom.service._due_work import NOT_DUE, Told, do_due_work
from strongroom.service._values import Caller

ROTATE_EVENT: Final = "keyring.RotateKey"
_MOST_AT_ONCE: Final = 100


class RotationVerbs(AuditedVerbs):
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
        return await self._change(
            caller,
            "RotateKeyOnDemand",
            lambda: self._keyring.rotations.rotate_on_demand(key_id),
            key_id=key_id,
        )

    async def list_key_rotations(
        self, caller: Caller, key_id: str, *, limit: int, after: int | None, with_first: bool
    ) -> VersionPage:
        """List the versions of a key."""

        async def act() -> VersionPage:
            return self._keyring.rotations.versions(key_id, limit=limit, after=after, with_first=with_first)

        return await self._use(caller, "ListKeyRotations", act(), key=KeyById(key_id))

    async def rotate_due_keys(self) -> int:
        """Rotate the keys whose date has come."""
        return await rotate_due_keys(self._keyring.rotations, self._audit)


async def rotate_due_keys(rotations: KeyRotations, audit: AuditLog) -> int:
    """Rotate up to 100 keys whose date has come, and return how many were rotated.

    For each the intent is durable before, and the outcome after it. A key that cannot be rotated does not keep the
    others from it, and stays due. Raises AuditUnavailableError, and StorageError when the keys cannot be listed.
    """

    async def rotate(key_id: str) -> Told:
        return told_of_rotation(await rotations.rotate_due(key_id))

    return await do_due_work(audit, ROTATE_EVENT, rotations.list_due(limit=_MOST_AT_ONCE), rotate)


def told_of_rotation(rotated: Rotated | None) -> Told:
    """Say what a rotation that nobody asked for came to."""
    if rotated is None:  # it was suspended, or another process was faster
        return Told(is_done=False, outcome=NOT_DUE)
    detail = {"version": str(rotated.version)}
    if rotated.because != "schedule":
        detail["because"] = rotated.because
    return Told(is_done=True, key_version=rotated.material_id, detail=detail)
