"""What can be done with a key that AWS KMS has no word for: ``POST /api/v1/keys/KEY-ID/ACTION``, signed, without a body.

``compromise`` marks a key as compromised; ``uses`` tells how each of its versions was used. The answer is JSON.
"""

import re
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.api._arns import Arns
from strongroom.api._errors import validation_error
from strongroom.api._operation import Action, Document
from strongroom.keyring import KeyVersionUses
from strongroom.service import Caller, KeyService

_PATH: Final = re.compile(r"/api/v1/keys/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/([a-z-]{1,16})")
_MARK: Final = "MarkKeyCompromised"
_OPERATIONS: Final = MappingProxyType({"compromise": _MARK, "uses": "ListKeyUses"})


class KeyActionRoute(NamedTuple):
    """A request for an action, by its path alone."""

    key_id: str
    operation: str
    """What metrics and refusals call it."""

    def prepare(self, _content_type: str, body: bytes, arns: Arns) -> Action:
        """Refuse a body: nothing could be asked for in it. Raises ApiError."""
        if body not in {b"", b"{}"}:
            raise validation_error("This path takes no members.")

        async def list_uses(service: KeyService, caller: Caller) -> Document:
            return _uses(await service.list_key_uses(caller, self.key_id), arns)

        async def mark(service: KeyService, caller: Caller) -> Document:
            info = await service.mark_key_compromised(caller, self.key_id)
            return {"keyId": arns.key(info.key_id), "state": info.state}

        return mark if self.operation == _MARK else list_uses


def find_key_action(path: str) -> KeyActionRoute | None:
    """Return the action that a path asks for; None when it is another path."""
    found = _PATH.fullmatch(path)
    operation = None if found is None else _OPERATIONS.get(found[2])
    return None if found is None or operation is None else KeyActionRoute(found[1], operation)


def _uses(uses: KeyVersionUses, arns: Arns) -> Document:
    versions = [
        {
            "version": version.version,
            "materialId": version.material_id,
            "createdAt": version.created_at,
            "isCurrent": version.is_current,
            "nUses": version.n_uses,
            "usedAt": version.used_at,
        }
        for version in uses.versions
    ]
    return {"keyId": arns.key(uses.key_id), "trackedSince": uses.tracked_since, "versions": versions}
