"""Making backup sets in homes, and what is taken out under them: for tests that hold the custodians' shares themselves."""

import contextlib
from typing import NamedTuple

from strongroom.backup import SetCustodian
from strongroom.config import Home
from strongroom.core import HsmKey, RootId, Secret, SystemClock, TransportKind, transport_kind
from strongroom.hsm.cluster import RemoteAdmin
from strongroom.hsm.wire import KeyCheck
from strongroom.shares import combine, possession_public_key, read_share
from strongroom.storage import HsmKeyState, Store
from strongroom.testing import RecordingEvents
from strongroom.wiring.backup_set import make_backup_set

PEOPLE = ("ann", "bob", "cat", "dan", "eve")


class Custodians:
    """Take the shares that a ceremony gives, and write them down."""

    def __init__(self) -> None:
        self.sheets: dict[str, str] = {}

    async def take(self, given) -> SetCustodian:
        """``wiring.backup_set.Give``."""
        share, name = given.share, given.custodian
        self.sheets[name] = " ".join(share.words)
        return SetCustodian(
            id=name,
            name=name.title(),
            location="Bern",
            share_index=share.index,
            delivery="paper",
            possession_key=possession_public_key(share, given.set_id),
        )

    def share_key(self, *names: str) -> Secret:
        """What the shares of these people give."""
        return combine([read_share(self.sheets[name]) for name in names])


async def make_set(
    home: Home, custodians: Custodians, *, threshold=3, people=PEOPLE, progress=lambda step: None, **changes
):
    """Make a set in a home whose security officers' PINs lie in it."""
    with contextlib.closing(Store.open(home.database)) as store:
        return await make_backup_set(
            home,
            threshold=threshold,
            custodians=people,
            **{
                "give": custodians.take, "store": store, "events": RecordingEvents(), "clock": SystemClock(),
                "progress": progress, **changes,
            },
        )  # fmt: skip


class TakenOut(NamedTuple):
    """What left a member under a set."""

    roots: list[tuple[RootId, KeyCheck, bytes]]
    keys: list[tuple[HsmKey, bytes, bytes]]


async def take_out(door: RemoteAdmin, home: Home, backup_set) -> TakenOut:
    """Wrap every root and every key that may leave out of a member."""
    with contextlib.closing(Store.open(home.database)) as store:
        roots, keys = store.list_roots(), store.list_hsm_keys(HsmKeyState.ACTIVE)

    def under(kind):
        return bytes.fromhex(backup_set.transport(door.name, kind).cka_id)

    wrapped_roots = [
        (
            RootId(root.root_id),
            KeyCheck(root.check_kind, root.check_value),
            await door.wrap_out(root.root_id, TransportKind.AES, under(TransportKind.AES)),
        )
        for root in roots
    ]
    wrapped_keys = [
        (key.key, key.public_key, await door.wrap_out(key.key_id, kind, under(kind)))
        for key in keys
        if key.may_leave
        for kind in [transport_kind(key.spec)]
    ]
    return TakenOut(wrapped_roots, wrapped_keys)
