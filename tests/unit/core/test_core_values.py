"""Deadlines, the gate that stays closed, errors that say what to do, and random bytes."""

import inspect
import time

import pytest

from strongroom import core
from strongroom.core import (
    ApprovalGate,
    ApprovalRequiredError,
    Clock,
    ClosedGate,
    Deadline,
    EventSink,
    HsmIntegrityError,
    HsmMember,
    KeyState,
    MemberDeadlineError,
    NoMemberError,
    StrongroomError,
    SystemClock,
    WrapAlgorithm,
    random_bytes,
)
from strongroom.testing import FakeClock, FakeHsm, FakeMember, RecordingEvents


def test_a_deadline_passes_at_its_moment_and_not_before():
    clock = FakeClock()
    deadline = Deadline.after(clock, 2.0)
    assert deadline.remaining_s() == 2.0
    clock.advance(1.5)
    assert deadline.remaining_s() == 0.5
    assert not deadline.has_passed()
    clock.advance(0.5)
    assert deadline.has_passed()
    clock.advance(1)
    assert deadline.remaining_s() == -1.0


def test_a_deadline_ignores_the_wall_clock():
    clock = FakeClock()
    deadline = Deadline.after(clock, 2.0)
    clock.set_wall_clock(clock.now() + 86_400)
    assert deadline.remaining_s() == 2.0


def test_the_system_clock_is_that_of_the_system():
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 5
    assert abs(clock.monotonic() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
    assert clock.monotonic() <= clock.monotonic()


def test_lifetimes_go_on_while_the_system_is_suspended(monkeypatch):
    """The kernel's clock that counts suspended time is the one that is asked; time.monotonic leaves it out."""
    asked_at = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: asked_at)
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: asked_at, time.CLOCK_MONOTONIC: 0}.get)
    deadline = Deadline.after(SystemClock(), 300.0)
    a_night_later = {time.CLOCK_BOOTTIME: asked_at + 28_800, time.CLOCK_MONOTONIC: asked_at}
    monkeypatch.setattr(time, "clock_gettime", a_night_later.get)
    assert deadline.has_passed()


@pytest.mark.parametrize("verb", ["generate-root", "anything"])
def test_the_closed_gate_refuses_everything_and_names_the_verb(verb):
    with pytest.raises(ApprovalRequiredError, match=verb) as refused:
        ClosedGate().check(verb, {"pin": "do not show"})
    assert "do not show" not in str(refused.value)
    assert not refused.value.retryable


def test_fakes_have_the_shape_of_what_they_stand_for():
    clock: Clock = FakeClock()
    gate: ApprovalGate = ClosedGate()
    events: EventSink = RecordingEvents()
    for thing, protocol in (
        (clock, Clock),
        (gate, ApprovalGate),
        (events, EventSink),
        (FakeMember(FakeHsm("hsm-a")), HsmMember),
    ):
        for name, promised in inspect.getmembers(protocol, inspect.isfunction):
            if not name.startswith("_"):
                found = inspect.signature(getattr(thing, name))
                assert list(found.parameters) == list(inspect.signature(promised).parameters)[1:]


def test_every_exported_error_descends_from_the_one_root():
    errors = [getattr(core, name) for name in core.__all__ if name.endswith("Error")]
    assert len(errors) > 10
    assert all(issubclass(error, StrongroomError) for error in errors)


def test_only_failures_of_a_member_are_retryable():
    retryable = {name for name in core.__all__ if getattr(getattr(core, name), "retryable", False)}
    assert retryable == {
        "HsmKeyNotFoundError",
        "MemberBusyError",
        "MemberDeadlineError",
        "MemberFailedError",
        "MemberReadOnlyError",
    }
    assert MemberDeadlineError("x").retryable
    assert not NoMemberError("x").retryable
    assert not HsmIntegrityError("x").retryable


def test_an_error_says_what_happened_and_what_to_do():
    error = NoMemberError("no HSM answered", ckr=0x30, next_step="see status")
    assert str(error) == "no HSM answered (see status)"
    assert (error.message, error.next_step, error.ckr) == ("no HSM answered", "see status", 0x30)
    assert str(StrongroomError("plain")) == "plain"


def test_stored_numbers_and_words_never_change():
    assert {member.name: int(member) for member in WrapAlgorithm} == {
        "HSM_AES_GCM": 1,
        "XAES_256_GCM": 2,
        "HSM_AES_CBC_HMAC": 3,
        "HSM_RSA_OAEP": 4,
    }
    names = {member.name: str(member) for member in KeyState}
    assert names == {
        "PRE_ACTIVE": "pre-active",
        "ACTIVE": "active",
        "SUSPENDED": "suspended",
        "PENDING_IMPORT": "pending-import",
        "DEACTIVATED": "deactivated",
        "COMPROMISED": "compromised",
        "DESTROYED": "destroyed",
    }


def test_random_bytes_have_the_length_asked_for_and_differ():
    assert len({random_bytes(32) for _ in range(100)}) == 100
    assert random_bytes(0) == b""
    assert len(random_bytes(1000)) == 1000
