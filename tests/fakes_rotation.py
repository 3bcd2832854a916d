"""The rotation half of ``FakeKeyService``, in memory."""

import hashlib

from strongroom.core import KeyState, VersionMadeBy, random_bytes
from strongroom.keyring import (
    Cryptoperiod,
    KeyVersion,
    KeyVersionUses,
    LastUse,
    Retired,
    RotationStatus,
    VersionNotFoundError,
    VersionPage,
    VersionStateError,
    VersionUses,
)
from strongroom.service import InRecentUseError
from strongroom.storage import InventoryRecord

DAY_S = 86_400.0


class FakeRotation:
    """Needs ``_begin``, ``_key``, ``_clock`` and ``keys`` of ``FakeKeyManagement``; material is named, but stays the same."""

    def __init__(self):
        self.schedules = {}
        self.retirable, self.inventories = set(), []
        self.versions = {}

    async def enable_key_rotation(self, caller, key_id, *, days):
        self._begin("EnableKeyRotation", caller)
        self._key(key_id, usable=True)
        if self.schedules.get(key_id, (0, None))[0] != days:
            self.schedules[key_id] = days, self._clock.now() + days * DAY_S

    async def disable_key_rotation(self, caller, key_id):
        self._begin("DisableKeyRotation", caller)
        self._key(key_id, usable=True)
        self.schedules.pop(key_id, None)

    async def get_key_rotation_status(self, caller, key_id):
        self._begin("GetKeyRotationStatus", caller)
        info = self._key(key_id, changeable=True)
        assert info.state in {KeyState.ACTIVE, KeyState.SUSPENDED}
        return RotationStatus(key_id, *self.schedules.get(key_id, (0, None)))

    def _versions(self, info):
        first = KeyVersion(1, info.material_id, info.created_at, VersionMadeBy.CREATE, is_current=True)
        return self.versions.setdefault(info.key_id, [first])

    async def rotate_key_on_demand(self, caller, key_id):
        self._begin("RotateKeyOnDemand", caller)
        info = self._key(key_id, usable=True)
        versions = self._versions(info)
        versions[-1] = versions[-1]._replace(is_current=False)
        material_id = hashlib.sha256(random_bytes(8)).hexdigest()
        made = VersionMadeBy.ON_DEMAND
        now = self._clock.now()
        version = KeyVersion(len(versions) + 1, material_id, now, made, is_current=True, rotated_at=now)
        versions.append(version)
        self.keys[key_id] = info._replace(material_id=material_id)
        return self.keys[key_id]

    async def list_key_rotations(self, caller, key_id, *, limit, after, with_first):
        self._begin("ListKeyRotations", caller)
        start = max(after or 0, 0 if with_first else 1)
        found = self._versions(self._key(key_id))[start:]
        page = tuple(found[:limit])
        return VersionPage(key_id, page, page[-1].version if len(found) > limit else None)

    async def mark_key_compromised(self, caller, key_id):
        self._begin("MarkKeyCompromised", caller)
        self.keys[key_id] = self._key(key_id)._replace(state=KeyState.COMPROMISED)
        return self.keys[key_id]

    async def set_cryptoperiod(self, caller, key_id, *, days, max_uses):
        self._begin("SetCryptoperiod", caller)
        self._key(key_id, usable=True)
        ends_at = self._clock.now() + days * DAY_S if days else None
        return Cryptoperiod(key_id, days, ends_at, max_uses, 0, None, is_made_anew=True)

    async def set_activation_date(self, caller, key_id, *, at):
        self._begin("SetActivationDate", caller)
        state = KeyState.ACTIVE if at is None else KeyState.PRE_ACTIVE
        self.keys[key_id] = self._key(key_id)._replace(state=state)
        return Cryptoperiod(key_id, 0, None, 0, 0, at, is_made_anew=True)

    async def retire_key_version(self, caller, key_id, *, version):
        self._begin("RetireKeyVersion", caller)
        versions = self._versions(self._key(key_id))
        if version > len(versions):
            raise VersionNotFoundError(key_id, version)
        if versions[version - 1].is_current:
            raise VersionStateError(
                key_id, version, "is the current one, or waits to be: rotate the key first"
            )
        if version not in self.retirable:
            raise InRecentUseError(
                "version 1 of the key was in use within 30 days, and no approval covers its end"
            )
        return Retired(key_id, versions[version - 1].material_id, version, "d" * 64)

    async def record_inventory(self, caller, key_id, *, inventory):
        self._begin("RecordInventory", caller)
        self._key(key_id)
        self.inventories.append(inventory)
        return InventoryRecord(
            key_id, key_id, inventory.digest, inventory.canonical(), self._clock.now(), "p"
        )

    async def get_key_last_usage(self, caller, key_id):
        self._begin("GetKeyLastUsage", caller)
        created_at = self._key(key_id).created_at
        return LastUse(key_id, created_at, created_at, created_at, "Encrypt", "r" * 36)

    async def list_key_uses(self, caller, key_id):
        self._begin("ListKeyUses", caller)
        info = self._key(key_id)
        used = VersionUses(
            1, info.material_id, info.created_at, is_current=True, n_uses=3, used_at=self._clock.now()
        )
        return KeyVersionUses(key_id, info.created_at, (used,))
