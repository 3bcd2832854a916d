"""``strongroom backup``: what it shows, what it asks of main, and how a bundle is verified without its shares."""

import asyncio
import hashlib
import json
import os
import threading

import msgspec
import pytest

from backup_documents import SET_ID, SoftwareSigner, a_bundle
from cli_support import run
from strongroom.backup import set_hash, write_set
from strongroom.core import Secret, SystemClock, random_bytes
from strongroom.hsm.wire import FrameServer
from strongroom.shares import SharePlan, split
from strongroom.storage import BackupRecord, BackupSetRecord, BackupSetState, BackupState, Store
from strongroom.wiring.backup_door import BackupAnswer, BackupRequest
from strongroom.wiring.backup_vendor import VendorBackup, note_vendor_backup
from strongroom.wiring.home import restore_runtime_folder

SIGNER = SoftwareSigner()
MADE = a_bundle(SIGNER)
NOW = SystemClock().now()
DAY = 86_400.0


def write(home, work):
    with Store.open(home.database) as store:
        asyncio.run(store.write(work))


@pytest.fixture
def with_set(home):
    set_id = bytes.fromhex(SET_ID)
    making = BackupSetRecord(set_id, b"", BackupSetState.MAKING, NOW)
    write(home, lambda tx: tx.insert_backup_set(making))
    write(
        home,
        lambda tx: tx.activate_backup_set(set_id, write_set(MADE.backup_set), at=NOW, holders=()),
    )
    return home


def with_backup(home, *, days_old):
    record = BackupRecord(
        "0b" * 16, bytes.fromhex(SET_ID), NOW - days_old * DAY, "ab" * 32, "/b", BackupState.PRESENT, NOW, 7
    )
    write(home, lambda tx: tx.insert_backup(record))


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "a.strongroom-backup"
    path.write_bytes(MADE.data)
    return path


class FakeMain:
    """Answers at the control socket of a home, on a thread of its own."""

    def __init__(self, home, answer):
        self.asked, self._answer = [], answer
        self._path = restore_runtime_folder(home) / "control"
        self._ready, self._loop = threading.Event(), None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        server = await FrameServer.listen(self._path, lambda: self)
        self._ready.set()
        await self._done.wait()
        server.close()

    def made(self, connection):
        pass

    def received(self, connection, payload):
        self.asked.append(msgspec.msgpack.decode(payload, type=BackupRequest))
        connection.send(self._answer)

    def lost(self, connection):
        pass


def test_a_backup_is_asked_of_main_and_what_is_not_in_it_is_said(home, tmp_path):
    answer = BackupAnswer("0b" * 16, SET_ID, "/b", "ab" * 32, 7_000, "alpha", 1, 2, ["stays\x1b"])
    with FakeMain(home, answer) as main:
        result = run("backup", "create", "--set", SET_ID, "--output", tmp_path / "b")
    assert result.exit_code == 0, result.output
    (asked,) = main.asked
    assert asked == BackupRequest("create", SET_ID, "", str(tmp_path / "b"))
    assert "1 root and 2 Direct keys" in result.output
    assert "NOT in it: 1 Direct key: stays\\x1b" in result.output


def test_without_a_service_nothing_is_made(home):
    assert run("backup", "create").exit_code == 3
    assert run("backup", "record-vendor", "--kind", "luna", "--reference", "G7").exit_code == 3


def test_a_vendors_backup_is_noted_with_its_date(home):
    with FakeMain(home, BackupAnswer()) as main:
        result = run("backup", "record-vendor", "--kind", "luna", "--reference", "G7", "--at", "2026-11-01")
    assert result.exit_code == 0, result.output
    assert main.asked[0].at == 1_793_491_200.0


def test_the_list_shows_sets_backups_and_vendors(with_set):
    with_backup(with_set, days_old=1)
    note_vendor_backup(with_set, VendorBackup("luna", "G7", NOW, NOW, "local/0"))
    result = run("backup", "list")
    assert result.exit_code == 0, result.output
    for text in (SET_ID, "active", "3 of 5", "0b0b0b0b", "present", "luna"):
        assert text in result.output
    document = json.loads(run("backup", "list", "--json").stdout)
    assert document["sets"][0]["set_sha256"] == set_hash(MADE.backup_set)
    assert document["backups"][0]["backup_id"] == "0b" * 16
    assert document["sets"][0]["threshold"] == 3


def test_a_backup_that_is_too_old_is_told_by_list_and_doctor(with_set):
    with_backup(with_set, days_old=9)
    result = run("backup", "list")
    assert result.exit_code == 1
    assert "it is 9 days old" in result.stderr
    found = [
        check for check in json.loads(run("doctor", "--json").stdout)["checks"] if check["name"] == "backups"
    ]
    assert [check["level"] for check in found] == ["warn"]
    assert "9 days old" in found[0]["message"]


