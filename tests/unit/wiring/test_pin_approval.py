"""The worker that sets a PIN judges by itself whether officers approved that, by the genesis that its member pinned."""

import asyncio
import contextlib

import msgspec
import pytest

from fakes_custody import RULES, SO, approve, ask, begun, changed, genesis_body, signed_genesis
from fakes_pins import FIRST_PIN, PINS, Killed, RotatingHome, killable_writes
from officers_home import OfficersHome
from strongroom.core import ApprovalRequiredError, HsmError, Secret, SystemClock
from strongroom.custody import STANDING_VERB, Pin, QuorumRule, canonical_json, write_document, write_pin
from strongroom.runtime._pin_changing import PinChanging
from strongroom.runtime._pin_officers import OfficerPins
from strongroom.wiring import pin_refusals
from strongroom.wiring.bootstrap import ApprovedChange
from strongroom.wiring.custody_used import UsedActs
from strongroom.wiring.home import remove_runtime_folder
from strongroom.wiring.pin_changes import read_change, write_change

HOUR = 3_600
WITH_ROTATE = {**RULES, "RotatePin": QuorumRule(m=2, role=SO, expires_s=HOUR, standing=True)}
MEANT = {"member": "alpha", "role": "user"}
NOW = int(SystemClock().now())


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    monkeypatch.setattr(pin_refusals, "_COST", 2)


class Approvals:
    """What main has to show to the worker, and the member's pin in the home."""

    def __init__(self, home, kind):
        self.genesis = signed_genesis(genesis_body(rules=WITH_ROTATE))
        self.chain = begun(rules=WITH_ROTATE)
        self.shown = None
        self.kind = kind
        head = self.chain.state.head
        self.pin = write_pin(Pin(head, 0, head))
        (home / "custody" / "pins").mkdir(parents=True)
        (home / "custody" / "genesis.json").write_bytes(self.genesis)
        (home / "custody" / "pins" / "alpha").write_bytes(self.pin)
        UsedActs.begin(home / "custody" / "used" / "alpha")

    def give(self, *names, parameters=None, verb="RotatePin", made=NOW - 60, executed=0, number=1, told=b""):
        parameters = parameters or {**MEANT, "role": self.kind}
        request = ask(self.chain.state, verb, parameters, now=made, number=number)
        signatures = approve(request, *(names or ("anna", "ben")))
        self.shown = ApprovedChange([], write_document(request), signatures, executed, told)


class ApprovedHome(RotatingHome):
    """A home with officers, whose member keeps the pin in its token."""

    def __init__(self, root):
        super().__init__(root)
        self.officers = Approvals(root, "user")
        keeps = {**self.member.profile_changes, "data_objects": True}
        self.member = msgspec.structs.replace(self.member, profile_changes=keeps)
        self.token.kept = [self.officers.pin]

    def changing(self):
        return PinChanging(
            self.home, PINS, events=self.events, clock=SystemClock(), run=self._run,
            approved=lambda _change: self.officers.shown,
        )  # fmt: skip

    def rotate(self):
        self.begin()
        self.start()
        return self.change

    def forget(self):
        """As after a new change was asked for; the records of the member stay."""
        self.home.pin_changes.joinpath("alpha").unlink(missing_ok=True)


@pytest.fixture
def it(tmp_path):
    it = ApprovedHome(tmp_path)
    yield it
    remove_runtime_folder(it.home)


def test_what_two_officers_approved_is_done_and_once(it):
    it.officers.give()
    assert it.rotate().phase == "done"
    assert it.token.pin != FIRST_PIN
    done, pin = it.change, it.token.pin
    assert it.rotate().phase == "failed"
    assert it.change.change_id != done.change_id
    assert "executed or rejected already" in it.change.trouble
    assert it.token.pin == pin


@pytest.mark.parametrize(
    "give",
    [
        lambda officers: None,
        lambda officers: officers.give("anna"),
        lambda officers: officers.give("anna", "dora"),
        lambda officers: officers.give(parameters={"member": "beta", "role": "user"}),
        lambda officers: officers.give(parameters={"member": "alpha", "role": "so"}),
        lambda officers: officers.give(made=NOW - 2 * HOUR),
        lambda officers: officers.give(made=NOW - 2 * HOUR, executed=NOW - HOUR + 60),
        lambda officers: officers.give(verb="RetireRoot", parameters={"root_id": "0a" * 16}),
    ],
    ids=["none", "one", "wrong role", "another member", "the other PIN", "expired", "begun after it expired", "another act"],
)  # fmt: skip
def test_without_that_approval_the_worker_sets_nothing_and_the_old_pin_serves_on(it, give):
    give(it.officers)
    assert it.rotate().phase == "failed"
    assert it.token.pin == FIRST_PIN == it.start()
    assert it.token.refused == []
    assert it.change.trouble


def test_a_rule_that_changed_after_it_was_given_voids_it(it):
    it.officers.give()
    rule = {"m": 2, "role": "security-officer", "expires_s": 60, "standing": False}
    meant = {"verb": "Backup", "rule": rule}
    after = changed(it.officers.chain, "SetQuorumRule", meant, now=NOW - 30)
    records = [write_document(record) for record in after.records]
    it.officers.shown = msgspec.structs.replace(it.officers.shown, records=records)
    assert it.rotate().phase == "failed"
    it.officers.give()
    it.officers.shown = msgspec.structs.replace(it.officers.shown, records=records, executed=NOW - 40)
    assert it.rotate().phase == "done"


