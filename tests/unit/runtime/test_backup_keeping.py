"""Main makes backups for its owner alone: whole ones, of what the database says, from a member that works."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from backup_bench import API_PID, CREATE, backup_bench, verified
from fakes_replication import CLOCK, FakeKeys, soon
from fresh_database import fresh_database
from strongroom.audit import read_entries
from strongroom.backup import (
    decrypt_snapshot,
    set_hash,
    snapshot_key_blob,
)
from strongroom.config import BackupsConfig
from strongroom.core import (
    ApprovalRequiredError,
    HsmIntegrityError,
    KeySpec,
    MemberFailedError,
    NoMemberError,
    RootId,
    StorageError,
    TransportKind,
    WrapAlgorithm,
)
from strongroom.envelope import Purpose, aad_for, backup_snapshot_binding
from strongroom.runtime._backup_contents import BackupNotPossibleError
from strongroom.runtime._backup_reminders import BackupReminders
from strongroom.storage import (
    BackupSetState,
    BackupState,
    inspect_snapshot,
)
from strongroom.testing import FakeClock, FakeMember, RecordingEvents
from strongroom.wiring.backup_door import BackupRequest
from strongroom.wiring.backup_status import backup_status_of, backup_warnings
from strongroom.wiring.backup_vendor import read_vendor_backups


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "strongroom.db"
    fresh_database(path)
    return path.read_bytes()


@pytest.fixture
async def bench(blank, tmp_path):
    async with backup_bench(blank, tmp_path) as made:
        yield made


async def test_a_backup_holds_every_root_and_every_key_that_may_leave(bench):
    answer = await bench.ask(CREATE)
    manifest = verified(bench, answer).manifest
    expected = {record.key_id.hex(): record for record in (*bench.keys, bench.signing)}
    assert {key.key_id for key in manifest.keys} == set(expected)
    assert [key.key_id for key in manifest.left_out] == [bench.stays.key_id.hex()]
    assert (answer.n_roots, answer.n_keys, answer.left_out) == (1, 4, ["a key (may-not-leave)"])
    assert manifest.source == answer.source == "alpha"
    hsm = bench.cluster.hsms["alpha"]
    (root,) = manifest.roots
    transport = bench.set.transport("alpha", TransportKind.AES)
    assert bench.opened(transport, root.wrapped) == hsm._roots[bytes.fromhex(root.root_id)]
    (aes,) = [key for key in manifest.keys if key.spec is KeySpec.AES_256]
    assert bench.opened(transport, aes.wrapped) == hsm.direct._held[bytes.fromhex(aes.key_id)].secret
    assert all(key.public_key == expected[key.key_id].public_key for key in manifest.keys)


async def test_the_snapshot_opens_under_the_root_and_is_the_database(bench, tmp_path):
    answer = await bench.ask(CREATE)
    bundle = verified(bench, answer)
    manifest, folder = bundle.manifest, tmp_path / "opened"
    folder.mkdir()
    with Path(answer.path).open("rb") as file:
        blob = snapshot_key_blob(file, manifest, begins_at=bundle.snapshot_at)
        root_id = RootId(blob.wrapping_key_id)
        binding = backup_snapshot_binding(bytes.fromhex(manifest.backup_id))
        aad = aad_for(Purpose.SNAPSHOT_KEY, WrapAlgorithm.HSM_AES_GCM, root_id, 1, binding)
        key = await FakeMember(bench.cluster.hsms["gamma"]).unwrap(
            root_id, blob.wrapped, aad, deadline=soon()
        )
        files = decrypt_snapshot(file, manifest, key, folder, begins_at=bundle.snapshot_at)
    assert files["strongroom.toml"].read_text() == "version = 1\n"
    found = inspect_snapshot(files["strongroom.db"])
    assert (found.revision, found.counts) == (manifest.snapshot.revision, manifest.snapshot.counts)
    assert found.counts["hsm_keys"] == 5


async def test_a_backup_is_recorded_told_and_private(bench):
    answer = await bench.ask(CREATE)
    path = Path(answer.path)
    assert path.parent == bench.home.backups
    assert bench.files() == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600
    record = bench.store.get_backup(answer.backup_id)
    assert (record.sha256, record.size, record.location) == (answer.sha256, path.stat().st_size, str(path))
    assert (record.state, record.verified_at) == (BackupState.PRESENT, None)
    assert bench.told("backup.Create") == [("intent", ""), ("outcome", "ok")]
    entries = [one for one in read_entries(bench.home.audit) if one.event == "backup.Create"]
    assert {one.detail["set_sha256"] for one in entries} == {set_hash(bench.set)}


async def test_that_shares_opened_a_backup_is_noted(bench):
    answer = await bench.ask(CREATE)
    await bench.ask(BackupRequest("verified", sha256=answer.sha256))
    assert bench.store.get_backup(answer.backup_id).verified_at is not None
    with pytest.raises(BackupNotPossibleError):
        await bench.ask(BackupRequest("verified", sha256="ab" * 32))


async def test_a_backup_goes_where_it_is_told_and_never_over_another_file(bench, tmp_path):
    target = tmp_path / "elsewhere.bundle"
    answer = await bench.ask(BackupRequest("create", output=str(target)))
    assert answer.path == str(target)
    before = target.read_bytes()
    for output in (str(target), "relative.bundle", str(tmp_path / "none" / "x")):
        with pytest.raises(BackupNotPossibleError):
            await bench.ask(BackupRequest("create", output=output))
    assert target.read_bytes() == before


@pytest.mark.parametrize("action", ["create", "verified", "record-vendor"])
async def test_an_api_process_is_refused(bench, action):
    with pytest.raises(ApprovalRequiredError):
        await bench.ask(BackupRequest(action), API_PID)


async def test_another_member_gives_what_the_first_one_cannot(bench):
    bench.cluster.hsms["alpha"].direct.destroy(bench.keys[0].key)
    answer = await bench.ask(CREATE)
    assert answer.source == "beta"


async def test_without_a_member_of_the_set_nothing_is_made(bench):
    bench.cluster.serving = ["gamma"]
    with pytest.raises(BackupNotPossibleError, match="backup transport keys"):
        await bench.ask(CREATE)
    assert bench.files() == []
    assert bench.told("backup.Create") == []


async def test_a_backup_that_fails_is_told_as_well(bench, monkeypatch):
    async def fails(_self, *_arguments, deadline):
        raise MemberFailedError("it hangs")

    monkeypatch.setattr(FakeKeys, "wrap_out", fails)
    with pytest.raises(NoMemberError):
        await bench.ask(CREATE)
    assert bench.told("backup.Create") == [("intent", ""), ("outcome", "NoMemberError")]


async def test_a_key_that_no_member_gives_is_an_error_and_not_left_out(bench):
    for hsm in bench.cluster.hsms.values():
        if hsm.direct.holds(bench.keys[0].key):
            hsm.direct.destroy(bench.keys[0].key)
    with pytest.raises(NoMemberError, match="no member could give all keys"):
        await bench.ask(CREATE)
    assert bench.files() == []


async def test_a_key_in_quarantine_is_left_out_and_named(bench):
    bench.quarantined = [bytes(bench.keys[1].key_id)]
    manifest = verified(bench, await bench.ask(CREATE)).manifest
    assert {(key.key_id, key.why) for key in manifest.left_out} == {
        (bench.keys[1].key_id.hex(), "in-quarantine"),
        (bench.stays.key_id.hex(), "may-not-leave"),
    }
    assert len(manifest.keys) == 3


async def test_a_key_that_is_destroyed_meanwhile_is_no_trouble(bench, monkeypatch):
    gone = bench.keys[0]
    real = FakeKeys.wrap_out

    async def wrap_out(self, cka_id, *arguments, deadline):
        if cka_id == gone.key_id:
            await bench.cluster.replication.destroy(gone.key_id, deadline=soon())
        return await real(self, cka_id, *arguments, deadline=deadline)

    monkeypatch.setattr(FakeKeys, "wrap_out", wrap_out)
    answer = await bench.ask(CREATE)
    assert answer.n_keys == 3
    assert "a key (destroyed-meanwhile)" in answer.left_out


async def test_another_root_under_the_name_of_ours_is_not_backed_up(bench):
    root_id = bench.cluster.root.root_id
    bench.cluster.hsms["alpha"]._roots[root_id] = bytes(32)
    with pytest.raises(HsmIntegrityError):
        await bench.ask(CREATE)
    assert bench.files() == []


async def test_a_backup_that_cannot_be_recorded_does_not_stay(bench, monkeypatch):
    async def fails(_work):
        raise StorageError("the disk is full")

    monkeypatch.setattr(bench.store, "write", fails)
    with pytest.raises(StorageError):
        await bench.ask(CREATE)
    assert bench.files() == []


async def test_a_member_that_does_not_sign_leaves_it_to_another_one(bench, monkeypatch):
    real = FakeMember.sign

    async def sign(self, *arguments, deadline):
        if self.name == "alpha":
            raise MemberFailedError("it hangs")
        return await real(self, *arguments, deadline=deadline)

    monkeypatch.setattr(FakeMember, "sign", sign)
    verified(bench, await bench.ask(CREATE))


@pytest.mark.parametrize("state", [BackupSetState.RETIRED, None])
async def test_a_set_that_is_not_in_use_takes_no_backups(bench, state):
    set_id = bytes.fromhex(bench.set.set_id)
    if state is not None:
        await bench.store.write(lambda tx: tx.retire_backup_set(set_id, at=CLOCK.now()))
    request = CREATE if state else BackupRequest("create", set_id="ab" * 16)
    with pytest.raises(BackupNotPossibleError, match="not in use"):
        await bench.ask(request)


async def test_what_a_killed_service_left_is_removed_at_the_next_start(bench):
    await bench.ask(CREATE)
    draft = bench.home.backups / ".draft-0123"
    draft.mkdir()
    (draft / "strongroom.db").write_bytes(b"x")
    (bench.home.backups / ".a.strongroom-backup.new").write_bytes(b"x")
    bench.keeping.start()
    assert len(bench.files()) == 1


async def test_a_vendors_backup_is_noted_with_its_date(bench):
    at = CLOCK.now() - 86_400
    await bench.ask(BackupRequest("record-vendor", kind="luna-backup-hsm", reference="G7 5512", at=at))
    (noted,) = read_vendor_backups(bench.home)
    assert (noted.kind, noted.reference, noted.at) == ("luna-backup-hsm", "G7 5512", at)
    assert noted.noted_by == f"local/{os.geteuid()}"
    for wrong in ({"at": CLOCK.now() + 86_400}, {"kind": ""}, {"reference": ""}):
        values = {"kind": "luna", "reference": "r", "at": at} | wrong
        with pytest.raises(BackupNotPossibleError):
            await bench.ask(BackupRequest("record-vendor", **values))


async def test_backups_that_grow_old_are_told_of(bench):
    now = CLOCK.now()
    limits = BackupsConfig(max_age_days=7, max_unverified_days=30, vendor_max_age_days=7)

    def warnings(days):
        at = now + days * 86_400
        status = backup_status_of(bench.store, bench.home, limits, now=at)
        return [warning.split(" (")[0].split(": ")[0] for warning in backup_warnings(status, now=at)]

    vendor = "the newest vendor's backup is too old"
    assert warnings(1) == [vendor]
    answer = await bench.ask(CREATE)
    await bench.ask(BackupRequest("verified", sha256=answer.sha256))
    await bench.ask(BackupRequest("record-vendor", kind="k", reference="r", at=now))
    assert warnings(6) == []
    assert warnings(9) == ["the newest backup is too old", vendor]
    assert len(warnings(40)) == 3


async def test_reminders_tell_once_a_day_and_in_metrics(bench):
    clock, events = FakeClock(CLOCK.now()), RecordingEvents()
    config = SimpleNamespace(backups=BackupsConfig(max_age_days=7, max_unverified_days=0))
    reminders = BackupReminders(bench.home, config, bench.store, events=events, clock=clock)
    await bench.ask(CREATE)
    reminders.look()
    assert 'strongroom_backup_due{of="bundle"} 0' in reminders.metrics()
    assert 'strongroom_backup_age_seconds{of="verification"}' not in reminders.metrics()
    clock.advance(8 * 86_400)
    for _ in range(3):
        reminders.look()
        clock.advance(3_600)
    assert 'strongroom_backup_due{of="bundle"} 1' in reminders.metrics()
    assert len(events.named("backup.due")) == 1
