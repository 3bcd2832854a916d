"""What the database of a new home begins with: members, root, transport keys, a domain, access keys, the genesis."""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from strongroom.config import Home
from strongroom.core import Clock, HsmUse, Secret
from strongroom.keyring import CREDENTIALS, CacheLimits, KekCiphers, make_access_key
from strongroom.service import Role
from strongroom.storage import (
    CustodyDocumentRecord,
    MemberRecord,
    RootRecord,
    Store,
    Transaction,
    create_database,
)
from strongroom.wiring.cluster_setup import MadeRoot, SetUpMember

_HSM_LIMIT_S: Final = 30.0


class FirstAccessKey(NamedTuple):
    """An access key that a home begins with."""

    principal: str
    roles: Sequence[Role]


class MadeAccessKey(NamedTuple):
    """That access key with its secret."""

    principal: str
    access_key_id: str
    secret: Secret


async def make_records(
    home: Home,
    members: Sequence[SetUpMember],
    hsm: HsmUse,
    made: MadeRoot,
    *,
    access_keys: Sequence[FirstAccessKey],
    clock: Clock,
    genesis: bytes | None = None,
) -> list[MadeAccessKey]:
    """Make the database and everything in it; access keys are wrapped under a domain of their own. Raises as its parts."""
    create_database(home.database)
    store = Store.open(home.database)
    try:
        await _record_cluster(store, members, made, clock.now())
        if genesis is not None:
            document = CustodyDocumentRecord(0, genesis)
            await store.write(lambda tx: tx.append_custody_document(document))
        limits = CacheLimits(60.0, 10, 10, 0.0)
        ciphers = KekCiphers(store, hsm, clock=clock, limits=limits, request_s=_HSM_LIMIT_S)
        domain = await ciphers.new_domain(made.root_id, CREDENTIALS)
        await store.write(lambda tx: tx.insert_domain(domain))
        keys = []
        for first in access_keys:
            record, secret = await make_access_key(
                ciphers,
                domain.domain_id,
                principal=first.principal,
                roles=tuple(first.roles),
                now=clock.now(),
            )
            await store.write(partial(Transaction.insert_access_key, record=record))
            keys.append(MadeAccessKey(first.principal, record.access_key_id, secret))
    finally:
        store.close()
    return keys


async def _record_cluster(store: Store, members: Sequence[SetUpMember], made: MadeRoot, now: float) -> None:
    root = RootRecord(
        made.root_id,
        int(made.algorithm),
        made.check.kind,
        made.check.value,
        made.canary.blob,
        made.canary.digest,
        now,
    )
    await store.write(lambda tx: tx.insert_root(root))
    for position, member in enumerate(members):
        record = member_record(member, position)
        await store.write(partial(Transaction.insert_member, record=record))
    for transport in made.transports:
        await store.write(partial(Transaction.insert_transport_key, record=transport))


def member_record(member: SetUpMember, position: int) -> MemberRecord:
    """Return the record of a member."""
    return MemberRecord(
        member.config.name,
        member.config.profile,
        member.token.serial,
        member.token.label,
        position,
    )
