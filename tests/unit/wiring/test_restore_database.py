"""The database of a restore: out of a real bundle of fake HSMs, put onto other members, and shown to open with their root."""

import contextlib
from pathlib import Path

import msgspec
import pytest

from backup_bench import CREATE, backup_bench
from fakes_custody import begun, change, signed_genesis
from fakes_replication import CLOCK
from fresh_database import fresh_database
from strongroom.backup import AlteredBundleError, MissingKeyError, UnusableBackupError, write_set
from strongroom.config import Home
from strongroom.core import HsmIntegrityError, RootId, TransportKind
from strongroom.custody import ChainError
from strongroom.storage import (
    BackupSetState,
    BackupState,
    CustodyDocumentRecord,
    HsmKeyState,
    MemberRecord,
    Store,
    TransportKeyRecord,
)
from strongroom.testing import FakeHsm, FakeMember
from strongroom.wiring.restore_database import (
    CONFIGURATION_OF_BACKUP,
    prove_ciphertexts,
    put_onto_members,
    write_database,
)
from strongroom.wiring.restore_source import read_restore_source

NEW = [MemberRecord("gamma", "softhsm2", "7", "strongroom-gamma", 0)]
TRANSPORTS = [TransportKeyRecord(bytes(range(16)), "gamma", TransportKind.AES, 0x210A, 5.0)]


@pytest.fixture
async def bench(tmp_path):
    fresh_database(tmp_path / "blank.db")
    (tmp_path / "old").mkdir()
    async with backup_bench((tmp_path / "blank.db").read_bytes(), tmp_path / "old") as made:
        yield made


@pytest.fixture
def home(tmp_path):
    (tmp_path / "new").mkdir()
    return Home(tmp_path / "new")


@pytest.fixture
def use(bench):
    """A blank HSM that got the root of the bundle."""
    new, root_id = FakeHsm("gamma"), RootId(bench.store.get_current_root().root_id)
    bench.cluster.hsms["alpha"].copy_root_to(new, root_id)
    return FakeMember(new)


async def backed_up(bench):
    answer = await bench.ask(CREATE)
    return read_restore_source(Path(answer.path), write_set(bench.set))


@contextlib.asynccontextmanager
async def restored(home, source, use):
    await write_database(home, source, use, clock=CLOCK)
    with Store.open(home.database) as store:
        yield store


async def test_the_database_comes_back_and_only_the_members_change(bench, home, use):
    source = await backed_up(bench)
    (home.root / "restore-draft").mkdir()
    (home.root / "restore-draft" / "strongroom.db").touch()  # an earlier run was killed here
    (home.root / "strongroom.db-wal").write_bytes(b"of an earlier run")
    async with restored(home, source, use) as store:
        before = store.list_hsm_keys()
        await put_onto_members(store, source, NEW, TRANSPORTS, None, now=9.0)
        assert (store.list_members(), store.list_transport_keys()) == (NEW, TRANSPORTS)
        assert store.list_held_hsm_key_copies() == []
        assert store.list_backup_transport_keys() == []
        assert store.list_hsm_keys() == before == bench.store.list_hsm_keys()
        assert store.list_all_roots() == bench.store.list_all_roots()
        (old_set,) = store.list_backup_sets()
        assert (old_set.state, old_set.ended_at) == (BackupSetState.RETIRED, 9.0)
        (backup,) = store.list_backups(limit=5)
        assert (backup.sha256, backup.state, backup.verified_at) == (source.sha256, BackupState.PRESENT, 9.0)
        opened = await prove_ciphertexts(store, use, clock=CLOCK)
        assert opened == (1, 0, 0)
    assert (home.root / CONFIGURATION_OF_BACKUP).read_text() == "version = 1\n"
    assert not (home.root / "restore-draft").exists()