@pytest.mark.parametrize("kills_after", ["before C_SetPIN", "after C_SetPIN", "before write_change"])
def test_a_change_that_was_killed_goes_on_under_its_approval_also_when_that_has_expired(it, kills_after):
    it.officers.give(made=NOW - HOUR + 2, executed=NOW - 60)
    it.begin()
    with killable_writes(it.fate):
        it.fate.kills_after = kills_after
        with contextlib.suppress(Killed):
            it.start()
    begun = it.change
    assert not begun.has_ended
    it.officers.give(made=NOW - 2 * HOUR, executed=NOW - 2 * HOUR + 60)  # the same nonce, later
    it.fate.kills_after = None
    assert it.start() == it.token.pin != FIRST_PIN
    assert (it.change.phase, it.change.change_id) == ("done", begun.change_id)
    it.forget()
    assert it.rotate().phase == "failed"


def test_c_set_pin_is_repeated_under_the_approval_where_it_had_no_effect(it):
    it.officers.give()
    it.begin()
    it.token.fails = "C_SetPIN"
    with contextlib.suppress(HsmError):
        it.start()
    assert it.start() == it.token.pin != FIRST_PIN
    assert it.change.phase == "done"


def test_a_member_that_was_away_gets_its_pin_when_it_is_back(it):
    it.officers.give(made=NOW - 9 * HOUR, executed=NOW - 9 * HOUR + 60)  # main began it in time
    assert it.rotate().phase == "done"


def test_a_change_that_was_made_does_not_begin_anew_by_an_old_record(it):
    it.officers.give()
    assert it.rotate().phase == "done"
    stored = it.key.seal(Secret(b"a-pin-of-an-intruder"), it.binding, at=1).decode()
    old = msgspec.structs.replace(it.change, phase="pending", sealed=stored, ended_at=None)
    write_change(it.home.pin_changes / "alpha", old)
    pin = it.token.pin
    assert it.start() == it.token.pin == pin


def test_taking_genesis_and_copy_away_does_not_get_round_what_the_token_pinned(it):
    (it.home.root / "custody" / "genesis.json").unlink()
    (it.home.root / "custody" / "pins" / "alpha").unlink()
    it.officers.give()
    assert it.rotate().phase == "failed"
    assert "pinned the genesis" in it.change.trouble
    assert it.token.pin == FIRST_PIN


def test_in_a_home_with_officers_a_token_without_a_pin_gets_no_pin_set(it):
    (it.home.root / "custody" / "pins" / "alpha").unlink()
    it.token.kept = []
    it.officers.give()
    assert it.rotate().phase == "failed"
    assert it.token.pin == FIRST_PIN


def test_under_a_standing_approval_each_change_is_a_use(it):
    allows = {
        "verb": "RotatePin", "fixed": MEANT, "free": [], "uses": 1, "rate_uses": 1, "rate_s": HOUR, "begins": NOW - 60, "ends": NOW + 9 * HOUR,
    }  # fmt: skip
    told = canonical_json(MEANT)
    it.officers.give(verb=STANDING_VERB, parameters=allows, told=told)
    assert it.rotate().phase == "done"
    assert it.rotate().phase == "failed"


@pytest.fixture
def officers_of_it(tmp_path):
    it = OfficersHome(tmp_path)
    approvals = Approvals(tmp_path, "so")
    pins = OfficerPins(
        it.home, events=it.events, clock=SystemClock(), run=it._run, approved=lambda _change: approvals.shown
    )

    def rotate(pin):
        recipients = [str(it.identity.to_public())]
        return asyncio.run(pins.change(it.member, Secret(pin), recipients, asked_by="local/0", approval=""))

    yield it, approvals, rotate
    remove_runtime_folder(it.home)


def test_a_security_officers_pin_is_set_only_under_an_approval_of_that(officers_of_it):
    it, approvals, rotate = officers_of_it
    for parameters in (None, MEANT):
        if parameters is not None:
            approvals.give(parameters=parameters)
        with pytest.raises(ApprovalRequiredError):
            rotate(FIRST_PIN)
        assert it.token.pin == FIRST_PIN
        assert read_change(it.path).phase == "failed"
        assert list((it.home.root / "custody" / "deliveries").iterdir()) == []
    approvals.give()
    assert rotate(FIRST_PIN).phase == "done"
    assert it.token.pin == it.delivered() != FIRST_PIN
    with pytest.raises(ApprovalRequiredError):
        rotate(it.token.pin)


def test_a_security_officers_change_that_was_interrupted_goes_on_under_its_approval(officers_of_it):
    it, approvals, rotate = officers_of_it
    approvals.give()
    it.token.fails = "C_SetPIN"
    with pytest.raises(HsmError):
        rotate(FIRST_PIN)
    assert (it.record.phase, it.token.pin) == ("setting", FIRST_PIN)
    assert rotate(FIRST_PIN).phase == "done"
    assert it.token.pin == it.delivered()
