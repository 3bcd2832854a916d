"""``AdminVerbs``: what the admin API alone asks."""

from strongroom.service._audited import AuditedVerbs
from strongroom.service._caller import Caller


class AdminVerbs(AuditedVerbs):
    """See ``AdminService`` for what each verb promises."""

    async def read_api_description(self, caller: Caller) -> None:
        """Record that a caller reads how the admin API is to be used; everybody who is known may."""
        await self._use(caller, "ReadApiDescription", _nothing())


async def _nothing() -> None:
    """Do nothing: what is told is no secret of ours, but that it was asked for is recorded."""
