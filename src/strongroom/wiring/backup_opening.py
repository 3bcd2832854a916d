"""Opening a backup with its share key, in one member: a blank HSM at a restore, a scratch token when a backup is verified.

    the private half of the set's pair as a session object → the backup transport keys of one member under it → roots and keys

At the end, and after any failure, pair and transport keys are gone; what was taken in stays. What an opening that died left on the
token is known by its label and destroyed by the next one. Where the member has officers, their approved ``RestoreBackup`` was
admitted before.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from strongroom.backup import BackupSet, SetTransport, check_share_key
from strongroom.core import (
    HsmIntegrityError,
    HsmKey,
    RootId,
    Secret,
    StrongroomError,
    TransportKind,
    is_backup_transport,
    random_bytes,
    transport_kind,
)
from strongroom.hsm.cluster import RemoteAdmin
from strongroom.hsm.wire import KeyCheck, TransportName, TransportOffer

OPENED_LABEL: Final = "opened-backup-"
"""How the labels of transport keys begin that are there while a backup is opened; then the name of the member that they are of."""
_PAIR_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class OpenedBackup:
    """What takes keys of one member's backup in. Made by ``open_backup`` alone; of use until its block ends."""

    _door: RemoteAdmin
    _transports: Mapping[TransportKind, bytes]

    async def take_root(self, root_id: RootId, label: str, *, wrapped: bytes, check: KeyCheck) -> None:
        """Take a root in. Raises HsmIntegrityError for another check value, HsmRequestError for a blob that does not open."""
        await self._door.take_in_root(
            root_id, label, transport_id=self._transports[TransportKind.AES], wrapped=wrapped, check=check
        )

    async def take_key(self, key: HsmKey, label: str, *, wrapped: bytes, spki_der: bytes) -> None:
        """Take a Direct key in; ``spki_der``: its public half, empty where it is no pair. Raises as ``take_root``."""
        await self._door.take_in_key(
            key,
            label,
            transport_id=self._transports[transport_kind(key.spec)],
            wrapped=wrapped,
            spki_der=spki_der,
        )


@contextlib.asynccontextmanager
async def open_backup(
    door: RemoteAdmin, backup_set: BackupSet, share_key: Secret, *, member: str
) -> AsyncIterator[OpenedBackup]:
    """Open what ``member`` wrapped out under a set, in the member behind ``door``, which is logged in as user.

    The share key may be overwritten once the block begins. Raises WrongSetError and HsmIntegrityError for another share key or a
    changed set document, MissingKeyError for a member that has no keys in the set, HsmRequestError for a token that cannot, and HsmError.
    """
    check_share_key(backup_set, share_key)
    transports = backup_set.transports_of(member)
    await _clear(door)
    pair_id = random_bytes(_PAIR_ID_BYTES)
    try:
        offer = await door.offer_backup(
            pair_id, share_key, backup_set.wrapped_private, mechanism=backup_set.wrap_mechanism
        )
        if offer.spki_der != backup_set.spki:
            raise HsmIntegrityError(
                "the private half that the share key opens is not that of the set's public key",
                next_step="find the document of the set as the ceremony wrote it: somebody changed this one",
            )
        await _take(door, pair_id, offer, transports)
        yield OpenedBackup(door, {key.kind: bytes.fromhex(key.cka_id) for key in transports.keys})
    finally:
        with contextlib.suppress(StrongroomError):  # its worker is gone, and the pair with it
            await door.end_transport_offer(pair_id)
        with contextlib.suppress(StrongroomError):  # the next opening destroys them
            await _clear(door)


async def _take(door: RemoteAdmin, pair_id: bytes, offer: TransportOffer, transports: SetTransport) -> None:
    # One vendor's number for RFC 5649 is another's: what was wrapped by anything else does not open.
    is_known = transports.mechanism in offer.mechanisms
    await door.take_transport_keys(
        pair_id,
        [TransportName(bytes.fromhex(key.cka_id), key.kind) for key in transports.keys],
        f"{OPENED_LABEL}{transports.member}",
        mechanism=transports.mechanism if is_known else offer.mechanisms[0],
        wrapped=[key.wrapped for key in transports.keys],
    )


async def _clear(door: RemoteAdmin) -> None:
    for entry in await door.list_objects():
        is_left = entry.label.startswith(OPENED_LABEL) and is_backup_transport(entry.cka_id)
        if is_left and not entry.is_ghost:
            await door.destroy_transport_key(entry.cka_id)
