"""Backups of a running service: made without custodians, opened with three of five shares, and with nothing less."""

import asyncio
import json
import shutil

import pytest

from backup_sets import Custodians, make_set
from cli_support import run
from running_service import RunningService, copy_home
from strongroom.backup import write_set
from strongroom.storage import ReadOnlyStore

pytestmark = pytest.mark.softhsm


@pytest.fixture
def home(initialised_home, tmp_path, monkeypatch):
    home = copy_home(initialised_home, tmp_path / "home")
    monkeypatch.setenv("STRONGROOM_HOME", str(home.root))
    monkeypatch.setattr("strongroom.cli._backup_shares.protect_process", list)
    return home


def shares_of(custodians, folder, *names):
    arguments = []
    for name in names:
        path = folder / f"share-of-{name}"
        path.write_text(custodians.sheets[name])
        path.chmod(0o600)
        arguments += ["--share", path]
    return arguments


def test_a_backup_of_a_running_service_opens_with_its_shares_alone(home, tmp_path):
    custodians = Custodians()
    backup_set = asyncio.run(make_set(home, custodians))
    with RunningService(home) as service:
        service.start()
        client = service.client()
        key_id = client.create_key()["KeyMetadata"]["KeyId"]
        client.encrypt(KeyId=key_id, Plaintext=b"of worth")
        bundle = tmp_path / "a.bundle"
        made = run("backup", "create", "--output", bundle, "--json")
        assert made.exit_code == 0, made.output
        created = json.loads(made.stdout)
        assert (created["n_roots"], created["left_out"]) == (1, [])
        assert created["n_keys"] in {
            1,
            2,
        }  # the one that signs backups, and once it is made, the one of the audit log

        closed = run("backup", "verify", bundle)
        assert closed.exit_code == 0, closed.output
        too_few = run("backup", "verify", bundle, *shares_of(custodians, tmp_path, "ann", "bob"))
        assert too_few.exit_code == 1
        assert "3 shares are needed, and there are 2" in too_few.stderr

        opened = run(
            "backup", "verify", bundle, "--json", *shares_of(custodians, tmp_path, "eve", "ann", "cat")
        )
        assert opened.exit_code == 0, opened.output
        document = json.loads(opened.stdout)
        assert document["opened"]["n_domains"] == 1
        assert document["opened"]["counts"]["keys"] == 1
        assert document["noted"] is True
        metrics = service.get("/metrics")
        assert 'strongroom_backup_due{of="bundle"} 0' in metrics
    with ReadOnlyStore.open(home.database) as store:
        record = store.get_backup(created["backup_id"])
        assert record.verified_at is not None
        assert record.set_id.hex() == backup_set.set_id
    # On a machine that has nothing but the bundle and the document of its set:
    set_file = tmp_path / "set.json"
    set_file.write_bytes(write_set(backup_set))
    shutil.rmtree(home.root)
    elsewhere = run("backup", "verify", bundle, "--set", set_file)
    assert elsewhere.exit_code == 0, elsewhere.output
