"""Making the transport keys of a cluster, while the security officers of all members are at hand.

``hsm.token`` tells what they are and why nobody gets a key in clear by them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from strongroom.core import (
    HsmError,
    HsmKey,
    RootId,
    Secret,
    StrongroomError,
    TransportKind,
    is_backup_transport,
    new_transport_id,
    random_bytes,
)
from strongroom.hsm.wire import (
    BackupPair,
    DestroyTransportKey,
    EndTransportOffer,
    KeyCheck,
    ListObjects,
    MakeBackupPair,
    MakeTransportKeys,
    ObjectEntry,
    OfferBackup,
    OfferTransport,
    TakeInKey,
    TakeInRoot,
    TakeTransportKeys,
    TransportName,
    TransportOffer,
    WireClient,
    WrapOut,
)

_ID_BYTES = 16
LABEL_PREFIX = "transport-"
"""How the label of every transport key begins."""


class NoTransportError(HsmError):
    """The members have no mechanism in common by which keys could travel under AES keys."""


class TransportDoor(Protocol):
    """What ``make_transport_keys`` asks of a member, as user (``officer`` in the comments: as security officer)."""

    @property
    def name(self) -> str:
        """The member's name."""
        ...

    async def offer_transport(self, pair_id: bytes) -> TransportOffer:
        """Make the pair under which transport keys come in."""
        ...

    async def end_transport_offer(self, pair_id: bytes) -> None:
        """Destroy that pair."""
        ...

    async def destroy_transport_key(self, transport_id: bytes) -> None:
        """Destroy a transport key, the member's own one or another's."""
        ...

    async def list_objects(self) -> list[ObjectEntry]:
        """List what the member's token holds."""
        ...

    async def make_transport_keys(
        self, names: Sequence[TransportName], label: str, *, mechanism: int, targets: Sequence[bytes]
    ) -> list[list[bytes]]:
        """Make the member's own transport keys (officer); return them wrapped for each target."""
        ...

    async def take_transport_keys(
        self,
        pair_id: bytes,
        names: Sequence[TransportName],
        label: str,
        *,
        mechanism: int,
        wrapped: Sequence[bytes],
    ) -> None:
        """Take another member's transport keys in."""
        ...


class MadeTransport(NamedTuple):
    """One transport key: where it wraps, what it carries."""

    member: str
    transport_id: bytes
    kind: TransportKind
    mechanism: int


class RemoteTransportAdmin(ABC):
    """The ``TransportDoor`` of a member over its worker's admin socket."""

    async def offer_transport(self, pair_id: bytes) -> TransportOffer:
        """Make the pair under which transport keys come in; it lives in that worker only."""
        client, timeout_s = self._door()
        return await client.call(OfferTransport(pair_id), timeout_s=timeout_s)

    async def end_transport_offer(self, pair_id: bytes) -> None:
        """Destroy that pair."""
        client, timeout_s = self._door()
        await client.call(EndTransportOffer(pair_id), timeout_s=timeout_s)

    async def destroy_transport_key(self, transport_id: bytes) -> None:
        """Destroy a transport key, the member's own one or another's."""
        client, timeout_s = self._door()
        await client.call(DestroyTransportKey(transport_id), timeout_s=timeout_s)

    async def list_objects(self) -> list[ObjectEntry]:
        """List what the member's token holds."""
        client, timeout_s = self._door()
        return await client.call(ListObjects(), timeout_s=timeout_s)

    async def make_transport_keys(
        self, names: Sequence[TransportName], label: str, *, mechanism: int, targets: Sequence[bytes]
    ) -> list[list[bytes]]:
        """Make the member's own transport keys; the worker must be logged in as security officer."""
        client, timeout_s = self._door()
        call = MakeTransportKeys(list(names), label, mechanism, list(targets))
        return await client.call(call, timeout_s=timeout_s)

    async def take_transport_keys(
        self,
        pair_id: bytes,
        names: Sequence[TransportName],
        label: str,
        *,
        mechanism: int,
        wrapped: Sequence[bytes],
    ) -> None:
        """Take another member's transport keys in, to unwrap under them."""
        client, timeout_s = self._door()
        call = TakeTransportKeys(pair_id, list(names), label, mechanism, list(wrapped))
        await client.call(call, timeout_s=timeout_s)

    async def make_backup_pair(self, share_key: Secret) -> BackupPair:
        """Make the pair of a backup set, whose private half leaves under the share key only."""
        client, timeout_s = self._door()
        return await client.call(MakeBackupPair(share_key.reveal()), timeout_s=timeout_s)

    async def offer_backup(
        self, pair_id: bytes, share_key: Secret, wrapped_private: bytes, *, mechanism: int
    ) -> TransportOffer:
        """Open the private half of a backup pair in that worker, as the pair of an offer.

        Whoever calls compares its public half. Raises HsmIntegrityError when it does not open.
        """
        client, timeout_s = self._door()
        call = OfferBackup(pair_id, share_key.reveal(), wrapped_private, mechanism)
        return await client.call(call, timeout_s=timeout_s)

    async def wrap_out(self, cka_id: bytes, kind: TransportKind, transport_id: bytes) -> bytes:
        """Wrap a root or a Direct key under the member's own transport key."""
        client, timeout_s = self._door()
        return await client.call(WrapOut(cka_id, kind, transport_id), timeout_s=timeout_s)

    async def take_in_root(
        self, root_id: RootId, label: str, *, transport_id: bytes, wrapped: bytes, check: KeyCheck
    ) -> None:
        """Take in a root that came under another member's transport key."""
        client, timeout_s = self._door()
        call = TakeInRoot(root_id, label, transport_id, wrapped, check.kind, check.value)
        await client.call(call, timeout_s=timeout_s)

    async def take_in_key(
        self, key: HsmKey, label: str, *, transport_id: bytes, wrapped: bytes, spki_der: bytes
    ) -> None:
        """Take in a Direct key that came under another member's transport key."""
        client, timeout_s = self._door()
        await client.call(TakeInKey(key, label, transport_id, wrapped, spki_der), timeout_s=timeout_s)

    @abstractmethod
    def _door(self) -> tuple[WireClient, float]: ...


