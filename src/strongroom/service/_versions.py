"""``VersionVerbs``: the end of single versions, and the inventories that show that nobody needs them."""

from strongroom.core import Inventory
from strongroom.keyring import KeyById, KeyInfo, KeyVersionUses, Retired, Standing
from strongroom.service._audited import AuditedVerbs
from strongroom.service._caller import Caller
from strongroom.service._lifecycle_rules import LifecycleRules
from strongroom.storage import InventoryRecord


class VersionVerbs(AuditedVerbs):
    """See ``VersionService`` for what each verb promises."""

    rules = LifecycleRules()
    """What needs an approval; whoever builds the service may have other rules."""

    async def retire_key_version(self, caller: Caller, key_id: str, *, version: int) -> Retired:
        """Destroy the material of a former version of a key."""
        detail = {"version": str(version)}

        def allow(standing: Standing) -> None:
            parameters: dict[str, object] = {"key_id": key_id, "version": standing.version}
            finding = f"version {version} of the key was in use"
            self.rules.require_approval("RetireKeyVersion", parameters, finding)

        def authorise() -> str:
            grant_id = self.authorise_now(caller, "RetireKeyVersion", KeyById(key_id))
            self._keyring.retirement.require_retirable(
                key_id, version, window_s=self.rules.window_s, allow=allow
            )
            return grant_id

        async def act() -> Retired:
            await self._keyring.last_uses.flush()  # what this process knows of uses counts
            retired = await self._keyring.retirement.retire(
                key_id, version, window_s=self.rules.window_s, allow=allow
            )
            if retired.closed_by:
                detail["inventory"] = retired.closed_by
            return retired

        return await self._change(
            caller, "RetireKeyVersion", act, key_id=key_id, detail=detail, authorise=authorise
        )

    async def record_inventory(self, caller: Caller, key_id: str, *, inventory: Inventory) -> InventoryRecord:
        """Keep an inventory of ciphertexts of a key."""
        detail = {
            "sha256": inventory.digest,
            "scanned": str(inventory.scanned),
            "left": str(sum(found.left for found in inventory.versions)),
            "complete": str(inventory.complete).lower(),
        }

        async def act() -> InventoryRecord:
            return await self._keyring.retirement.keep(key_id, inventory, received_from=caller.principal)

        return await self._change(caller, "RecordInventory", act, key_id=key_id, detail=detail)

    async def list_key_uses(self, caller: Caller, key_id: str) -> KeyVersionUses:
        """Tell how each version of a key was used, and how it stands."""

        async def act() -> KeyVersionUses:
            uses = self._keyring.last_uses.uses_of_versions(key_id)
            return self._keyring.retirement.with_standings(uses, self.rules.window_s)

        return await self._use(caller, "ListKeyUses", act(), key=KeyById(key_id))

    async def schedule_key_deletion(self, caller: Caller, key_id: str, *, days: int) -> KeyInfo:
        """Suspend a key and set the date of its destruction: from now on nobody can use it."""

        def authorise() -> str:
            grant_id = self.authorise_now(caller, "ScheduleKeyDeletion", KeyById(key_id))
            is_in_use = self._keyring.retirement.is_key_in_use
            if self.rules.deletion_needs_approval and is_in_use(key_id, self.rules.window_s):
                parameters: dict[str, object] = {"key_id": key_id, "days": days}
                self.rules.require_approval("ScheduleKeyDeletion", parameters, "the key was in use")
            return grant_id

        return await self._change(
            caller,
            "ScheduleKeyDeletion",
            lambda: self._keyring.lifecycle.schedule_destruction(key_id, days=days),
            key_id=key_id,
            detail={"days": str(days)},
            authorise=authorise,
        )
