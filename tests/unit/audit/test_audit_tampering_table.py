"""The tampering table of docs/audit-tampering.md: what somebody may do to the files, found and named by verification."""

import re
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.audit import (
    AuditCorruptError,
    CheckpointFiles,
    KeyKind,
    LogKey,
    Note,
    Signature,
    Witnesses,
    verify_tree,
)
from strongroom.audit._checkpoint import ed25519_cosigned
from unit.audit.signed_logs import COSIGNER_KEY, KEY, make_signed_log
from unit.audit.tampered_logs import CASES, FORGER, ROUNDS, flip, found_in

PAGE = Path(__file__).parents[3] / "docs" / "audit-tampering.md"


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """A log, and that of another host with other entries and other keys."""
    folder = tmp_path_factory.mktemp("logs")
    make_signed_log(folder / "ours", ROUNDS)
    make_signed_log(folder / "other", ROUNDS, signer=FORGER, request_id="elsewhere")
    return folder


@pytest.fixture(autouse=True)
def nobody_writes(monkeypatch):
    for room in ("_verify", "_checkpoint_files"):
        monkeypatch.setattr(f"strongroom.audit.{room}.SETTLE_S", 0)


@pytest.mark.parametrize("name", CASES)
def test_it_is_found_and_its_place_named(templates, tmp_path, name):
    directory = tmp_path / "audit"
    shutil.copytree(templates / "ours", directory)
    assert found_in(directory) == ([], [])
    case = CASES[name]
    case.act(directory, templates / "other")
    problems, warnings = found_in(directory)
    for wanted, said in ((case.problem, problems), (case.warning, warnings)):
        assert not wanted or any(re.search(wanted, one) for one in said), (problems, warnings)
    assert bool(problems) == bool(case.problem)


def test_the_page_has_all_of_it():
    rows = set(re.findall(r"^\| ([^|]+?) +\| (?:problem|warning) ", PAGE.read_text(), re.MULTILINE))
    assert rows == {*CASES, FORK, CUT_BACK}


WITNESS = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
WITNESS_KEY = LogKey("w.example", KeyKind.ED25519_COSIGNER, WITNESS.public_key().public_bytes_raw())
FORK = "everything written anew and signed by the real keys, a witness named"
CUT_BACK = "everything cut back together, a witness named"


@pytest.mark.parametrize(
    ("rounds", "fields", "said"),
    [
        pytest.param(ROUNDS, {"request_id": "another story"}, "310 entries", id=FORK),
        pytest.param(ROUNDS[:2], {}, "310", id=CUT_BACK),
    ],
)
def test_what_a_witness_confirmed_shows_what_the_real_keys_did(templates, tmp_path, rounds, fields, said):
    seen = CheckpointFiles(templates / "ours").last().note
    data = (1_700_000_001).to_bytes(8, "big") + WITNESS.sign(ed25519_cosigned(seen.text, 1_700_000_001))
    confirmed = Note(seen.text, (Signature(WITNESS_KEY.name, WITNESS_KEY.key_id, data),))
    keys = [KEY, COSIGNER_KEY]
    assert not verify_tree(templates / "ours", keys, witnesses=Witnesses([WITNESS_KEY], [confirmed])).warnings
    make_signed_log(tmp_path / "audit", rounds, **fields)
    assert found_in(tmp_path / "audit") == ([], [])
    with pytest.raises(AuditCorruptError, match=said):
        verify_tree(tmp_path / "audit", keys, witnesses=Witnesses([WITNESS_KEY], [confirmed]))


def test_what_no_log_can_show(templates, tmp_path):
    """Everything cut back together to an earlier checkpoint is a sound, shorter log."""
    make_signed_log(tmp_path / "audit", ROUNDS[:2])
    assert found_in(tmp_path / "audit") == ([], [])


# Any one byte.

LEFT_BY_A_CRASH = {
    "tree/position.new": 40,  # a draft
    "tree/tile/0/000.part": 64,  # hashes behind the end that position names
    "tree/runs/main": 32,  # a run behind that end
    "wal/main/00000009.wal.tmp": 20,  # a draft
}
"""Bytes at the end of files that say nothing: the next start removes them or writes over them. Nothing else is harmless."""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small log as a crash leaves it: with zeros behind the end of a segment, and unfinished changes of the tree."""
    directory = tmp_path_factory.mktemp("small") / "audit"
    make_signed_log(directory, ((2, 3), (1, 2)))
    segment = directory / "wal" / "main" / "00000002.wal"
    segment.write_bytes(segment.read_bytes() + bytes(64))
    for name, count in LEFT_BY_A_CRASH.items():
        with (directory / name).open("ab") as file:
            file.write(b"x" * count)
    for room in ("_verify", "_checkpoint_files"):
        pytest.MonkeyPatch().setattr(f"strongroom.audit.{room}.SETTLE_S", 0)
    return directory


def _places(directory):
    """Return each file with how many of its bytes count."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            name = path.relative_to(directory).as_posix()
            found[name] = path.stat().st_size - LEFT_BY_A_CRASH.get(name, 0)
    return {name: length for name, length in found.items() if length}


def _require_found(directory, name, offset, mask):
    flip(directory / name, offset, mask)
    try:
        found = found_in(directory)
        assert found.problems or found.warnings, (name, offset, mask)
    finally:
        flip(directory / name, offset, mask)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found(small, data):
    places = _places(small)
    name = data.draw(st.sampled_from(sorted(places)))
    _require_found(small, name, data.draw(st.integers(0, places[name] - 1)), data.draw(st.integers(1, 255)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_byte_changed_is_found(small):
    for name, length in _places(small).items():
        for offset in range(length):
            _require_found(small, name, offset, 1 + (offset * 37) % 255)


def test_what_a_crash_leaves_says_nothing(small):
    assert found_in(small) == ([], [])
    for name, count in LEFT_BY_A_CRASH.items():
        length = (small / name).stat().st_size
        for offset in range(length - count, length):
            flip(small / name, offset)
        assert found_in(small) == ([], [])


def test_keys_that_are_not_named_show_nothing(small):
    """With the log's own key alone, what the cosigner wrote is not looked at; without any key nothing is believed."""
    assert found_in(small, [KEY]).problems == []
    assert found_in(small, [COSIGNER_KEY]).problems == []
    assert "none of the keys that are trusted" in found_in(small, []).problems[0]
