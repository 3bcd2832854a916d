"""Main's part in retention: it archives by itself, prunes what officers approved, and goes on after it was killed."""

import os
import shutil

import pytest

from custody_service import OFFICERS_RULES, found_custody, sign
from fakes_custody import CO
from fresh_database import fresh_database
from strongroom.audit import (
    AuditCorruptError,
    AuditLog,
    Planner,
    Pruner,
    RetentionError,
    read_entries,
    read_pruned,
    verify_log,
    verify_tree,
)
from strongroom.config import AuditConfig, FileSinkConfig, Home
from strongroom.core import ApprovalRequiredError, ConfigError, SystemClock
from strongroom.custody import QuorumRule
from strongroom.runtime._audit_archiving import Archiving, EndedError
from strongroom.runtime._audit_retention import AuditRetention
from strongroom.runtime._audit_signing import SoftwareCosigner
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.service import ApprovalDesk, ApprovalPendingError, CustodyBook
from strongroom.service import CustodyKeeping as ServiceCustody
from strongroom.storage import Store
from strongroom.wiring.audit_door import RetentionRequest
from unit.audit.pruned_logs import BEFORE, NEW, gather_and_sign, make_old_log
from unit.audit.signed_logs import COSIGNER_KEY, KEY, make_signed_log, write_entries
from witness_server import ToldEvents

PRUNE = RetentionRequest("prune", BEFORE)
RULES = OFFICERS_RULES | {"PruneAuditLog": QuorumRule(m=2, role=CO, expires_s=3_600, standing=False)}


