"""The import half of ``FakeKeyService``, in memory: whatever is brought is taken, and nothing is unwrapped."""

import hashlib

from strongroom.core import KeyOrigin, KeyState, VersionMadeBy, random_bytes
from strongroom.keyring import (
    NO_MATERIAL,
    ImportedMaterial,
    ImportParameters,
    ImportTokenError,
    ImportUnsupportedError,
    KeyVersion,
)

DAY_S = 86_400.0


class FakeImports:
    """Needs ``_begin``, ``_key``, ``_clock`` and ``keys`` of ``FakeKeyManagement``, and ``versions`` of ``FakeRotation``."""

    def __init__(self):
        self.tokens = {}

    def _external(self, key_id):
        info = self._key(key_id, changeable=True)
        if info.origin is not KeyOrigin.EXTERNAL:
            raise ImportUnsupportedError(key_id)
        return info

    async def get_parameters_for_import(self, caller, key_id, *, algorithm, bits):
        self._begin("GetParametersForImport", caller)
        self._external(key_id)
        token = random_bytes(32)
        self.tokens[token] = key_id
        return ImportParameters(key_id, token, bytes(bits // 8), self._clock.now() + DAY_S)

    async def import_key_material(self, caller, key_id, *, brought):
        self._begin("ImportKeyMaterial", caller)
        info = self._external(key_id)
        if self.tokens.get(brought.token) != key_id:
            raise ImportTokenError
        material_id = hashlib.sha256(brought.wrapped).hexdigest()
        self.keys[key_id] = info._replace(
            state=KeyState.ACTIVE, material_id=material_id, expires_at=brought.expires_at
        )
        self.versions[key_id] = [
            KeyVersion(
                1, material_id, self._clock.now(), VersionMadeBy.IMPORT, is_current=True,
                expires_at=brought.expires_at, description=brought.description,
            )
        ]  # fmt: skip
        return ImportedMaterial(key_id, material_id)

    async def delete_imported_key_material(self, caller, key_id, *, material_id):
        self._begin("DeleteImportedKeyMaterial", caller)
        info = self._external(key_id)
        self.keys[key_id] = info._replace(state=KeyState.PENDING_IMPORT, expires_at=None)
        return ImportedMaterial(key_id, "" if info.material_id == NO_MATERIAL else info.material_id)
