"""What ``init`` does for shimmed members: one root on all of them, and transport keys under which keys travel."""

import asyncio
import contextlib
from typing import Any, NamedTuple

from faults.shimmed_members import ShimmedMember
from strongroom.core import Deadline, RootId, SystemClock, TransportKind, WrapAlgorithm, random_bytes
from strongroom.hsm.cluster import RemoteKeys, RemoteMember, make_canary, prove_same_root
from strongroom.hsm.wire import (
    EndTransportOffer,
    GenerateRoot,
    KeyCheck,
    MakeTransportKeys,
    OfferTransport,
    TakeTransportKeys,
    TransportName,
    WireClient,
)
from strongroom.storage import RootRecord, TransportKeyRecord

ROOT = RootId(b"the root's name.")
KINDS = (TransportKind.AES, TransportKind.MAC, TransportKind.EC)
_LIMIT_S = 60.0


class Joined(NamedTuple):
    """What the members of a cluster have in common, as the database keeps it."""

    root: RootRecord
    transports: list[TransportKeyRecord]


class _Door(NamedTuple):
    name: str
    admin_path: str
    use: RemoteMember
    client: WireClient

    async def call(self, asked: Any) -> Any:
        return await self.client.call(asked, timeout_s=_LIMIT_S)


async def join(members: list[ShimmedMember]) -> Joined:
    """Run two workers of each member, as user and as security officer, for as long as it takes."""
    async with contextlib.AsyncExitStack() as stack:
        # One after the other: SoftHSM rewrites the token's file in place at a login, while the other one reads it.
        users = await asyncio.gather(*(_door(stack, member, "administer") for member in members))
        officers = await asyncio.gather(*(_door(stack, member, "officer") for member in members))
        transports = await _transport_keys(officers, users)
        return Joined(await _root_on_all(users, transports), transports)


async def _door(stack: contextlib.AsyncExitStack, member: ShimmedMember, mode: Any) -> _Door:
    bootstrap = member.bootstrap(mode)
    child = await member.start(bootstrap)
    stack.push_async_callback(child.end)
    client = await WireClient.connect(bootstrap.admin_path)
    stack.callback(client.close)
    use = RemoteMember(member.name, bootstrap.use_path)
    stack.callback(use.close)
    return _Door(member.name, bootstrap.admin_path, use, client)


async def _transport_keys(officers: list[_Door], users: list[_Door]) -> list[TransportKeyRecord]:
    """Make each member's own transport keys, and let the others unwrap under them."""
    pair_id = random_bytes(16)
    offers = await asyncio.gather(*(user.call(OfferTransport(pair_id)) for user in users))
    mechanism = offers[0].mechanisms[0]
    records = []
    for officer in officers:
        names = [TransportName(random_bytes(16), kind) for kind in KINDS]
        label = f"transport-{officer.name}"
        others = [each for each in zip(users, offers, strict=True) if each[0].name != officer.name]
        make = MakeTransportKeys(names, label, mechanism, [offer.spki_der for _, offer in others])
        for (other, _), wrapped in zip(others, await officer.call(make), strict=True):
            await other.call(TakeTransportKeys(pair_id, names, label, mechanism, wrapped))
        records += [
            TransportKeyRecord(name.cka_id, officer.name, name.kind, mechanism, 1.0) for name in names
        ]
    for user in users:
        await user.call(EndTransportOffer(pair_id))
    return records


async def _root_on_all(users: list[_Door], transports: list[TransportKeyRecord]) -> RootRecord:
    clock = SystemClock()

    def soon() -> Deadline:
        return Deadline.after(clock, _LIMIT_S)

    first, *others = users
    check: KeyCheck = await first.call(GenerateRoot(ROOT, "root"))
    canary = await make_canary(ROOT, first.use, algorithm=WrapAlgorithm.HSM_AES_GCM, deadline=soon())
    under = next(
        record.transport_id
        for record in transports
        if record.member == first.name and record.kind is TransportKind.AES
    )
    doors = {user.name: RemoteKeys(user.name, user.admin_path) for user in users}
    try:
        wrapped = await doors[first.name].wrap_out(ROOT, TransportKind.AES, under, deadline=soon())
        for other in others:
            await doors[other.name].take_in_root(
                ROOT, "root", transport_id=under, wrapped=wrapped, check=check, deadline=soon()
            )
            await prove_same_root(ROOT, first.use, other.use, deadline=soon())
    finally:
        for door in doors.values():
            door.close()
    return RootRecord(ROOT, 1, check.kind, check.value, canary.blob, canary.digest, 1.0)
