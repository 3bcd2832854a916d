"""What the owner of a home asks of the running service about custodians, over main's control socket."""

from typing import Annotated, Literal

import msgspec

from strongroom.config import Home
from strongroom.hsm.wire import Failure
from strongroom.wiring.custodian_documents import MAX_ANSWER_BYTES
from strongroom.wiring.members_door import ask_main

_Id = Annotated[str, msgspec.Meta(max_length=64)]
_Words = Annotated[str, msgspec.Meta(max_length=200)]


class CustodianRequest(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Something about a custodian of the active set, or about a backup that is to be destroyed."""

    action: Literal["challenge", "record-proof", "acknowledge", "left", "destroyed"]
    custodian: _Id = ""
    """Of ``challenge``: empty for everybody who holds a share. ``record-proof`` finds it in the proof."""
    document: Annotated[bytes, msgspec.Meta(max_length=MAX_ANSWER_BYTES)] = b""
    """Of ``record-proof``: the proof. Of ``acknowledge``: the SSH signature (blob); empty where it was signed on paper."""
    words: _Words = ""
    """Of ``acknowledge`` on paper and of ``destroyed``: who saw it. Of ``left``: why."""
    backup_id: _Id = ""
    """Of ``destroyed``: its first eight digits will do."""


class MadeChallenge(msgspec.Struct, frozen=True):
    """A challenge that waits for its answer."""

    custodian: str
    name: str
    document: bytes
    until: float


class CustodianAnswer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a request."""

    challenges: list[MadeChallenge] = []
    custodian: str = ""
    """Whom it was about."""
    key: str = ""
    """Of ``acknowledge``: fingerprint of the key that signed; empty on paper."""
    is_officer_key: bool = False
    """That key is one of the officer of this id."""
    backup_id: str = ""
    """Of ``destroyed``: the whole id."""
    failure: Failure | None = None
    """Why nothing was done."""


async def ask_custodians(home: Home, request: CustodianRequest, *, timeout_s: float) -> CustodianAnswer:
    """Ask the service that runs on a home. Raises MembersNotReachableError."""
    return await ask_main(home, request, CustodianAnswer, timeout_s=timeout_s)
