"""``VersionVerbs``: the end of single versions, and the inventories that show that nobody needs them."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from strongroom.core import Inventory
from strongroom.custody import Json
from strongroom.keyring import KeyById, KeyInfo, KeyVersionUses, Retired, Standing
from strongroom.service._approval_values import Asker
from strongroom.service._caller import Caller
from strongroom.service._custody_verbs import CustodyVerbs
from strongroom.service._direct_acts import DESTROY_HSM_KEY, destruction_parameters
from strongroom.service._lifecycle_rules import LifecycleRules
from strongroom.storage import InventoryRecord

RETIRE_KEY_VERSION: Final = "RetireKeyVersion"
SCHEDULE_KEY_DELETION: Final = "ScheduleKeyDeletion"


class VersionVerbs(CustodyVerbs):
    """See ``VersionService`` for what each verb promises."""

    rules = LifecycleRules()
    """What needs an approval; whoever builds the service may have other rules."""

    async def retire_key_version(self, caller: Caller, key_id: str, *, version: int) -> Retired:
        """Destroy the material of a former version of a key."""
        detail = {"version": str(version)}
        parameters: dict[str, Json] = {"key_id": key_id, "version": version}
        in_use: list[Standing] = []

        def refuse(_standing: Standing) -> None:
            finding = f"version {version} of the key was in use"
            self.rules.require_approval(RETIRE_KEY_VERSION, dict(parameters), finding)

        def authorise() -> str:
            allowed_by = self.authorise_now(caller, RETIRE_KEY_VERSION, KeyById(key_id))
            allow = in_use.append if self.has_officers else refuse
            self._keyring.retirement.require_retirable(
                key_id, version, window_s=self.rules.window_s, allow=allow
            )
            return allowed_by

        async def retire(allow: Callable[[Standing], None]) -> Retired:
            retired = await self._keyring.retirement.retire(
                key_id, version, window_s=self.rules.window_s, allow=allow
            )
            if retired.closed_by:
                detail["inventory"] = retired.closed_by
            return retired

        async def act() -> Retired:
            await self._keyring.last_uses.flush()  # what this process knows of uses counts
            asker = Asker.of(caller)

            async def end(allow: Callable[[Standing], None]) -> Retired:
                return await self._with_direct_key(
                    key_id, version, asker, partial(retire, allow), detail=detail
                )

            if not in_use:
                return await end(refuse)
            return await self.approved(
                RETIRE_KEY_VERSION,
                parameters,
                asker,
                lambda _approval: end(lambda _standing: None),
                detail=detail,
            )

        return await self._change(
            caller, "RetireKeyVersion", act, key_id=key_id, detail=detail, authorise=authorise
        )

    async def _with_direct_key(
        self,
        key_id: str,
        version: int,
        asker: Asker,
        act: Callable[[], Awaitable[Retired]],
        *,
        detail: dict[str, str],
    ) -> Retired:
        """End a version; one that is a Direct key if officers approved that it is destroyed, which main does later."""
        hsm_keys = self._keyring.lifecycle.direct_keys_of(key_id, version) if self.has_officers else []
        if not hsm_keys:
            return await act()
        parameters = destruction_parameters(key_id, hsm_keys)
        return await self.approved(DESTROY_HSM_KEY, parameters, asker, lambda _approval: act(), detail=detail)

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
        parameters: dict[str, Json] = {"key_id": key_id, "days": days}
        detail = {"days": str(days)}
        needs_approval = False

        def authorise() -> str:
            nonlocal needs_approval
            allowed_by = self.authorise_now(caller, SCHEDULE_KEY_DELETION, KeyById(key_id))
            is_in_use = self._keyring.retirement.is_key_in_use
            if self.rules.deletion_needs_approval and is_in_use(key_id, self.rules.window_s):
                if not self.has_officers:
                    self.rules.require_approval(SCHEDULE_KEY_DELETION, dict(parameters), "the key was in use")
                needs_approval = self.has_officers
            return allowed_by

        async def schedule(_approval: str) -> KeyInfo:
            return await self._keyring.lifecycle.schedule_destruction(key_id, days=days)

        async def act() -> KeyInfo:
            if not needs_approval:
                return await schedule("")
            return await self.approved(
                SCHEDULE_KEY_DELETION, parameters, Asker.of(caller), schedule, detail=detail
            )

        return await self._change(
            caller,
            SCHEDULE_KEY_DELETION,
            act,
            key_id=key_id,
            detail=detail,
            authorise=authorise,
        )