def test_a_home_without_a_set_is_expected_to_have_no_backups(home):
    assert run("backup", "list").exit_code == 0
    checks = json.loads(run("doctor", "--json").stdout)["checks"]
    assert [check["level"] for check in checks if check["name"] == "backups"] == ["ok"]


def test_a_bundle_is_verified_without_shares_by_the_set_in_the_home(with_set, bundle):
    result = run("backup", "verify", bundle)
    assert result.exit_code == 0, result.output
    assert "Not opened" in result.output
    assert "NOT in it 1 Direct key: stays (may-not-leave)" in result.output
    document = json.loads(run("backup", "verify", bundle, "--json").stdout)
    assert document["opened"] is None
    assert document["roots"][0]["check_value"] == "a1b2c3"


def test_a_bundle_is_verified_without_a_home_by_the_document_of_its_set(tmp_path, bundle):
    set_file = tmp_path / "set.json"
    set_file.write_bytes(write_set(MADE.backup_set))
    assert run("backup", "verify", bundle, "--set", set_file).exit_code == 0


def test_what_a_verification_trusted_is_said_with_the_hashes_that_the_transcript_has(
    tmp_path, bundle, with_set
):
    set_file = tmp_path / "set.json"
    set_file.write_bytes(write_set(MADE.backup_set))
    of_set, of_key = hashlib.sha256(set_file.read_bytes()), hashlib.sha256(SIGNER.spki)
    for options, source in ((("--set", set_file), str(set_file)), ((), "the database of this home")):
        shown = " ".join(run("backup", "verify", bundle, *options).stdout.split())
        assert f"trusted the document of the set, from {source}" in shown
        assert of_set.hexdigest() in shown
        assert of_key.hexdigest() in shown
        assert "compare both with the transcript of the ceremony" in shown
        document = json.loads(run("backup", "verify", bundle, "--json", *options).stdout)
        assert document["trusted"] == {
            "set_document": source,
            "set_sha256": of_set.hexdigest(),
            "signing_key_sha256": of_key.hexdigest(),
            "genesis_sha256": "",
        }


@pytest.mark.parametrize(
    ("place", "part"),
    [(MADE.manifest_at + 20, "manifest"), (MADE.signature_at + 40, "signature"), (-1, "snapshot")],
)
def test_an_altered_bundle_is_refused_by_name(with_set, bundle, place, part):
    data = bytearray(MADE.data)
    data[place] ^= 1
    bundle.write_bytes(data)
    result = run("backup", "verify", bundle)
    assert result.exit_code == 1
    assert f"the {part} of the bundle was altered" in result.stderr


def test_a_set_that_nobody_knows_here_has_to_be_named(home, bundle):
    result = run("backup", "verify", bundle)
    assert result.exit_code == 1
    assert "--set FILE" in result.stderr


def share_files(folder, shares):
    paths = []
    for number, share in enumerate(shares, 1):
        path = folder / f"share-{number}"
        path.write_text(" ".join(share.words))
        path.chmod(0o600)
        paths += ["--share", path]
    return paths


def test_wrong_shares_are_told_for_what_is_wrong_with_them(with_set, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("strongroom.cli._backup_shares.protect_process", list)
    shares = split(Secret(random_bytes(32)), SharePlan(3, 5))
    foreign = run("backup", "verify", bundle, *share_files(tmp_path, shares[:3]))
    assert foreign.exit_code == 1
    assert "share 1 (" in foreign.stderr
    assert "a share of another set" in foreign.stderr
    spoilt = tmp_path / "share-1"
    words = spoilt.read_text().split()
    spoilt.write_text(" ".join([words[0] + "x", *words[1:]]))
    unknown = run("backup", "verify", bundle, "--share", spoilt)
    assert unknown.exit_code == 1
    assert "share 1 (" in unknown.stderr
    spoilt.chmod(0o644)
    assert "others can read" in run("backup", "verify", bundle, "--share", spoilt).stderr
    for word in words:
        assert word not in unknown.stderr.replace("words", "").split()


def test_shares_are_not_asked_for_where_nobody_types(with_set, bundle, monkeypatch):
    monkeypatch.setattr("strongroom.cli._backup_shares.protect_process", list)
    assert "no terminal" in run("backup", "verify", bundle, "--share", "-").stderr


def test_roots_of_hsms_go_into_no_softhsm_unless_that_is_said(home, tmp_path):
    made = a_bundle(SIGNER, of_set={"origin": "hsm"})
    bundle, set_file = tmp_path / "b", tmp_path / "set.json"
    bundle.write_bytes(made.data)
    set_file.write_bytes(write_set(made.backup_set))
    result = run("backup", "verify", bundle, "--set", set_file, "--share", os.devnull)
    assert result.exit_code == 1
    assert "--production-roots-into-softhsm" in result.stderr
