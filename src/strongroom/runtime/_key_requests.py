"""What an API process asks of main about Direct keys, over the control socket, and what main answers."""

from typing import Annotated, Final

import msgspec

from strongroom.core import KeySpec, KeyUsage
from strongroom.hsm.wire import Failure, failure_from, raise_failure

MAKE_LIMIT_S: Final = 45.0
"""How long main tries to make a key: callers of AWS KMS wait for 60 s by default."""
DESTROY_LIMIT_S: Final = 20.0
"""How long main waits for members to destroy a key, which is gone for good before that."""

_KeyId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
_Approval = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
_Call = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class MakeKey(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Make a Direct key for one version of a key of the service. Answered by KeyMade."""

    call: _Call
    key_id: _KeyId
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    spec: KeySpec
    usage: KeyUsage
    approval: _Approval = ""
    """The id of the request by which officers approved it; empty for none."""

    @property
    def made_for(self) -> str:
        """What the key's record says that it was made for (``HsmKeyRecord.made_for``)."""
        return f"{self.key_id}/{self.version}"


class DestroyKey(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Destroy a key of the service whose date has come, with its Direct keys. Answered by KeyDestroyed."""

    call: _Call
    key_id: _KeyId
    approval: _Approval = ""
    """As in ``MakeKey``."""


class KeyMade(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Which Direct key was made, or why none."""

    call: int
    hsm_key_id: bytes = b""
    public_key: bytes = b""
    failure: Failure | None = None


class KeyDestroyed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a destruction."""

    call: int
    was_due: bool = False
    n_versions: int = 0
    n_aliases: int = 0
    left_on: list[str] = []
    failure: Failure | None = None


KeyRequest = MakeKey | DestroyKey
KeyAnswer = KeyMade | KeyDestroyed


def failed(request: KeyRequest, error: Exception) -> KeyAnswer:
    """Return the answer that says what went wrong."""
    kind = KeyMade if isinstance(request, MakeKey) else KeyDestroyed
    return kind(request.call, failure=failure_from(error))


def raise_failure_of(answer: KeyAnswer) -> None:
    """Raise what went wrong, if anything did: HsmError, of the type that main raised."""
    if answer.failure is not None:
        raise_failure(answer.failure)
