"""What the tests of keyring and service share: a cluster of one fake HSM, and a keyring over it and a database."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

from fakes_direct_keys import CLUSTER, fake_access
from fresh_database import fresh_database
from strongroom.core import MemberFailedError, NoMemberError
from strongroom.keyring import CacheLimits, Keyring
from strongroom.storage import RootRecord, Store
from strongroom.testing import FakeClock, FakeHsm, FakeMember

TTL_S = 300.0


class OneMemberCluster:
    """A ``core.HsmUse`` over one fake HSM: what the member cannot do, nobody can (NoMemberError).

    While ``is_down`` nobody answers. After ``hold_unwraps`` those that arrive, which ``arrived`` tells, wait for
    ``let_go``. ``unwraps`` says how often the HSM was asked to unwrap.
    """

    def __init__(self, hsm: FakeHsm) -> None:
        self.hsm = hsm
        self.is_down = False
        self.arrived = asyncio.Event()
        self.unwraps = 0
        self._member = FakeMember(hsm)
        self._free = asyncio.Event()
        self._free.set()

    def hold_unwraps(self) -> None:
        self.arrived.clear()
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    async def wrap(self, root_id, key_bytes, aad, *, deadline):
        return await self._ask(self._member.wrap(root_id, key_bytes, aad, deadline=deadline))

    async def unwrap(self, root_id, wrapped, aad, *, deadline):
        self.unwraps += 1
        self.arrived.set()
        await self._free.wait()
        return await self._ask(self._member.unwrap(root_id, wrapped, aad, deadline=deadline))

    async def random(self, n_bytes, *, deadline):
        return await self._ask(self._member.random(n_bytes, deadline=deadline))

    async def _ask(self, asked):
        if self.is_down:
            asked.close()
            raise NoMemberError("no member is active")
        try:
            return await asked
        except MemberFailedError as error:
            raise NoMemberError(f"the last one said: {error.message}") from error


def count_a_change(path) -> None:
    """Have every process look at the database anew, as after a change of anybody."""
    with closing(sqlite3.connect(path)) as connection, connection:
        (count,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {count + 1}")


class HsmAndDatabase:
    """A fake HSM with a root, and an empty database file that knows it, to be copied for each test."""

    def __init__(self, folder):
        self.hsm = FakeHsm("hsm-a")
        self.root_id = self.hsm.make_root()
        self._template = folder / "template.db"
        fresh_database(self._template)
        root = RootRecord(self.root_id, 1, "CKA_CHECK_VALUE", "dc95c0", b"canary", bytes(32), 1.0)
        with Store.open(self._template) as store:
            asyncio.run(store.write(lambda tx: tx.insert_root(root)))

    def copy_to(self, path):
        shutil.copyfile(self._template, path)
        return path


class KeyringBench:
    """One database, the cluster and the clock; as many stores and keyrings (processes) on them as a test needs."""

    def __init__(self, made: HsmAndDatabase, path) -> None:
        self.clock = FakeClock()
        self.root_id = made.root_id
        self.path = made.copy_to(path)
        self.cluster = OneMemberCluster(made.hsm)
        self.stores: list[Store] = []
        self.cluster_id = CLUSTER
        self.maker = None
        self.keyrings: list[Keyring] = []

    def open_store(self) -> Store:
        store = Store.open(self.path)
        self.stores.append(store)
        return store

    def open_keyring(
        self, *, ttl_s=TTL_S, max_keks=100, max_domains=100, outage_grace_s=0.0, store=None
    ) -> Keyring:
        """Make a keyring on a store of its own, as another process would have one: its caches are empty."""
        limits = CacheLimits(ttl_s, max_keks, max_domains, outage_grace_s)
        store = store or self.open_store()
        access = fake_access(store, self.cluster.hsm, self.clock, is_active=lambda: not self.cluster.is_down)
        access = access._replace(cluster_id=self.cluster_id)
        self.maker = access.maker
        keyring = Keyring(store, self.cluster, clock=self.clock, limits=limits, request_s=10.0, access=access)
        self.keyrings.append(keyring)
        return keyring

    def close(self) -> None:
        self.cluster.hsm.faults.clear()
        for keyring in self.keyrings:
            keyring.close()
        for store in self.stores:
            store.close()
