"""Main's part in backups over a small cluster of fake HSMs: members that serve, Direct keys, a domain, a backup set."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

from backup_documents import a_set
from fakes_replication import CLOCK, FakeCluster
from strongroom.audit import AuditLog, read_entries
from strongroom.backup import SetTransport, SigningKey, WrappedTransport, read_set, verify_bundle, write_set
from strongroom.config import Home
from strongroom.core import KeySpec, RootId, TransportKind, random_bytes
from strongroom.keyring import CacheLimits, KekCiphers
from strongroom.runtime._backup_keeping import BackupKeeping
from strongroom.storage import BackupSetRecord, BackupSetState, MemberRecord, Store
from strongroom.testing import FakeMember
from strongroom.wiring.backup_door import BackupRequest

API_PID = 4_242
CREATE = BackupRequest("create")


class BackupBench:
    """Three members that serve, some Direct keys, a backup set, and main's part over them."""

    def __init__(self, store, audit, home):
        self.store, self.audit, self.home = store, audit, home
        self.cluster = FakeCluster(store)

    async def make(self):
        await self.cluster.make()
        members = [
            MemberRecord(name, "softhsm2", name, name, place) for place, name in enumerate(self.cluster.hsms)
        ]
        for member in members:
            await self.store.write(lambda tx, member=member: tx.insert_member(member))
        await self.cluster.join_all()
        self.keys = [
            await self.cluster.create(KeySpec.AES_256),
            await self.cluster.create(KeySpec.ECC_NIST_P256),
            await self.cluster.create(KeySpec.HMAC_256),
        ]
        self.stays = await self.cluster.create(KeySpec.AES_256, may_leave=False)
        await self.make_domain()
        await self.make_set()
        self.quarantined = []
        keys = SimpleNamespace(serving=self.cluster.replicas, quarantined=lambda: self.quarantined)
        self.keeping = BackupKeeping(
            SimpleNamespace(custody=None),
            self.home,
            self.store,
            keys,
            self.audit,
            api_pids=lambda: {API_PID},
            events=self.cluster.events,
            clock=CLOCK,
        )

    async def make_domain(self):
        member = FakeMember(self.cluster.hsms["alpha"])
        limits = CacheLimits(60.0, 10, 10, 0.0)
        ciphers = KekCiphers(self.store, member, clock=CLOCK, limits=limits, request_s=5.0)
        self.domain = await ciphers.new_domain(RootId(self.store.get_current_root().root_id), "shard")
        await self.store.write(lambda tx: tx.insert_domain(self.domain))

    async def make_set(self, members=("alpha", "beta")):
        self.signing = await self.cluster.create(KeySpec.ECC_NIST_P256)
        transports = []
        for member in members:
            keys = []
            for kind in TransportKind:
                cka_id = b"BKUP" + random_bytes(12)
                self.cluster.transports[cka_id] = (member, kind, random_bytes(32))
                keys.append(WrappedTransport(cka_id=cka_id.hex(), kind=kind, wrapped=b"wrapped"))
            transports.append(
                SetTransport(member=member, mechanism=0x210A, oaep_hash="sha1", keys=tuple(keys))
            )
        signing = SigningKey(cka_id=self.signing.key_id.hex(), spki=self.signing.public_key)
        set_id = random_bytes(16)
        self.set = a_set(b"", set_id=set_id.hex(), transports=tuple(transports), signing_key=signing)
        record = BackupSetRecord(set_id, b"", BackupSetState.MAKING, CLOCK.now())
        document = write_set(self.set)
        await self.store.write(lambda tx: tx.insert_backup_set(record))
        await self.store.write(
            lambda tx: tx.activate_backup_set(set_id, document, at=CLOCK.now(), holders=())
        )

    async def ask(self, request, pid=1):
        return await self.keeping.answer(request, pid)

    def told(self, event):
        return [(e.kind, e.outcome) for e in read_entries(self.home.audit) if e.event == event]

    def opened(self, transport, wrapped):
        """What a wrapped key is, as the fakes have it."""
        return self.cluster.replica("alpha").keys._opened(bytes.fromhex(transport.cka_id), wrapped)

    def files(self):
        return sorted(path.name for path in self.home.backups.glob("*"))


def verified(bench, answer):
    """Return the bundle that an answer is about, verified."""
    with Path(answer.path).open("rb") as file:
        return verify_bundle(file, read_set(write_set(bench.set)))


@contextlib.asynccontextmanager
async def backup_bench(blank, folder):
    """``blank``: the bytes of an empty database."""
    home = Home(folder)
    home.database.write_bytes(blank)
    home.config_file.write_text("version = 1\n")
    home.audit.mkdir()
    with Store.open(home.database) as store:
        audit = AuditLog.open(home.audit, "main", clock=CLOCK)
        try:
            made = BackupBench(store, audit, home)
            await made.make()
            yield made
        finally:
            audit.close()
