"""The PIN of a security officer is changed by who presents it: no token locks for it, and no PIN that cannot be right is sent."""

import asyncio
import contextlib
import errno
from types import SimpleNamespace

import msgspec
import pyrage
import pytest

from fakes_custody import PEOPLE, genesis_body, person, signed_genesis
from fakes_pins import FIRST_PIN, Killed, killable_writes
from officers_home import WRONG, OfficersHome
from strongroom.audit import AuditLog
from strongroom.core import ApprovalRequiredError, HsmError, StrongroomError, SystemClock
from strongroom.custody import Chain
from strongroom.runtime import _pin_change_files
from strongroom.runtime._pin_changing import PinRotationError
from strongroom.runtime._pin_keeping import PinKeeping
from strongroom.runtime._pin_officers import OfficerPins, receivers
from strongroom.wiring import pin_refusals
from strongroom.wiring.home import remove_runtime_folder
from strongroom.wiring.pin_changes import PinTries, write_change
from strongroom.wiring.pin_door import PinRequest
from strongroom.wiring.pin_upkeep import allow_tries


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    monkeypatch.setattr(pin_refusals, "_COST", 2)


@pytest.fixture
def it(tmp_path):
    it = OfficersHome(tmp_path)
    yield it
    remove_runtime_folder(it.home)


def test_the_new_pin_is_the_one_that_was_delivered(it):
    assert it.rotate(FIRST_PIN).phase == "done"
    assert it.token.pin == it.delivered() != FIRST_PIN


def test_a_wrong_pin_whose_refusal_nobody_hears_of_does_not_lock_the_token(it):
    with killable_writes(it.fate):
        for _ in range(6):
            it.fate.kills_after = "before C_Login"
            with contextlib.suppress(Killed, HsmError):
                it.rotate(WRONG)
            assert not it.token.is_locked
    assert 1 <= it.token.wrong < 3


def test_after_a_look_at_the_token_a_person_allows_tries_of_that_pin_again(it):
    with killable_writes(it.fate):
        for _ in range(6):
            it.fate.kills_after = "before C_Login"
            with contextlib.suppress(Killed, HsmError):
                it.rotate(FIRST_PIN)
        it.fate.kills_after = None
        with pytest.raises(HsmError) as refused:
            it.rotate(FIRST_PIN)
        assert "strongroom pin retry --member alpha --role so" in str(refused.value.next_step)
        assert allow_tries(it.home, it.member, "so")
        assert it.rotate(FIRST_PIN).phase == "done"


def test_the_old_pin_is_not_sent_once_the_new_one_was_certainly_set(it):
    it.rotate(FIRST_PIN)
    write_change(
        it.path,
        msgspec.structs.replace(it.record, phase="set", ended_at=None, new=PinTries(unknown=1)),
    )
    sent = len(it.token.sent)
    with pytest.raises(PinRotationError, match="certainly set"):
        it.rotate(FIRST_PIN)
    assert len(it.token.sent) == sent
    assert it.rotate(it.delivered()).phase == "done"


def test_a_pin_that_was_never_the_tokens_is_not_sent_while_a_change_is_open(it):
    it.token.fails = "late:C_SetPIN"
    with pytest.raises(HsmError):
        it.rotate(FIRST_PIN)
    sent = len(it.token.sent)
    with pytest.raises(StrongroomError, match="neither the old one nor the new one"):
        it.rotate(WRONG)
    assert len(it.token.sent) == sent
    assert it.rotate(it.delivered()).phase == "done"


def test_where_there_are_officers_nobody_else_gets_the_new_pin():
    ours, stranger = (str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2))
    state = officers_with({"anna": ours, "dora": stranger})  # dora is no security officer
    assert receivers(state, []) == receivers(state, [ours]) == [ours]
    with pytest.raises(PinRotationError, match="no security officer has enrolled"):
        receivers(state, [ours, stranger])
    assert receivers(None, [stranger]) == [stranger], "a home without officers"
    with pytest.raises(PinRotationError, match="nobody would get"):
        receivers(None, [])


def officers_with(recipients):
    return Chain.from_documents(signed_genesis(body_with(recipients))).state


def body_with(recipients):
    people = tuple(person(name, recipient=recipients.get(name, "")) for name in PEOPLE)
    return msgspec.structs.replace(genesis_body(), people=people)


class OneApproval:
    """Officers who approved one change: it can be spent once, and again after it was released."""

    def __init__(self, recipient):
        self.chain = Chain.from_documents(signed_genesis(body_with({"anna": recipient})))
        self.left = 1

    async def claimed(self, approval, verb, parameters, by):
        if not self.left:
            raise ApprovalRequiredError("RotatePin needs an approval")
        self.left -= 1
        return SimpleNamespace(approval="a1" * 32)

    async def release(self, act):
        assert act.approval == "a1" * 32
        self.left += 1

    def evidence_sha256(self, act):
        return "00" * 32


@pytest.fixture
def asked(it, tmp_path):
    """What main does when it is asked, in a home whose officers approved one change."""
    audit = AuditLog.open(tmp_path / "audit", "main", clock=SystemClock())
    custody = OneApproval(str(it.identity.to_public()))
    officers = OfficerPins(it.home, events=it.events, clock=SystemClock(), run=it._run)
    keeping = PinKeeping(
        {"alpha": it.member},
        it.changing(),
        renew=None,
        serves=lambda name: True,
        officers=officers,
        custody=custody,
        audit=audit,
        api_pids=lambda: (),
        events=it.events,
    )

    def ask(pin):
        return asyncio.run(keeping.answer(PinRequest("so", "alpha", so_pin=pin), 1))

    yield ask, custody
    audit.close()


def test_a_pin_that_was_mistyped_costs_no_approval(it, asked):
    ask, custody = asked
    with pytest.raises(HsmError):
        ask(WRONG)
    assert custody.left == 1
    assert ask(FIRST_PIN).outcomes[0].state == "changed"
    assert custody.left == 0
    with pytest.raises(ApprovalRequiredError):
        ask(it.token.pin)


def test_a_change_that_was_interrupted_was_approved_when_it_began(it, asked):
    ask, custody = asked
    it.token.fails = "late:C_SetPIN"
    with pytest.raises(HsmError):
        ask(FIRST_PIN)
    assert (custody.left, it.record.phase) == (0, "setting")
    assert ask(it.delivered()).outcomes[0].state == "changed"
    assert it.record.approval == "a1" * 32


def test_on_a_full_disk_nothing_is_sent_and_no_delivery_is_left_of_a_pin_that_was_not_set(it, monkeypatch):
    def full(path, change):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_pin_change_files, "write_change", full)
    with pytest.raises(HsmError, match="cannot be noted"):
        it.rotate(FIRST_PIN)
    assert it.token.sent == []
    assert list((it.home.root / "custody" / "deliveries").iterdir()) == []