async def test_a_key_that_was_destroyed_while_the_backup_was_made_gets_its_tombstone(bench, home, use):
    source = await backed_up(bench)
    gone, *kept = source.manifest.keys
    less = source._replace(manifest=msgspec.structs.replace(source.manifest, keys=tuple(kept)))
    async with restored(home, less, use) as store:
        await put_onto_members(store, less, NEW, TRANSPORTS, None, now=9.0)
        destroyed = store.list_hsm_keys(HsmKeyState.DESTROYED)
        assert [(one.key_id.hex(), one.destroyed_at) for one in destroyed] == [
            (gone.key_id, float(source.manifest.made_at))
        ]
        assert bench.stays.key_id in {one.key_id for one in store.list_hsm_keys(HsmKeyState.ACTIVE)}


async def test_a_root_that_the_database_needs_and_the_bundle_lacks_is_noticed(bench, home, use):
    source = await backed_up(bench)
    none = source._replace(manifest=msgspec.structs.replace(source.manifest, roots=()))
    async with restored(home, source, use) as store:
        with pytest.raises(MissingKeyError, match="needs the root"):
            await put_onto_members(store, none, NEW, TRANSPORTS, None, now=9.0)
        assert len(store.list_members()) == 3


async def test_a_database_that_is_not_the_one_that_was_signed_never_gets_into_the_home(bench, home, use):
    source = await backed_up(bench)
    manifest = source.manifest
    snapshot = msgspec.structs.replace(manifest.snapshot, counts={**manifest.snapshot.counts, "keys": 1})
    other = source._replace(manifest=msgspec.structs.replace(manifest, snapshot=snapshot))
    with pytest.raises(UnusableBackupError, match="other rows"):
        await write_database(home, other, use, clock=CLOCK)
    assert not home.database.exists()


async def test_another_root_opens_neither_the_snapshot_nor_the_database(bench, home, use):
    source = await backed_up(bench)
    async with restored(home, source, use) as store:
        other = FakeHsm("other")
        other.generate_root(RootId(bench.store.get_current_root().root_id), "another under the same name")
        with pytest.raises(HsmIntegrityError):
            await prove_ciphertexts(store, FakeMember(other), clock=CLOCK)
        with pytest.raises(HsmIntegrityError):
            await write_database(home, source, FakeMember(other), clock=CLOCK)


async def test_the_officers_of_the_bundle_are_those_of_the_database(bench, home, use):
    genesis = signed_genesis()
    later = change(
        begun(), "RevokeOfficer", {"officer": "gus", "reason": "left"}
    )  # it came while the backup was made
    for sequence, document in enumerate((genesis, later)):
        row = CustodyDocumentRecord(sequence, document)
        await bench.store.write(lambda tx, row=row: tx.append_custody_document(row))
    source = await backed_up(bench)

    def with_custody(*documents):
        return source._replace(manifest=msgspec.structs.replace(source.manifest, custody=documents))

    async with restored(home, source, use) as store:
        for documents in ((), (b"another",), (genesis, later, b"one more")):
            with pytest.raises(AlteredBundleError, match="not that of the database"):
                await put_onto_members(store, with_custody(*documents), NEW, TRANSPORTS, None, now=9.0)
        await put_onto_members(store, with_custody(genesis), NEW, TRANSPORTS, None, now=9.0)
        assert store.list_members() == NEW


async def test_changes_of_officers_that_came_while_the_backup_was_made_are_verified_too(bench, home, use):
    genesis = signed_genesis()
    for sequence, document in enumerate((genesis, b"a change that nobody approved")):
        row = CustodyDocumentRecord(sequence, document)
        await bench.store.write(lambda tx, row=row: tx.append_custody_document(row))
    source = await backed_up(bench)
    until_then = source._replace(manifest=msgspec.structs.replace(source.manifest, custody=(genesis,)))
    async with restored(home, source, use) as store:
        with pytest.raises(ChainError):
            await put_onto_members(store, until_then, NEW, TRANSPORTS, None, now=9.0)
        assert len(store.list_members()) == 3
