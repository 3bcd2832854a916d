"""``doctor`` on custody: configuration, genesis and database must tell of one chain, and its rules must be ones that can be met."""

import asyncio
import shutil

import msgspec
import pytest

from cli_support import make_home
from fakes_custody import PEOPLE, change, genesis_body, signed_genesis
from strongroom.cli._checks import findings_of
from strongroom.cli._checks_custody import check_custody
from strongroom.cli._checks_home import check_private_files
from strongroom.config import CustodyConfig, Home, load_config
from strongroom.custody import DEFAULT_RULES, Chain, document_hash
from strongroom.storage import CustodyDocumentRecord, Store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("made") / "home")


@pytest.fixture
def home(made, tmp_path):
    return Home(shutil.copytree(made.root, tmp_path / "home"))


def _with_custody(home, genesis, *records, in_file=None):
    home.custody.mkdir(mode=0o700)
    home.genesis_file.write_bytes(genesis if in_file is None else in_file)

    async def write(store):
        for sequence, document in enumerate((genesis, *records)):
            record = CustodyDocumentRecord(sequence, document)
            await store.write(lambda tx, record=record: tx.append_custody_document(record))

    store = Store.open(home.database)
    try:
        asyncio.run(write(store))
    finally:
        store.close()


def _found(home, genesis=None):
    config = load_config(home.root)
    if genesis is not None:
        custody = CustodyConfig(genesis_sha256=document_hash(genesis))
        config = msgspec.structs.replace(config, custody=custody)
    return list(findings_of("custody", lambda: check_custody(home, config)))


def _of(found, level):
    return [finding.message for finding in found if finding.level == level]


def test_a_home_without_officers_has_nothing_to_check(home):
    assert _found(home) == []


def test_a_chain_that_holds_together_is_well(home):
    genesis = signed_genesis()
    record = change(Chain.from_documents(genesis), "RevokeOfficer", {"officer": "gus", "reason": "left"})
    _with_custody(home, genesis, record)
    found = _found(home, genesis)
    [well] = _of(found, "ok")
    assert well == f"{len(PEOPLE) - 1} officers and {len(genesis_body().rules)} rules after record 1"
    assert _of(found, "fail") == []
    assert "no PIN can be delivered to anna, ben, cleo" in _of(found, "warn")
    assert any("AddMember" in words for words in _of(found, "note"))


@pytest.mark.parametrize("lacks", [True, False])
def test_officers_without_a_rule_for_restoring_are_warned_while_they_can_still_set_one(home, lacks):
    rules = {verb: rule for verb, rule in DEFAULT_RULES.items() if not lacks or verb != "RestoreBackup"}
    genesis = signed_genesis(genesis_body(rules=rules))
    _with_custody(home, genesis)
    found = _found(home, genesis)
    assert _of(found, "fail") == []
    assert any("RestoreBackup has no rule" in words for words in _of(found, "warn")) is lacks


def test_rules_that_nobody_can_meet_or_only_all_together_are_named(home):
    body = genesis_body(people={name: PEOPLE[name] for name in ("anna", "ben", "dora", "emil")}, rules=DEFAULT_RULES)  # fmt: skip
    genesis = signed_genesis(body)
    record = change(Chain.from_documents(genesis), "RevokeOfficer", {"officer": "dora", "reason": "left"})
    _with_custody(home, genesis, record)
    warnings = _of(_found(home, genesis), "warn")
    assert any("there is 1 person who is crypto-officer: too few for CreateBackup" in w for w in warnings)
    assert any("all 2 people who are security-officer are needed for AddMember" in w for w in warnings)


def test_what_does_not_agree_fails(home):
    genesis, other = signed_genesis(), signed_genesis(genesis_body(cluster="0d" * 16))
    missing = _found(home, genesis)
    assert "there is no genesis" in missing[0].message
    _with_custody(home, genesis)
    assert "another than the one" in _found(home, other)[0].message
    assert "the configuration names none" in _found(home)[0].message
    home.genesis_file.write_bytes(other)
    assert "the database begins with another genesis" in _found(home, other)[0].message
    assert all(finding.level == "fail" and finding.next_step for finding in missing)


def test_a_chain_that_was_tampered_with_fails_at_its_place(home):
    genesis = signed_genesis()
    record = change(Chain.from_documents(genesis), "RevokeOfficer", {"officer": "gus", "reason": "left"})
    _with_custody(home, genesis, record.replace(b'"gus"', b'"ben"'))
    [finding] = _found(home, genesis)
    assert (finding.level, finding.message.startswith("record 1:")) == ("fail", True)


def test_a_security_officer_s_pin_that_was_left_behind_is_warned_of(home):
    genesis = signed_genesis(genesis_body())
    config = msgspec.structs.replace(
        load_config(home.root), custody=CustodyConfig(genesis_sha256=document_hash(genesis))
    )
    for left in home.pins.glob("*-so"):
        left.unlink()
    assert _of(check_private_files(home, config), "warn") == []
    for name in ("gamma-so.first.sealed", "alpha-so", ".sealing-key.new"):
        (home.pins / name).touch(mode=0o400)
    assert len(_of(check_private_files(home, config), "warn")) == 3
