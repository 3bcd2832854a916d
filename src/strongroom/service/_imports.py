"""``ImportVerbs``, and the end of imported material whose date has come.

``expire_due_material`` is called about once a minute by one process. From its date on the material serves nobody,
whether it was deleted yet or not (``KeyRecords``); so nothing but time on disk is lost when it is not called for a while.
"""

from typing import Final

from strongroom.audit import AuditLog
from strongroom.keyring import (
    BroughtMaterial,
    ImportedMaterial,
    ImportParameters,
    KeyById,
    KeyImports,
    WrappingAlgorithm,
)
from strongroom.service._audited import AuditedVerbs
from strongroom.service._due_work import NOT_DUE, Told, do_due_work
from strongroom.service._facts import names_list
from strongroom.service._values import Caller

EXPIRE_EVENT: Final = "keyring.ExpireKeyMaterial"
_MOST_AT_ONCE: Final = 100


class ImportVerbs(AuditedVerbs):
    """See ``ImportService`` for what each verb promises."""

    async def get_parameters_for_import(
        self, caller: Caller, key_id: str, *, algorithm: WrappingAlgorithm, bits: int
    ) -> ImportParameters:
        """Make a key to wrap material under."""
        work = self._keyring.imports.parameters(key_id, algorithm, bits)
        detail = {"wrapping": f"{algorithm} RSA_{bits}"}
        return await self._use(caller, "GetParametersForImport", work, key=KeyById(key_id), detail=detail)

    async def import_key_material(
        self, caller: Caller, key_id: str, *, brought: BroughtMaterial
    ) -> ImportedMaterial:
        """Take material in; the entry of the outcome names it."""
        expires = "never" if brought.expires_at is None else f"{brought.expires_at:.0f}"
        return await self._change(
            caller,
            "ImportKeyMaterial",
            lambda: self._keyring.imports.bring(key_id, brought),
            key_id=key_id,
            detail={"expires": expires},
        )

    async def delete_imported_key_material(
        self, caller: Caller, key_id: str, *, material_id: str | None
    ) -> ImportedMaterial:
        """Let go of material; the entry of the outcome names it."""
        return await self._change(
            caller,
            "DeleteImportedKeyMaterial",
            lambda: self._keyring.imports.delete(key_id, material_id),
            key_id=key_id,
        )

    async def expire_due_material(self) -> int:
        """Delete the imported material whose date has come."""
        return await expire_due_material(self._keyring.imports, self._audit)


async def expire_due_material(imports: KeyImports, audit: AuditLog) -> int:
    """Delete the material of up to 100 keys whose date has come, and return of how many.

    For each the intent is durable before, and the outcome after it. Raises AuditUnavailableError, and StorageError when
    the keys cannot be listed.
    """

    async def expire(key_id: str) -> Told:
        gone = await imports.expire_due(key_id)
        if not gone:
            return Told(is_done=False, outcome=NOT_DUE)
        return Told(is_done=True, key_version=gone[-1], detail={"materials": names_list(gone)})

    return await do_due_work(audit, EXPIRE_EVENT, imports.list_expired(limit=_MOST_AT_ONCE), expire)
