"""What the service promises about the last use of keys; a part of ``KeyService``."""

from typing import Protocol

from strongroom.keyring import KeyVersionUses, LastUse
from strongroom.service._caller import Caller


class UsageService(Protocol):
    """The verb that looks at uses."""

    async def get_key_last_usage(self, caller: Caller, key_id: str) -> LastUse:
        """Tell when a key in any state was last used, as of a minute ago."""
        ...

    async def list_key_uses(self, caller: Caller, key_id: str) -> KeyVersionUses:
        """Tell how each version of a key in any state was used, as of a minute ago."""
        ...
