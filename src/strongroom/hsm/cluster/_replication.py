"""Copying a root from member to member by trusted wrapping (PKCS#11 2.40, CKA_WRAP_WITH_TRUSTED and CKA_TRUSTED).

The target makes an RSA pair whose private half never leaves it; the security officer of the source imports
the public half as trusted, after its fingerprint was compared; the source wraps the root under it, which the
token allows for no other key; the target unwraps. The root is never in clear outside an HSM.

Pair and trusted key live only as long as the copying: while both stand, a user of the source and a user of the
target could copy the root themselves, with nothing but their PINs.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NamedTuple, Protocol

from strongroom.core import HsmError, HsmIntegrityError, RootId, StrongroomError, random_bytes
from strongroom.hsm.wire import KeyCheck


class AdminDoor(Protocol):
    """The admin verbs of one member, as a user; ``import_trusted_public`` works as security officer."""

    @property
    def name(self) -> str:
        """The member's name."""
        ...

    async def generate_root(self, root_id: RootId, label: str) -> KeyCheck:
        """Make a root KEK in the member."""
        ...

    async def generate_import_pair(self, cka_id: bytes, label: str) -> bytes:
        """Make the member's import pair; returns the public half, SPKI DER."""
        ...

    async def import_trusted_public(self, cka_id: bytes, label: str, spki_der: bytes) -> None:
        """Import another member's public half as trusted."""
        ...

    async def destroy_import_pair(self, cka_id: bytes) -> None:
        """Destroy the member's import pair."""
        ...

    async def destroy_trusted_public(self, cka_id: bytes) -> None:
        """Destroy another member's public half that was trusted."""
        ...

    async def wrap_out_root(self, root_id: RootId, wrapping_cka_id: bytes) -> bytes:
        """Wrap a root under a trusted public key."""
        ...

    async def unwrap_in_root(
        self, root_id: RootId, label: str, import_cka_id: bytes, wrapped: bytes, expected: KeyCheck
    ) -> KeyCheck:
        """Unwrap a root under this member's import pair; with another check value it is not kept."""
        ...


class ImportKey(NamedTuple):
    """A member's import pair, as others know it."""

    cka_id: bytes
    spki_der: bytes
    fingerprint: str


def fingerprint(spki_der: bytes) -> str:
    """SHA-256 of a public key in SPKI DER, in hex: what officers compare."""
    return hashlib.sha256(spki_der).hexdigest()


@contextlib.asynccontextmanager
async def exchanged_import_keys(
    members: list[AdminDoor], officers: list[AdminDoor]
) -> AsyncIterator[dict[str, ImportKey]]:
    """For the length of some copying, give each member an import pair, and each other one its public half as trusted.

    ``officers`` are the same members in the same order, logged in as security officer. The public halves
    travel inside this process, so the fingerprint that is imported is the one that was made. At the end, also
    after a failure, all of them are destroyed; raises HsmError when one may still be there.
    """
    # Noted before a key is made: when the answer is lost, the key may be there.
    undo: list[Callable[[], Awaitable[None]]] = []
    try:
        yield await _exchange(members, officers, undo)
    except BaseException:
        await _undo(undo)  # the failure that is on its way says more than one in here
        raise
    failure = await _undo(undo)
    if failure is not None:
        raise failure


async def _exchange(
    members: list[AdminDoor], officers: list[AdminDoor], undo: list[Callable[[], Awaitable[None]]]
) -> dict[str, ImportKey]:
    keys: dict[str, ImportKey] = {}
    for member in members:
        cka_id = random_bytes(16)
        undo.append(partial(member.destroy_import_pair, cka_id))
        spki_der = await member.generate_import_pair(cka_id, f"import-{member.name}")
        keys[member.name] = ImportKey(cka_id, spki_der, fingerprint(spki_der))
    for officer in officers:
        for name, key in keys.items():
            if name != officer.name:
                undo.append(partial(officer.destroy_trusted_public, key.cka_id))
                await officer.import_trusted_public(key.cka_id, f"trusted-{name}", key.spki_der)
    return keys


async def _undo(undo: list[Callable[[], Awaitable[None]]]) -> StrongroomError | None:
    """Destroy all that can be destroyed, trusted keys before pairs; return the first failure."""
    failure: StrongroomError | None = None
    for destroy in reversed(undo):
        try:
            await destroy()
        except StrongroomError as error:
            failure = failure or error
    return failure


async def generate_root(member: AdminDoor, label: str) -> tuple[RootId, KeyCheck]:
    """Make a root with a fresh random id in one member."""
    root_id = RootId(random_bytes(16))
    return root_id, await member.generate_root(root_id, label)


async def copy_root(
    root_id: RootId,
    label: str,
    check: KeyCheck,
    *,
    source: AdminDoor,
    target: AdminDoor,
    target_key: ImportKey,
) -> None:
    """Copy a root by trusted wrapping. What arrives with another key check value is destroyed by the target.

    The check value spots a mix-up early; the proof is ``prove_same_root``, for the caller to ask. Raises HsmError.
    """
    if source.name == target.name:
        raise HsmError(f"member {source.name} is source and target of the same copy")
    wrapped = await source.wrap_out_root(root_id, target_key.cka_id)
    arrived = await target.unwrap_in_root(root_id, label, target_key.cka_id, wrapped, check)
    if arrived != check:
        raise HsmIntegrityError(
            f"the root arrived on {target.name} with another key check value than it left with"
        )
