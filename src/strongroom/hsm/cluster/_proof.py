"""Proof that a member holds a root: by opening what another member made from a random challenge.

A key check value is for people and transcripts; it proves nothing against somebody who made a key to fit.
"""

import hashlib
import hmac
from typing import NamedTuple

from strongroom.core import (
    Deadline,
    HsmIntegrityError,
    HsmUse,
    RootId,
    Secret,
    WrappedBytes,
    encode_fields,
    random_bytes,
)

_CHALLENGE_BYTES = 32


class Canary(NamedTuple):
    """A sealed random value, kept with the root's record: it proves a member when no other one is there to ask."""

    wrapped: WrappedBytes
    digest: bytes
    """SHA-256 of the random value."""


def _aad(root_id: RootId, use: str) -> bytes:
    return encode_fields("strongroom/root-proof/v1", [root_id, use.encode()])


async def prove_same_root(root_id: RootId, left: HsmUse, right: HsmUse, *, deadline: Deadline) -> None:
    """Each opens what the other made of a fresh random challenge. Raises HsmIntegrityError when they differ."""
    aad = _aad(root_id, "challenge")
    for maker, opener in ((left, right), (right, left)):
        challenge = Secret(random_bytes(_CHALLENGE_BYTES))
        wrapped = await maker.wrap(root_id, challenge, aad, deadline=deadline)
        opened = await opener.unwrap(root_id, wrapped, aad, deadline=deadline)
        if not opened.matches(challenge):
            raise HsmIntegrityError(f"two members hold different keys as root {root_id.hex()}")


async def make_canary(root_id: RootId, member: HsmUse, *, deadline: Deadline) -> Canary:
    """Seal a random value under a root."""
    value = Secret(random_bytes(_CHALLENGE_BYTES))
    wrapped = await member.wrap(root_id, value, _aad(root_id, "canary"), deadline=deadline)
    return Canary(wrapped, hashlib.sha256(value.reveal()).digest())


async def prove_canary(root_id: RootId, canary: Canary, member: HsmUse, *, deadline: Deadline) -> None:
    """Open a canary. Raises HsmIntegrityError when the member's key is another one."""
    opened = await member.unwrap(root_id, canary.wrapped, _aad(root_id, "canary"), deadline=deadline)
    if not hmac.compare_digest(hashlib.sha256(opened.reveal()).digest(), canary.digest):
        raise HsmIntegrityError(f"the member holds another key as root {root_id.hex()}")