async def make_transport_keys(
    users: Sequence[TransportDoor], officers: Sequence[TransportDoor]
) -> list[MadeTransport]:
    """Give every member transport keys of its own, one of each kind, that all others unwrap under.

    ``officers`` are the same members in the same order. The public halves of the offers travel inside this
    process, so what an officer trusts for an instant is what was offered. Raises NoTransportError when the
    members have no mechanism in common, and HsmError; some keys may have been made then.
    """
    pair_ids = {user.name: random_bytes(_ID_BYTES) for user in users}
    try:
        offers = {user.name: await user.offer_transport(pair_ids[user.name]) for user in users}
        mechanism = _common(offers)
        made: list[MadeTransport] = []
        for officer in officers:
            names = [TransportName(new_transport_id(), kind) for kind in TransportKind]
            targets = [user for user in users if user.name != officer.name]
            wrapped = await officer.make_transport_keys(
                names,
                f"{LABEL_PREFIX}{officer.name}",
                mechanism=mechanism,
                targets=[offers[target.name].spki_der for target in targets],
            )
            for target, blobs in zip(targets, wrapped, strict=True):
                await target.take_transport_keys(
                    pair_ids[target.name],
                    names,
                    f"{LABEL_PREFIX}{officer.name}",
                    mechanism=mechanism,
                    wrapped=blobs,
                )
            made += [MadeTransport(officer.name, name.cka_id, name.kind, mechanism) for name in names]
    finally:
        await _end(users, pair_ids)
    return made


async def destroy_unknown_transport_keys(users: Iterable[TransportDoor], known: Collection[bytes]) -> int:
    """Destroy every transport key that is not among ``known``: replaced ones, and those of a making that was interrupted.

    Told by their label; nothing that is no transport key is destroyed, whatever it calls itself. Returns how many
    there were. Raises HsmError.
    """
    destroyed = 0
    for user in users:
        for entry in await user.list_objects():
            is_ours = entry.object_class == "secret_key" and entry.label.startswith(LABEL_PREFIX)
            if entry.is_ghost or not is_ours or entry.cka_id in known or is_backup_transport(entry.cka_id):
                continue
            await user.destroy_transport_key(entry.cka_id)
            destroyed += 1
    return destroyed


async def destroy_backup_transport_keys(
    users: Iterable[TransportDoor], is_gone: Callable[[bytes], bool]
) -> int:
    """Destroy the transport keys of backup sets whose CKA_IDs ``is_gone`` says yes to. Returns how many there were.

    Told by their CKA_ID alone; nothing that is no transport key is destroyed. Raises HsmError.
    """
    destroyed = 0
    for user in users:
        for entry in await user.list_objects():
            is_ours = entry.object_class == "secret_key" and is_backup_transport(entry.cka_id)
            if not entry.is_ghost and is_ours and is_gone(entry.cka_id):
                await user.destroy_transport_key(entry.cka_id)
                destroyed += 1
    return destroyed


def _common(offers: Mapping[str, TransportOffer]) -> int:
    first, *others = offers.values()
    for mechanism in first.mechanisms:
        if all(mechanism in other.mechanisms for other in others):
            return mechanism
    raise NoTransportError(
        "the members have no mechanism in common by which keys could travel under AES keys",
        next_step="keys can be copied with the security officers at hand only",
    )


async def _end(users: Iterable[TransportDoor], pair_ids: Mapping[str, bytes]) -> None:
    for user in users:
        try:
            await user.end_transport_offer(pair_ids[user.name])
        except StrongroomError:
            continue  # its worker is gone, and the pair with it
