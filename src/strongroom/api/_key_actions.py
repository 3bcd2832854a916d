"""What can be done with a key that AWS KMS has no word for: ``POST /api/v1/keys/KEY-ID/ACTION``, signed, without a body.

The answer is JSON: ``{"keyId": ARN, "state": ...}``.
"""

import re
from types import MappingProxyType
from typing import Final, NamedTuple

from strongroom.api._arns import Arns
from strongroom.api._errors import validation_error
from strongroom.api._operation import Action, Document
from strongroom.service import Caller, KeyService

_PATH: Final = re.compile(r"/api/v1/keys/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/([a-z-]{1,16})")
_OPERATIONS: Final = MappingProxyType({"compromise": "MarkKeyCompromised"})


class KeyActionRoute(NamedTuple):
    """A request for an action, by its path alone."""

    key_id: str
    operation: str
    """What metrics and refusals call it."""

    def prepare(self, _content_type: str, body: bytes, arns: Arns) -> Action:
        """Refuse a body: nothing could be asked for in it. Raises ApiError."""
        if body not in {b"", b"{}"}:
            raise validation_error("This path takes no members.")

        async def act(service: KeyService, caller: Caller) -> Document:
            info = await service.mark_key_compromised(caller, self.key_id)
            return {"keyId": arns.key(info.key_id), "state": info.state}

        return act


def find_key_action(path: str) -> KeyActionRoute | None:
    """Return the action that a path asks for; None when it is another path."""
    found = _PATH.fullmatch(path)
    operation = None if found is None else _OPERATIONS.get(found[2])
    return None if found is None or operation is None else KeyActionRoute(found[1], operation)
