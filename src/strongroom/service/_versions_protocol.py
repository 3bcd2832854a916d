"""What the service promises about single versions of keys; a part of ``KeyService``."""

from typing import Protocol

from strongroom.core import Inventory
from strongroom.keyring import Retired
from strongroom.service._caller import Caller
from strongroom.storage import InventoryRecord


class VersionService(Protocol):
    """Ends versions of keys that live on. What is refused is as ``VersionRetirement`` says."""

    async def retire_key_version(self, caller: Caller, key_id: str, *, version: int) -> Retired:
        """Destroy the material of a former version for good. One in recent use needs an approval, or an inventory."""
        ...

    async def record_inventory(self, caller: Caller, key_id: str, *, inventory: Inventory) -> InventoryRecord:
        """Keep what somebody found who looked at all ciphertexts of a store; the caller vouches for it."""
        ...
