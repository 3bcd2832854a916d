"""``UsageVerbs``: when a key was last used."""

from strongroom.keyring import KeyById, LastUse
from strongroom.service._audited import AuditedVerbs
from strongroom.service._values import Caller


class UsageVerbs(AuditedVerbs):
    """See ``UsageService`` for what each verb promises."""

    async def get_key_last_usage(self, caller: Caller, key_id: str) -> LastUse:
        """Tell when a key was last used."""

        async def act() -> LastUse:
            return self._keyring.last_uses.last_use(key_id)

        return await self._use(caller, "GetKeyLastUsage", act(), key=KeyById(key_id))

    async def flush_key_uses(self, *, gently: bool = False) -> int:
        """Write what was noted of uses; to be called about once a minute, and at the end."""
        return await self._keyring.last_uses.flush(gently=gently)
