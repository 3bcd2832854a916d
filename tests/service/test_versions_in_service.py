"""Cryptoperiods, dates of activation, and the end of versions, before a whole service: unmodified boto3 and the commands."""

import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from contextlib import closing
from pathlib import Path

import pytest

from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries
from strongroom.core import read_inventory

LIMIT_S = 120
ROWS = 40


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    home = copy_home(initialised_home, tmp_path_factory.mktemp("versions") / "home")
    with RunningService(home) as running:
        running.start()
        yield running


@pytest.fixture
def kms(service):
    client = service.client()
    yield client
    client.close()


def run(service, *arguments):
    environment = {
        "PATH": os.environ["PATH"], "STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port),
    }  # fmt: skip
    command = [sys.executable, "-m", "strongroom", *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, timeout=LIMIT_S, check=False, text=True
    )


def done(service, *arguments):
    result = run(service, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def entries_of(service, event):
    return [entry for entry in read_entries(service.home.audit) if entry.event == event]


def test_no_version_encrypts_more_often_than_it_may_and_all_of_it_decrypts(service, kms):
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    assert done(service, "keys", "cryptoperiod", key_id, "--uses", "5", "--days", "30")["max_uses"] == 5
    made = [kms.encrypt(KeyId=key_id, Plaintext=b"%d" % number)["CiphertextBlob"] for number in range(17)]
    opened = [kms.decrypt(CiphertextBlob=one) for one in made]
    assert [one["Plaintext"] for one in opened] == [b"%d" % number for number in range(17)]
    by_version = [one["KeyMaterialId"] for one in opened]
    assert max(by_version.count(version) for version in by_version) <= 5
    rotated = [entry for entry in entries_of(service, "keyring.RotateKey") if entry.key_id == key_id]
    assert len([entry for entry in rotated if entry.outcome == "ok"]) == len(set(by_version)) - 1


def test_a_pair_that_is_used_up_verifies_and_signs_no_more(service, kms):
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    key_id = made["KeyId"]
    done(service, "keys", "cryptoperiod", key_id, "--uses", "3")
    asked = {"KeyId": key_id, "SigningAlgorithm": "ECDSA_SHA_256", "Message": b"message"}
    signatures = [kms.sign(**asked)["Signature"] for _ in range(3)]
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="end of its cryptoperiod"):
        kms.sign(**asked)
    for signature in signatures:
        assert kms.verify(**asked, Signature=signature)["SignatureValid"]


def test_a_key_waits_for_its_date_and_is_active_then_without_anybody(service, kms):
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    at = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    done(service, "keys", "activate", key_id, "--at", at.isoformat())
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="is not active before"):
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
    for seconds in (2, 10, 40):  # on a busy machine the date is past before the command has started
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        activated = run(service, "keys", "activate", key_id, "--at", soon.isoformat())
        if activated.returncode == 0:
            break
    assert activated.returncode == 0, activated.stderr
    deadline = time.monotonic() + LIMIT_S
    while kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] != "Enabled":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert dt.datetime.now(dt.UTC) >= soon
    assert kms.encrypt(KeyId=key_id, Plaintext=b"x")["KeyId"].endswith(key_id)


def test_a_store_is_rewrapped_with_evidence_and_the_former_version_ends(service, kms, tmp_path):
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = [kms.encrypt(KeyId=key_id, Plaintext=b"%d" % n)["CiphertextBlob"] for n in range(ROWS)]
    lines, rows = tmp_path / "rows.jsonl", tmp_path / "rows.db"
    lines.write_text("".join(json.dumps({"c": b64encode(one).decode()}) + "\n" for one in sealed))
    with closing(sqlite3.connect(rows)) as database, database:
        database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, c BLOB)")
        database.executemany("INSERT INTO people VALUES (?, ?)", enumerate(sealed))
    kms.rotate_key_on_demand(KeyId=key_id)
    refused = run(service, "keys", "retire-version", key_id, "1", "--yes")
    assert refused.returncode == 1
    assert "was in use within 30 days" in refused.stderr
    result = run(
        service, "rewrap", "lines", lines, "-k", key_id, "--field", "c", "-o", tmp_path / "new.jsonl",
        "--inventory", tmp_path / "lines.json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    result = run(
        service, "rewrap", "table", "--database", f"sqlite:///{rows}", "--table", "people", "--key-column", "id",
        "--ciphertext-column", "c", "-k", key_id, "--inventory", tmp_path / "table.json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for kind in ("lines", "table"):
        inventory = read_inventory((tmp_path / f"{kind}.json").read_bytes())
        assert (inventory.kind, inventory.complete, inventory.scanned, inventory.unreadable) == (
            kind,
            True,
            ROWS,
            0,
        )
        assert [(one.version, one.found, one.rewrapped, one.left) for one in inventory.versions] == [
            (1, ROWS, ROWS, 0), (2, 0, 0, ROWS),
        ]  # fmt: skip
        kept = [entry.detail["sha256"] for entry in entries_of(service, "strongroom.RecordInventory")]
        assert kept.count(inventory.digest) == 2  # intent and outcome
    again = done(service, "keys", "inventory", tmp_path / "table.json")
    assert again["sha256"] == inventory.digest
    # It counts two minutes after it was handed in; without a window nobody has to wait here.
    service.stop()
    configure(service.home, section="lifecycle", recent_use_days=0)
    service.start()
    kms = service.client()
    assert done(service, "keys", "retire-version", key_id, "1", "--yes")["version"] == 1
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match="was retired"):
        kms.decrypt(CiphertextBlob=sealed[0])
    new = [b64decode(json.loads(line)["c"]) for line in (tmp_path / "new.jsonl").read_text().splitlines()]
    assert [kms.decrypt(CiphertextBlob=one)["Plaintext"] for one in new] == [b"%d" % n for n in range(ROWS)]
    first, second = done(service, "keys", "versions", key_id)["versions"]
    assert (first["is_current"], second["is_current"], first["retired_at"] is None) == (False, True, False)
    first, second = done(service, "keys", "outstanding", key_id)["versions"]
    # What was in memory when the service stopped was written then.
    assert (first["outstanding"]["n_known"], first["outstanding"]["n_left"]) == (ROWS, 0)
    assert second["outstanding"]["n_left"] == 2 * ROWS
    kms.close()
