"""``strongroom backup restore``: a cluster is gone, its bundle and shares are there, and two blank tokens serve what it served."""

import asyncio
import json
import shutil

import pytest

from restored_homes import SCRIPT_OF_ONE, lose_a_cluster, without_officers
from running_service import require_softhsm
from scripted_homes import approve_all
from service.test_backup_sets import users_of
from strongroom.audit import read_entries
from strongroom.config import load_config
from strongroom.core import is_backup_transport
from strongroom.custody import (
    MAX_REQUEST_BYTES,
    ApprovalRequest,
    Chain,
    make_evidence,
    read_document,
    verify_evidence,
)
from strongroom.storage import ApprovalState, BackupSetState, BackupState, ReadOnlyStore

pytestmark = [pytest.mark.softhsm, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lost(made_by_script, tmp_path_factory):
    require_softhsm()
    return lose_a_cluster(made_by_script.ready, tmp_path_factory.mktemp("lost"))


def require_whole(restored):
    """The home is that of the bundle, on its new members, and nothing of the making is left."""
    home, lost = restored.home, restored.lost
    left = {"restore-journal.json", "init-unfinished", "restore-draft"}
    assert not left & {path.name for path in home.root.iterdir()}
    assert {path.name for path in home.pins.iterdir()} == {"gamma.sealed", "alpha.sealed", "sealing-key"}
    assert [member.name for member in load_config(home.root).cluster.members] == ["gamma", "alpha"]
    with ReadOnlyStore.open(home.database) as store:
        assert [member.name for member in store.list_members()] == ["gamma", "alpha"]
        assert {one.member for one in store.list_transport_keys()} == {"gamma", "alpha"}
        assert {copy.member for copy in store.list_held_hsm_key_copies()} == {"gamma", "alpha"}
        assert [one.state for one in store.list_backup_sets()] == [BackupSetState.RETIRED]
        (backup,) = store.list_backups(limit=10)
        assert (backup.state, backup.location) == (BackupState.PRESENT, str(lost.bundle))
        assert backup.verified_at is not None
        executed = store.list_approvals(state=ApprovalState.EXECUTED, limit=10)
        (approval,) = [one for one in executed if one.verb == "RestoreBackup"]
        request = read_document(approval.document, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
        genesis, *records = (one.document for one in store.get_custody_documents())
        signatures = [row.signature for row in store.list_approval_signatures(approval.id)]
        evidence = make_evidence(
            Chain.from_documents(genesis, records), request, signatures, executed=int(approval.executed_at)
        )
    assert [one.officer for one in verify_evidence(evidence).approvers] == ["anna", "ben"]
    first = next(iter(read_entries(home.audit)))
    assert (first.event, first.detail["approval"]) == ("backup.restored", approval.id)
    assert first.detail["set"] == backup.set_id.hex()


def test_two_blank_tokens_serve_what_a_lost_cluster_served(lost):
    restored = lost.restored()
    restored.bring_shares("ann", "cat", "eve")
    waiting = restored.run()
    assert (waiting.returncode, "approvals sign" in waiting.stderr) == (1, True), waiting.stderr
    restored.sign("anna", "ben")
    killed = restored.killed_at("before saving gamma=token-made")  # it has the PINs, and nobody noted it
    assert killed.returncode == -9, killed.stderr
    shutil.rmtree(restored.folder / "signatures")  # the journal has them
    (restored.folder / "signatures").mkdir()
    done = restored.run()
    assert (done.returncode, json.loads(done.stdout)["made"]) == (0, True), done.stderr
    require_whole(restored)
    said = [one.stdout + one.stderr for one in (waiting, killed, done)]
    assert restored.leaks("ann", "cat", "eve", said=said) == []
    with restored.ready.service() as service:
        service.start()
        assert restored.decrypts(service)
        assert service.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_restore_can_be_killed_at_every_point_one_after_the_other(lost, tmp_path):
    restored = lost.restored("killed")
    restored.bring_shares("bob", "dan")
    restored.run()
    restored.sign("anna", "ben")
    too_few = restored.run()
    assert (too_few.returncode, "3 shares are needed" in too_few.stderr) == (1, True), too_few.stderr
    assert not restored.home.tokens.exists()
    restored.bring_shares("eve")
    seen = tmp_path / "seen"
    said = []
    while (killed := restored.killed_at(f"@{seen}")).returncode == -9:
        said.append(killed.stdout + killed.stderr)
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout.splitlines()[-1] == "done"
    points = seen.read_text().splitlines()
    assert len(points) > 40
    for step in (
        "alpha=token-begun",
        "taking 1 roots and 1 Direct keys",
        "decrypting the database",
        "copying roots and keys to member alpha",
        "pinning the genesis in the token of member alpha",
        "keyed, pinned, configured",
    ):
        assert any(step in point for point in points), step
    require_whole(restored)
    assert restored.leaks("bob", "dan", "eve", said=said) == []
    again = restored.run()
    assert (again.returncode, json.loads(again.stdout)["made"]) == (0, False)
    assert asyncio.run(backup_objects(restored.home)) == []
    with restored.ready.service() as service:
        service.start()
        assert restored.decrypts(service)
        assert service.stop() == 0


async def backup_objects(home):
    async with users_of(home) as doors:
        return [
            entry.label
            for user in doors.users
            for entry in await user.list_objects()
            if is_backup_transport(entry.cka_id)
        ]


@pytest.mark.slow
def test_a_cluster_comes_back_on_one_token_and_serves_once_it_has_a_second(lost):
    restored = lost.restored("alone", SCRIPT_OF_ONE)
    ready = restored.ready
    restored.bring_shares("ann", "bob", "cat")
    restored.run()
    restored.sign("anna", "ben")
    done = restored.run()
    assert done.returncode == 0, done.stderr
    with ready.service() as service, pytest.raises(AssertionError, match="at least two members"):
        service.start()
    (restored.folder / "beta.toml").write_text('[member]\nname = "beta"\nprofile = "softhsm2"\n')
    pin = restored.folder / "gamma.pin"
    pin.write_text(ready.so_pins()["gamma"] + "\n")
    pin.chmod(0o600)
    add = (
        "members", "add", "beta", "--member-file", restored.folder / "beta.toml", "--so-pin-file", f"gamma={pin}"
    )  # fmt: skip
    waiting = ready.strongroom(*add)
    assert "AddMember needs an approval" in waiting.stderr, waiting.stderr
    asyncio.run(approve_all(restored.home, "anna", "ben"))
    added = ready.strongroom(*add)
    assert added.returncode == 0, added.stderr
    with ready.service() as service:
        service.start()
        assert restored.decrypts(service)
        assert service.stop() == 0


@pytest.mark.slow
def test_a_cluster_without_officers_comes_back(initialised_home, tmp_path):
    restored = without_officers(initialised_home, tmp_path)
    restored.bring_shares("ann", "bob", "cat")
    done = restored.run()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["deliveries"] == {}
    assert {path.name for path in restored.home.pins.iterdir()} == {
        "gamma.sealed", "gamma-so", "alpha.sealed", "alpha-so", "sealing-key",
    }  # fmt: skip
    with restored.ready.service() as service:
        service.start()
        assert restored.decrypts(service)
        assert service.stop() == 0