class Place:
    """A home with an old log, and what main has to keep it."""

    def __init__(self, path, made, config=None):
        self.home = Home(path)
        self.config = config or AuditConfig()
        fresh_database(self.home.database)
        shutil.copytree(made, self.home.audit)
        self.store = Store.open(self.home.database)
        self.audit = AuditLog.open(self.home.audit, "main", clock=SystemClock())
        self.told = ToldEvents()
        self.service = self.custody = None

    async def give_officers(self):
        clock = SystemClock()
        genesis = await found_custody(self.store, clock, rules=RULES)
        self.service = ServiceCustody.opened(self.store, genesis, self.audit, clock=clock)
        book = CustodyBook(self.store, genesis)
        desk = ApprovalDesk(self.store, book, self.audit, clock=clock)
        begun = self.home.root / "begun"
        self.custody = CustodyKeeping(
            self.store, book.chain(), begun=begun, desk=desk, events=self.told, clock=clock
        )

    def retention(self):
        return AuditRetention(
            self.home,
            self.config,
            self.audit,
            api_pids=lambda: [7],
            custody=self.custody,
            events=self.told,
            clock=SystemClock(),
        )

    async def resume(self):
        """Do what main does when it starts."""
        retention = self.retention()
        await retention._guarded(retention._resume)
        retention.close()

    def close(self):
        self.audit.close()
        self.store.close()

    def entries(self, event):
        return [entry for entry in read_entries(self.home.audit) if entry.event == event]

    def is_pruned(self):
        """Whether all that is old is gone; what is left must verify."""
        gather_and_sign(self.home.audit)
        verify_log(self.home.audit)
        verify_tree(self.home.audit, (KEY, COSIGNER_KEY))
        return not list(self.home.audit.glob("archive/*/*.xz"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An audit directory that no test changes: each takes a copy."""
    directory = tmp_path_factory.mktemp("made") / "audit"
    make_old_log(directory)
    return directory


@pytest.fixture
def place(tmp_path, made):
    place = Place(tmp_path, made)
    yield place
    place.close()


async def test_without_officers_the_homes_owner_prunes(place):
    retention = place.retention()
    answer = await retention.answer(PRUNE, 1)
    retention.close()
    assert [(one.writer, one.first, one.last) for one in answer.pruned] == [("api-0", 1, 7), ("main", 1, 35)]
    assert place.is_pruned()
    (told,) = place.entries("audit.pruned")
    assert told.detail["record"] == answer.record == read_pruned(place.home.audit).sha256
    assert [(one.kind, one.outcome) for one in place.entries("audit.Prune")] == [
        ("intent", ""),
        ("outcome", "ok"),
    ]


async def test_officers_approve_first_and_just_that_is_done_once(place):
    await place.give_officers()
    retention = place.retention()
    with pytest.raises(ApprovalPendingError) as waits:
        await retention.answer(PRUNE, 1)
    approval = waits.value.approval
    with pytest.raises(ApprovalPendingError) as still:
        await retention.answer(PRUNE, 1)
    assert still.value.approval == approval
    await sign(place.service, approval, "dora")
    with pytest.raises(ApprovalRequiredError):
        await retention.answer(PRUNE, 1)
    assert not place.is_pruned()
    await sign(place.service, approval, "finn")
    with pytest.raises(ApprovalRequiredError, match="other parameters"):
        await retention.answer(RetentionRequest("prune", "2023-11-17", approval), 1)
    answer = await retention.answer(PRUNE, 1)
    assert answer.approval == approval
    assert place.is_pruned()
    assert read_pruned(place.home.audit).last.approval == approval
    intent = place.entries("audit.Prune")[0]
    assert intent.detail["approval"] == approval
    assert len(intent.detail["evidence"]) == 64
    assert all(approval in line for one in verify_log(place.home.audit).writers for line in one.pruned)
    with pytest.raises(RetentionError, match="nothing"):
        await retention.answer(PRUNE, 1)
    retention.close()


@pytest.mark.parametrize("killed", ["before the entry", "after the entry", "between two files"])
async def test_a_pruning_that_was_killed_is_gone_on_with(place, killed, monkeypatch):
    await place.give_officers()
    retention = place.retention()
    with pytest.raises(ApprovalPendingError) as waits:
        await retention.answer(PRUNE, 1)
    await sign(place.service, waits.value.approval, "dora", "finn")
    if killed == "before the entry":
        monkeypatch.setattr(retention, "_finish", _die)
    elif killed == "after the entry":
        monkeypatch.setattr(Pruner, "finish", _die_at_once)
    else:
        acts = iter([lambda: 0, _die_at_once])  # before there is anything to remove it finds nothing
        monkeypatch.setattr(Pruner, "remove_rest", lambda _: next(acts)())
    with pytest.raises(OSError, match="killed"):
        await retention.answer(PRUNE, 1)
    retention.close()
    monkeypatch.undo()
    if killed == "between two files":
        (place.home.audit / "archive" / "main" / "00000001.wal.xz").unlink()
    assert not place.is_pruned()
    await place.resume()
    assert place.is_pruned()
    assert place.told.named("audit.prune_given_up") == []


async def test_a_pruning_that_failed_on_its_way_is_gone_on_with_by_the_same_process(place, monkeypatch):
    retention = place.retention()
    monkeypatch.setattr(Pruner, "finish", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        await retention.answer(PRUNE, 1)
    monkeypatch.undo()
    with pytest.raises(RetentionError, match="nothing"):  # what was asked for is done by then
        await retention.answer(PRUNE, 1)
    retention.close()
    assert place.is_pruned()


async def _die(_record):
    raise OSError("killed")


def _die_at_once(*_):
    raise OSError("killed")


async def test_what_officers_did_not_sign_is_not_gone_on_with(place):
    await place.give_officers()
    plan = Planner(place.home.audit).plan(BEFORE, needed=None)
    for approval in ("", "ab" * 32):
        Pruner(place.home.audit).begin(plan, approval=approval, at=NEW)
        await place.resume()
        assert read_pruned(place.home.audit).begun is None
        assert not place.is_pruned()
    retention = place.retention()
    with pytest.raises(ApprovalPendingError) as waits:
        await retention.answer(PRUNE, 1)
    await sign(place.service, waits.value.approval, "dora")  # one of two
    Pruner(place.home.audit).begin(plan, approval=waits.value.approval, at=int(SystemClock.now()))
    await place.resume()
    assert not place.is_pruned()
    assert len(place.told.named("audit.prune_given_up")) == 3


async def test_a_record_that_no_entry_tells_of_removes_nothing(place):
    record = Pruner(place.home.audit).begin(
        Planner(place.home.audit).plan(BEFORE, needed=None), approval="", at=NEW
    )
    path = place.home.audit / "pruned" / "00000001.json.begun"
    path.rename(path.with_suffix(""))
    await place.resume()
    assert list(place.home.audit.glob("archive/*/*.xz"))
    (failed,) = place.told.named("audit.archive_failed")
    assert "no entry tells" in failed["cause"]
    assert record.number == 1


async def test_policy_and_sinks_are_heeded_whoever_asks(tmp_path, made):
    place = Place(tmp_path, made, AuditConfig(sinks=[FileSinkConfig(name="lines", path="lines")]))
    retention = place.retention()
    try:
        with pytest.raises(RetentionError, match="nothing"):  # the sink has read nothing
            await retention.answer(PRUNE, 1)
        with pytest.raises(RetentionError, match="366 days"):
            await retention.answer(RetentionRequest("prune", "2024-12-01"), 1)
        with pytest.raises(ApprovalRequiredError, match="API processes"):
            await retention.answer(PRUNE, 7)
    finally:
        retention.close()
        place.close()


async def test_main_archives_and_says_what_could_be_pruned(tmp_path, made):
    place = Place(tmp_path, made)
    write_entries(place.home.audit, "api-1", 2)
    write_entries(place.home.audit, "api-1", 1)
    gather_and_sign(place.home.audit)
    retention = place.retention()
    await retention._guarded(retention._look)
    await retention._guarded(retention._look)
    retention.close()
    place.close()
    assert place.told.named("audit.archived") == [{"writer": "api-1", "first": 1, "last": 1}] + [
        {"writer": "main", "first": 4, "last": 4}
    ] * bool(place.told.named("audit.archived")[1:])
    (due,) = place.told.named("audit.prune_due")
    assert due["oldest"] == "2023-11-14"


def test_the_archive_can_be_on_another_volume(tmp_path):
    home = Home(tmp_path / "home")
    make_signed_log(home.audit, ((1, 1), (1, 1)))
    work = Archiving(home, AuditConfig(archive=str(tmp_path / "volume")), clock=SystemClock())
    work.link()
    work.link()
    assert {writer for writer, _ in work.archive().moved} == {"api-0", "main"}
    assert (tmp_path / "volume" / "main" / "00000001.wal.xz").exists()
    verify_log(home.audit)
    for elsewhere in ("", str(tmp_path / "other")):
        with pytest.raises(Exception, match=r"leads to|not in"):
            Archiving(home, AuditConfig(archive=elsewhere), clock=SystemClock()).link()
    shutil.copytree(tmp_path / "volume", tmp_path / "other", dirs_exist_ok=True)
    Archiving(home, AuditConfig(archive=str(tmp_path / "other")), clock=SystemClock()).link()
    assert (home.audit / "archive").readlink() == tmp_path / "other"
    verify_log(home.audit)


def test_an_archive_in_the_home_is_not_left_behind(tmp_path):
    home = Home(tmp_path / "home")
    make_signed_log(home.audit, ((1, 1), (1, 1)))
    Archiving(home, AuditConfig(), clock=SystemClock()).archive()
    with pytest.raises(Exception, match="not in"):
        Archiving(home, AuditConfig(archive=str(tmp_path / "volume")), clock=SystemClock()).link()
    assert (home.audit / "archive").is_dir()


def test_a_damaged_record_is_named(place):
    Pruner(place.home.audit).begin(Planner(place.home.audit).plan(BEFORE, needed=None), approval="", at=NEW)
    path = place.home.audit / "pruned" / "00000001.json.begun"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(AuditCorruptError, match="pruned/00000001"):
        read_pruned(place.home.audit)
    assert os.path.exists(path)


def test_an_archive_whose_volume_is_away_is_neither_made_anew_nor_left_behind(tmp_path):
    home, volume = Home(tmp_path / "home"), tmp_path / "mounts" / "volume"
    make_signed_log(home.audit, ((1, 1), (1, 1)))
    work = Archiving(home, AuditConfig(archive=str(volume)), clock=SystemClock())
    work.link()
    work.archive()
    shutil.move(volume, tmp_path / "away")
    for wanted in (volume, tmp_path / "other"):
        with pytest.raises(ConfigError, match="is not there"):
            Archiving(home, AuditConfig(archive=str(wanted)), clock=SystemClock()).link()
    assert not volume.exists()
    shutil.move(tmp_path / "away", volume)
    work.link()
    verify_log(home.audit)


async def test_a_service_that_ends_does_not_give_a_begun_pruning_up(place):
    plan = Planner(place.home.audit).plan(BEFORE, needed=None)
    Pruner(place.home.audit).begin(plan, approval="", at=NEW)
    retention = place.retention()
    retention._work.pace._bytes = 1 << 30
    retention._work.pace.end()
    with pytest.raises(EndedError):
        await retention._resume()
    retention.close()
    assert read_pruned(place.home.audit).begun is not None


async def test_what_nobody_expected_is_told_and_ends_nothing(place):
    retention = place.retention()

    async def fail():
        raise ValueError("secret")

    await retention._guarded(fail)
    retention.close()
    assert place.told.named("audit.archive_failed") == [{"cause": "a bug: ValueError"}]


def test_a_cosigners_file_that_holds_no_key_is_named(tmp_path):
    path = tmp_path / "audit-cosigner.key"
    SoftwareCosigner(path, clock=SystemClock())
    SoftwareCosigner(path, clock=SystemClock())
    path.chmod(0o600)
    for data in (b"", bytes(31), bytes(33)):
        path.write_bytes(data)
        with pytest.raises(ConfigError, match="32 bytes"):
            SoftwareCosigner(path, clock=SystemClock())
