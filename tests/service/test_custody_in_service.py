"""A whole service whose members pinned a genesis: keys inside the HSMs and roots are made when officers approved it, and not before."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid

import msgspec
import pytest
from botocore.exceptions import ClientError

from backup_sets import Custodians, make_set
from custody_worker import Asking, CustodyHome, chain, genesis
from fakes_custody import approve
from fixtures_sealed_pins import pins_of
from running_service import RunningService
from strongroom.audit import CheckpointFiles, KeyKind, read_entries
from strongroom.audit._tree_files import TreeFiles
from strongroom.backup import read_set, verify_bundle
from strongroom.config import CustodyConfig, load_config, render_config
from strongroom.core import ApprovalRequiredError, SystemClock
from strongroom.custody import ApprovalRequest, document_hash, read_document, write_document
from strongroom.hsm.wire import PinCustody
from strongroom.service._approval_reading import act_digest
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    CustodyDocumentRecord,
    ReadOnlyStore,
    Store,
)
from strongroom.wiring.home import locked_home
from strongroom.wiring.pin_changes import read_change
from strongroom.wiring.pin_upkeep import seal_pins
from unit.audit.pruned_logs import BEFORE, make_old_log

CLUSTER = "cluster-strongroomhsms"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


async def pin_all(custody):
    custody.put_genesis()
    for member in load_config(custody.home.root).cluster.members:
        custody.member = member
        async with custody.worker("administer") as door:
            await door.call(PinCustody(genesis()))


def write(home, work):
    async def written():
        with contextlib.closing(Store.open(home.database)) as store:
            await store.write(work)

    asyncio.run(written())


def sign(home, approval, *names):
    """Officers approve a request that waits: what the approval desk does with a signature that it was sent."""
    with ReadOnlyStore.open(home.database) as store:
        (record,) = store.find_approvals(approval, limit=2)
    request = read_document(record.document, ApprovalRequest)
    rows = [
        ApprovalSignatureRecord(record.id, name, signature, request.created)
        for name, signature in zip(names, approve(request, *names), strict=True)
    ]
    write(home, lambda tx: [tx.insert_approval_signature(row) for row in rows])


def asked(service, verb, parameters):
    """Put a request where the approval desk keeps them; returns its id."""
    request = Asking(chain().state)(verb, parameters, requester=f"user/{uuid.uuid4()}")
    data = write_document(request)
    name = document_hash(data)
    act = act_digest(verb, parameters, request.requester)
    record = ApprovalRecord(name, verb, request.requester, data, act, request.created, request.expires)
    write(service.home, lambda tx: tx.insert_approval(record))
    return name


@pytest.fixture
def service(initialised_home, tmp_path):
    with running_with_officers(initialised_home, tmp_path) as running:
        yield running


@pytest.fixture
def aged_service(initialised_home, tmp_path):
    """The same, with an audit log of years ago."""
    with running_with_officers(initialised_home, tmp_path, age=make_old_log) as running:
        yield running


@contextlib.contextmanager
def running_with_officers(initialised_home, tmp_path, age=lambda _audit: None):
    custody = CustodyHome(initialised_home, tmp_path)
    try:
        age(custody.home.audit)
        asyncio.run(pin_all(custody))
        home = custody.home
        with locked_home(home):
            seal_pins(home, member=None, pin=None, clock=SystemClock())
        write(home, lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, genesis())))
        config = load_config(home.root)
        named = msgspec.structs.replace(config, custody=CustodyConfig(document_hash(genesis())))
        home.config_file.write_text(render_config(named))
        with RunningService(home) as running:
            running.start()
            yield running
    finally:
        custody.close()


def wait_until(condition, limit_s=120.0):
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def command(service, *arguments):
    environment = {**os.environ, "STRONGROOM_HOME": str(service.home.root)}
    argv = [sys.executable, "-m", "strongroom", *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_key_inside_the_hsms_and_a_new_root_wait_for_officers(service):
    kms = service.client()
    store = kms.create_custom_key_store(CustomKeyStoreName="hsm", CloudHsmClusterId=CLUSTER)[
        "CustomKeyStoreId"
    ]
    kms.connect_custom_key_store(CustomKeyStoreId=store)

    def create():
        return kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]["KeyId"]

    with pytest.raises(ClientError) as caught:
        create()
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    (approval,) = set(re.findall("[0-9a-f]{12,64}", error["Message"]))
    sign(service.home, approval, "dora", "emil")
    key_id = create()
    sealed = kms.encrypt(KeyId=key_id, Plaintext=b"inside")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"inside"
    with pytest.raises(ClientError):
        create()

    assert "needs an approval" in command(service, "root", "rotate").stderr
    with ReadOnlyStore.open(service.home.database) as reader:
        root = reader.get_current_root().root_id.hex()
    name = asked(service, "RotateRoot", {"root_id": root})
    assert "not enough officers" in command(service, "root", "rotate", "--approval", name[:12]).stderr
    sign(service.home, name, "anna", "ben")
    done = command(service, "root", "rotate", "--approval", name[:12], "--wait")
    assert done.returncode == 0, done.stderr
    with ReadOnlyStore.open(service.home.database) as reader:
        current = reader.get_current_root().root_id.hex()
    assert current != root
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"inside"

    name = asked(service, "RetireRoot", {"root_id": current})
    sign(service.home, name, "anna", "ben")
    assert "other parameters" in command(service, "root", "retire", "--yes", "--approval", name).stderr
    name = asked(service, "RetireRoot", {"root_id": root})
    sign(service.home, name, "anna", "ben")
    done = command(service, "root", "retire", "--yes", "--approval", name)
    assert done.returncode == 0, done.stderr
    assert "still to be destroyed" not in done.stdout
    again = command(service, "members", "reconcile")
    assert [line for line in again.stdout.splitlines() if "holds what it should" not in line] == []


@pytest.mark.timeout(300)
def test_checkpoints_of_the_audit_log_begin_when_officers_approved_their_key(service):
    files, kms = CheckpointFiles(service.home.audit), service.client()
    for _ in range(5):
        kms.describe_key(KeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    wait_until(lambda: TreeFiles(service.home.audit).state().size >= 10)
    wait_until(lambda: service.events("audit.tree_failed"))
    assert "MakeAuditKey" in str(service.events("audit.tree_failed")[0])
    assert (files.last(), files.keys()) == (None, ())
    assert command(service, "audit", "verify").returncode == 0

    name = asked(service, "MakeAuditKey", {"spec": "ECC_NIST_P256"})
    sign(service.home, name, "dora", "emil")
    wait_until(lambda: files.last() is not None)  # main looks twice a minute
    covered = files.last().checkpoint.size
    assert covered >= 10, "what was gathered before is under the first checkpoint"
    kms.create_key()
    wait_until(lambda: files.last().checkpoint.size > covered)
    keys = files.keys()
    assert {key.kind for key in keys} == {KeyKind.ECDSA_P256, KeyKind.MLDSA44_COSIGNER}
    named = [word for key in keys for word in ("--key", key.text())]
    verified = command(service, "audit", "verify", *named)
    assert verified.returncode == 0, verified.stderr
    executed = [entry for entry in read_entries(service.home.audit) if entry.event == "approval.executed"]
    assert [(one.detail["verb"], one.detail["approval"]) for one in executed] == [("MakeAuditKey", name)]


def test_a_pin_changes_once_officers_approved_it_and_a_member_that_was_killed_meanwhile_gets_it_late(service):
    before = pins_of(service.home)
    assert "needs an approval" in command(service, "pin", "rotate", "--member", "alpha").stderr
    name = asked(service, "RotatePin", {"member": "alpha", "role": "user"})
    assert (
        "not enough officers"
        in command(service, "pin", "rotate", "--member", "alpha", "--approval", name).stderr
    )
    assert pins_of(service.home) == before
    sign(service.home, name, "anna", "ben")
    record = service.home.pin_changes / "alpha"
    rotating = threading.Thread(
        target=command, args=(service, "pin", "rotate", "--member", "alpha", "--approval", name)
    )
    rotating.start()
    wait_until(lambda: read_change(record) is not None)
    service.kill_everything()
    rotating.join(120)
    service.start()
    wait_until(lambda: read_change(record).has_ended)
    assert read_change(record).phase == "done", service.log()
    after = pins_of(service.home)
    assert (after["alpha"] != before["alpha"], after["beta"]) == (True, before["beta"])
    refused = command(service, "pin", "rotate", "--member", "alpha", "--approval", name)
    assert "already" in refused.stderr
    assert pins_of(service.home) == after


def test_backups_wait_for_officers_or_are_made_under_a_standing_approval(service, tmp_path):
    home, custodians = service.home, Custodians()
    with pytest.raises(ApprovalRequiredError) as waits:
        asyncio.run(make_set(home, custodians))
    (approval,) = set(re.findall("[0-9a-f]{12,64}", str(waits.value)))
    sign(home, approval, "anna", "ben")
    set_id = asyncio.run(make_set(home, custodians)).set_id

    def create(name, *more):
        return command(service, "backup", "create", "--output", str(tmp_path / name), *more)

    assert "needs an approval" in create("none").stderr
    other = asked(service, "CreateBackup", {"set_id": "ab" * 16})
    sign(home, other, "dora", "emil")
    assert "other parameters" in create("none", "--approval", other).stderr
    name = asked(service, "CreateBackup", {"set_id": set_id})
    sign(home, name, "dora")
    assert "not enough officers" in create("none", "--approval", name[:12]).stderr
    sign(home, name, "emil")
    made = create("first", "--approval", name[:12])
    assert made.returncode == 0, made.stderr
    assert "already" in create("none", "--approval", name).stderr
    assert not (tmp_path / "none").exists()

    now = int(time.time())
    terms = {
        "verb": "CreateBackup", "fixed": {"set_id": set_id}, "free": [], "uses": 2, "rate_uses": 2, "rate_s": 1,
        "begins": now - 60, "ends": now + 3_600,
    }  # fmt: skip
    standing = asked(service, "AllowStanding", terms)
    sign(home, standing, "dora", "emil")
    write(home, lambda tx: tx.end_approval(standing, ApprovalState.STANDING, by=""))
    for name in ("second", "third"):
        made = create(name)
        assert made.returncode == 0, made.stderr
    assert "needs an approval" in create("none").stderr
    with (tmp_path / "third").open("rb") as file, ReadOnlyStore.open(home.database) as store:
        record = store.get_backup_set(bytes.fromhex(set_id))
        manifest = verify_bundle(file, read_set(record.document)).manifest
    assert (manifest.approval, manifest.custody) == (standing, (genesis(),))
    assert manifest.genesis_sha256 == document_hash(genesis())


def test_old_entries_of_the_audit_log_go_when_officers_approved_it_and_the_rest_verifies(aged_service):
    service, audit = aged_service, aged_service.home.audit
    prune = ("audit", "prune", "--before", BEFORE, "--yes")
    refused = command(service, *prune)
    assert refused.returncode == 1
    (approval,) = set(re.findall("[0-9a-f]{12,64}", refused.stderr))
    sign(service.home, approval, "anna")
    assert command(service, *prune).returncode == 1
    assert list(audit.glob("archive/main/*.xz"))
    sign(service.home, approval, "ben")
    done = command(service, *prune, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["approval"].startswith(approval)
    assert not list(audit.glob("archive/*/*.xz"))
    assert command(service, *prune).returncode == 1  # nothing is left of that time
    said = command(service, "audit", "verify")
    assert said.returncode == 0, said.stderr
    assert f"under approval {answer['approval']}" in said.stdout
