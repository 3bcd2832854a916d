"""The fakes break as told and keep what they say; that they work is shown by the conformance suite."""

import threading
import time

import pytest

from strongroom.core import (
    ClosedGate,
    Deadline,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberDeadlineError,
    MemberFailedError,
    Secret,
    SystemClock,
    random_bytes,
)
from strongroom.hsm.wire import GenerateRoot, Ping, Random, RootCheck
from strongroom.testing import FakeClock, FakeHsm, FakeMember, FakePerformer, OpenGate, RecordingEvents


def test_a_fake_clock_stands_still_until_it_is_moved():
    clock = FakeClock(now=100.0)
    deadline = Deadline.after(clock, 5)
    assert (clock.now(), deadline.remaining_s()) == (100.0, 5)
    clock.advance(4.5)
    assert (clock.now(), deadline.has_passed()) == (104.5, False)
    clock.set_wall_clock(50.0)
    assert (clock.now(), deadline.remaining_s()) == (50.0, 0.5)
    clock.advance(0.5)
    assert deadline.has_passed()
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_events_are_kept_in_order_with_their_fields():
    events = RecordingEvents()
    events.emit("a", n=1)
    events.emit("b")
    events.emit("a", n=2)
    assert [event.name for event in events.events] == ["a", "b", "a"]
    assert events.named("a") == [{"n": 1}, {"n": 2}]


async def test_a_fake_member_obeys_a_fake_clock():
    clock, hsm = FakeClock(), FakeHsm("alpha")
    hsm.faults.slow_s = 3
    deadline = Deadline.after(clock, 2)
    threading.Timer(0.05, clock.advance, [2]).start()
    with pytest.raises(MemberDeadlineError):
        await FakeMember(hsm).random(8, deadline=deadline)


async def test_the_next_calls_fail_as_told_and_the_one_after_works():
    hsm = FakeHsm("alpha")
    member, deadline = FakeMember(hsm), Deadline.after(SystemClock(), 5)
    hsm.faults.fail_next(2, lambda: HsmKeyNotFoundError("gone"))
    hsm.faults.fail_next(1)
    for error in (HsmKeyNotFoundError, HsmKeyNotFoundError, MemberFailedError):
        with pytest.raises(error) as caught:
            await member.random(1, deadline=deadline)
        assert type(caught.value) is error
    assert len(await member.random(1, deadline=deadline)) == 1


@pytest.mark.parametrize("happened", [True, False])
def test_a_call_that_failed_may_have_happened(happened):
    hsm = FakeHsm("alpha")
    performer = FakePerformer(hsm)
    hsm.faults.fail_next(1, happened=happened)
    with pytest.raises(MemberFailedError):
        performer.perform(GenerateRoot(b"r" * 16, "root"))
    assert len(hsm.objects()) == happened


def test_hanging_calls_go_on_when_they_are_released():
    hsm = FakeHsm("alpha")
    performer, made = FakePerformer(hsm), []
    hsm.faults.hang()
    thread = threading.Thread(target=lambda: made.append(performer.perform(Random(9))), daemon=True)
    thread.start()
    time.sleep(0.02)
    assert made == []
    hsm.faults.clear()
    thread.join(60)
    assert [len(bytes_) for bytes_ in made] == [9]


def test_the_wrong_key_is_another_on_each_hsm_and_goes_away():
    alpha, beta = FakeHsm("alpha"), FakeHsm("beta")
    root_id = alpha.make_root()
    alpha.copy_root_to(beta, root_id)
    right = alpha.wrap(root_id, Secret(b"key"), b"")
    for hsm in (alpha, beta):
        hsm.faults.wrong_key = True
    wrong = alpha.wrap(root_id, Secret(b"key"), b"")
    for hsm, wrapped in ((beta, wrong), (beta, right), (alpha, right)):
        with pytest.raises(HsmRequestError, match="authenticate"):
            hsm.unwrap(root_id, wrapped, b"")
    for hsm in (alpha, beta):
        hsm.faults.clear()
        assert hsm.unwrap(root_id, right, b"").matches(Secret(b"key"))


def test_ids_are_taken_once():
    hsm = FakeHsm("alpha")
    root_id = hsm.make_root()
    with pytest.raises(HsmRequestError, match="already holds"):
        hsm.generate_root(root_id, "again")
    with pytest.raises(HsmRequestError, match="already holds"):
        hsm.copy_root_to(hsm, root_id)


@pytest.mark.parametrize("wrapped", [b"", b"x", random_bytes(256)])
def test_a_damaged_wrapped_root_is_refused(wrapped):
    hsm = FakeHsm("alpha")
    hsm.generate_import_pair(b"pair", "import")
    with pytest.raises(HsmRequestError, match="does not unwrap"):
        hsm.unwrap_in_root(b"r" * 16, "root", b"pair", wrapped, expected="000000")
    with pytest.raises(HsmKeyNotFoundError):
        hsm.unwrap_in_root(b"r" * 16, "root", b"no pair", wrapped, expected="000000")


def test_import_keys_are_destroyed_once_and_nothing_else_is():
    alpha, beta = FakeHsm("alpha"), FakeHsm("beta")
    root_id = alpha.make_root()
    alpha.import_trusted_public(b"pair", "trusted", beta.generate_import_pair(b"pair", "import"))
    wrapped = alpha.wrap_out_root(root_id, b"pair")
    alpha.destroy_trusted_public(b"pair")
    beta.destroy_import_pair(b"pair")
    assert [held.cka_id for held in (*alpha.objects(), *beta.objects())] == [root_id]
    for destroy in (alpha.destroy_trusted_public, beta.destroy_import_pair):
        with pytest.raises(HsmKeyNotFoundError):
            destroy(b"pair")
    with pytest.raises(HsmRequestError, match="not trusted"):
        alpha.wrap_out_root(root_id, b"pair")
    with pytest.raises(HsmKeyNotFoundError):
        beta.unwrap_in_root(root_id, "root", b"pair", wrapped, expected=alpha.root_check_value(root_id))


def test_a_performer_asks_its_gate_before_keys_change_and_knows_no_ping():
    hsm = FakeHsm("alpha")
    root_id = hsm.make_root()
    with pytest.raises(Exception, match="no approval covers it"):
        FakePerformer(hsm, ClosedGate()).perform(GenerateRoot(b"r" * 16, "root"))
    check = FakePerformer(hsm, ClosedGate()).perform(RootCheck(root_id))
    assert check.value == hsm.root_check_value(root_id)
    with pytest.raises(HsmRequestError, match="does not perform Ping"):
        FakePerformer(hsm, OpenGate()).perform(Ping())
