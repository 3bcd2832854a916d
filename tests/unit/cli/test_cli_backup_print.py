"""``strongroom backup print``: the manifest of a bundle that verifies, on paper."""

import json

import pytest

from backup_documents import SoftwareSigner, a_bundle
from cli_support import run
from paper_reading import read_pages, squeezed
from strongroom.backup import write_set

MADE = a_bundle(SoftwareSigner())


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.bundle").write_bytes(MADE.data)
    (tmp_path / "set.json").write_bytes(write_set(MADE.backup_set))
    return tmp_path


def printed(files, *more):
    return run(
        "backup", "print", files / "a.bundle", "--set", files / "set.json", "--output", files / "paper", *more
    )


def test_everything_that_people_compare_is_on_the_page(files):
    done = printed(files, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    manifest = MADE.manifest
    pages = read_pages((files / "paper" / f"{manifest.backup_id}.pdf").read_bytes())
    text = squeezed("".join(page.text for page in pages))
    wanted = [
        manifest.backup_id, manifest.set_id, manifest.source, told["sha256"], "a.bundle", "2027-01-15", "softhsm", f"{len(MADE.data):,} bytes",
        manifest.roots[0].root_id, "CKA_CHECK_VALUE a1b2c3", "root KEK, the current one", manifest.keys[0].key_id, "direct", "ECC_NIST_P256",
        "NOT in it", manifest.left_out[0].key_id, "stays", "it was made to stay in its member", manifest.snapshot.sha256, "strongroom.db",
        manifest.set_sha256, "Custodian 5", "Bern", "3 of the 5 shares", "It holds no share",
    ]  # fmt: skip
    assert [part for part in wanted if squeezed(part) not in text] == []
    assert "REHEARSAL" not in text
    assert (files / "paper" / f"{manifest.backup_id}.html").read_bytes().startswith(b"<!doctype html>")


def test_a_rehearsal_is_printed_as_one(files):
    assert printed(files, "--rehearsal").exit_code == 0
    for page in read_pages((files / "paper" / f"{MADE.manifest.backup_id}.pdf").read_bytes()):
        assert "REHEARSAL" in page.text


def test_prints_that_are_there_stay(files):
    assert printed(files).exit_code == 0
    again = printed(files)
    assert again.exit_code == 1
    assert MADE.manifest.backup_id in again.output


def test_nothing_is_printed_of_a_bundle_that_was_changed(files):
    at = MADE.snapshot_at + 10
    (files / "a.bundle").write_bytes(MADE.data[:at] + bytes([MADE.data[at] ^ 1]) + MADE.data[at + 1 :])
    assert printed(files).exit_code == 1
    assert not (files / "paper").exists()
