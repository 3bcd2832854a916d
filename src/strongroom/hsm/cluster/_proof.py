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
    WrapAlgorithm,
    encode_fields,
    random_bytes,
)
from strongroom.envelope import Blob, Purpose, aad_for, root_canary_binding

_CHALLENGE_BYTES = 32


class Canary(NamedTuple):
    """A sealed random value, kept with the root's record: it proves a member when no other one is there to ask."""

    blob: bytes
    """Encoded ``envelope.Blob`` of the purpose ROOT_CANARY."""
    digest: bytes
    """SHA-256 of the random value."""


def _canary_aad(root_id: RootId, algorithm: WrapAlgorithm) -> bytes:
    return aad_for(Purpose.ROOT_CANARY, algorithm, root_id, 1, root_canary_binding(root_id))


async def prove_same_root(root_id: RootId, left: HsmUse, right: HsmUse, *, deadline: Deadline) -> None:
    """Each opens what the other made of a fresh random challenge. Raises HsmIntegrityError when they differ."""
    for maker, opener in ((left, right), (right, left)):
        if not await _opens(root_id, maker, opener, deadline=deadline):
            raise HsmIntegrityError(f"two members hold different keys as root {root_id.hex()}")


async def _opens(root_id: RootId, maker: HsmUse, opener: HsmUse, *, deadline: Deadline) -> bool:
    aad = encode_fields("strongroom root challenge v1", [root_id])
    challenge = Secret(random_bytes(_CHALLENGE_BYTES))
    wrapped = await maker.wrap(root_id, challenge, aad, deadline=deadline)
    return (await opener.unwrap(root_id, wrapped, aad, deadline=deadline)).matches(challenge)


async def make_canary(
    root_id: RootId, member: HsmUse, *, algorithm: WrapAlgorithm, deadline: Deadline
) -> Canary:
    """Seal a random value under a root, by the algorithm of the cluster."""
    value = Secret(random_bytes(_CHALLENGE_BYTES))
    wrapped = await member.wrap(root_id, value, _canary_aad(root_id, algorithm), deadline=deadline)
    if wrapped.algorithm is not algorithm:
        raise HsmIntegrityError(
            f"the member wraps by {wrapped.algorithm.name}, its cluster by {algorithm.name}"
        )
    blob = Blob.of_wrapped(Purpose.ROOT_CANARY, root_id, wrapped)
    return Canary(blob.encode(), hashlib.sha256(value.reveal()).digest())


async def prove_canary(root_id: RootId, canary: Canary, member: HsmUse, *, deadline: Deadline) -> None:
    """Open a canary. Raises HsmIntegrityError when the member's key is another one."""
    blob = Blob.parse(canary.blob)
    aad = _canary_aad(root_id, blob.algorithm)
    opened = await member.unwrap(root_id, blob.wrapped, aad, deadline=deadline)
    if not hmac.compare_digest(hashlib.sha256(opened.reveal()).digest(), canary.digest):
        raise HsmIntegrityError(f"the member holds another key as root {root_id.hex()}")


async def prove_use(root_id: RootId, canary: Canary, member: HsmUse, *, deadline: Deadline) -> None:
    """Have one member open the canary, then seal and open a fresh challenge: it holds the root and works with it.

    Raises what the member does, and HsmIntegrityError when its key is another one.
    """
    await prove_canary(root_id, canary, member, deadline=deadline)
    if not await _opens(root_id, member, member, deadline=deadline):
        raise HsmIntegrityError(f"the member does not open what it sealed under root {root_id.hex()}")
