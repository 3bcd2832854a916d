"""What a member remembers of approved acts is on disk before they are done, and survives crashes, other processes and time."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import NOW, UNHURRIED
from strongroom.custody import (
    MAX_CLOCK_SKEW_S,
    UNDO_S,
    ApprovalRefusedError,
    Refusal,
    StandingTerms,
    UsedLines,
    head_line,
    with_checksum,
)
from strongroom.testing import FakeClock
from strongroom.wiring.custody_used import UsedActs, UsedRecordError

ONE, TWO = "01" * 16, "02" * 16
TERMS = StandingTerms("CreateHsmKey", {}, (), 3, 3, 1_000, NOW, NOW + 5_000)


@pytest.fixture
def clock():
    return FakeClock(now=NOW)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "custody" / "used" / "alpha"


@pytest.fixture
def opened(path, clock):
    made = []

    def open_(**more):
        made.append(UsedActs(path, clock=clock, **more))
        return made[-1]

    yield open_
    for one in made:
        one.close()


def test_what_is_spent_stays_spent_over_a_restart_and_in_other_processes(opened, path):
    first, second = opened(), opened()
    first.spend_part(ONE, "", until=NOW + 60)
    first.spend_part(TWO, "ab" * 16, until=NOW + 60)
    for used in (first, second, opened()):
        for nonce, part in ((ONE, ""), (TWO, "ab" * 16)):
            with pytest.raises(ApprovalRefusedError) as caught:
                used.spend_part(nonce, part, until=NOW + 60)
            assert caught.value.reason is Refusal.ALREADY_USED
        used.require_unspent(TWO, "")
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_process_knows_when_a_standing_approval_was_last_used(opened):
    first, other = opened(), opened()
    assert first.last_use(ONE) is None
    for at in (1, 2):
        other.spend(ONE, TERMS, now=NOW + at)
        assert first.last_use(ONE) == NOW + at
    assert (opened().last_use(ONE), first.last_use(TWO)) == (NOW + 2, None)


def test_of_a_standing_approval_every_process_counts_the_uses_of_all(opened):
    first, second = opened(), opened()
    for used in (first, second, opened()):
        used.spend(ONE, TERMS, now=NOW + 1)
    with pytest.raises(ApprovalRefusedError) as caught:
        first.spend(ONE, TERMS, now=NOW + 2_000)
    assert caught.value.reason is Refusal.USED_UP


def test_a_session_began_when_it_first_began(opened):
    assert opened().begin_session(ONE, until=NOW + 60, now=NOW) == NOW
    assert opened().begin_session(ONE, until=NOW + 60, now=NOW + 30) == NOW


def test_under_one_request_one_change_goes_on_until_the_request_is_spent(opened):
    opened().begin_change(ONE, "c1" * 8, until=NOW + 60)
    opened().begin_change(ONE, "c1" * 8, until=NOW + 60)
    with pytest.raises(ApprovalRefusedError):
        opened().begin_change(ONE, "c2" * 8, until=NOW + 60)
    opened().spend_part(ONE, "", until=NOW + 60)
    with pytest.raises(ApprovalRefusedError):
        opened().begin_change(ONE, "c1" * 8, until=NOW + 60)


def test_what_was_made_is_known_for_a_while_and_not_before_it_was(opened):
    opened().note_made(f"key:{ONE}", now=NOW)
    used = opened()
    assert used.was_made(f"key:{ONE}", now=NOW + UNDO_S)
    assert not used.was_made(f"key:{ONE}", now=NOW + UNDO_S + 1)
    assert not used.was_made(f"key:{ONE}", now=NOW - 1)
    assert not used.was_made(f"root:{ONE}", now=NOW)
    used.note_made("key:no id of ours\n", now=NOW)
    assert opened().was_made(f"key:{ONE}", now=NOW)


@pytest.mark.parametrize(
    "tail", [b"0", b"1234abcd spent 0102", b"\0" * 40, with_checksum(f"spent {TWO} - 9")[:-1]]
)
def test_what_a_crash_cut_off_never_counted(opened, path, tail):
    opened().spend_part(ONE, "", until=NOW)
    with path.open("ab") as file:
        file.write(tail)
    used = opened()
    used.spend_part(TWO, "", until=NOW)
    for nonce in (ONE, TWO):
        with pytest.raises(ApprovalRefusedError):
            opened().require_unspent(nonce, "")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"spent", b"spemt"), lambda data: data.replace(b" - ", b" -\n"), lambda data: data[data.index(b"\n") + 1 :],
        lambda data: data + b"\n", lambda data: data + with_checksum("unknown line"), lambda data: with_checksum(head_line(1)) + data,
        lambda data: b"\n" + data, lambda _data: b"", lambda data: data + b"x" * (17 << 20),
    ],
)  # fmt: skip
def test_a_damaged_record_closes_the_gate(opened, path, spoil):
    used = opened()
    used.spend_part(ONE, "", until=NOW)
    path.write_bytes(spoil(path.read_bytes()))
    for _ in range(2):
        with pytest.raises(UsedRecordError, match="cannot be told"):
            opened()


def test_without_the_record_what_was_approved_before_counts_no_longer(opened, path, clock):
    used = opened()
    assert used.begins > NOW + MAX_CLOCK_SKEW_S, "a request may be dated in the future, and be spent already"
    path.unlink()
    with pytest.raises(UsedRecordError, match="taken away"):
        used.require_unspent(ONE, "")
    clock.advance(50)
    assert opened().begins > NOW + 50 + MAX_CLOCK_SKEW_S


def test_a_new_member_takes_what_was_approved_before_it_was_one(opened, path):
    UsedActs.begin(path)
    assert opened().begins == 0
    opened().spend_part(ONE, "", until=NOW)
    UsedActs.begin(path)
    with pytest.raises(ApprovalRefusedError):
        opened().require_unspent(ONE, "")


def test_a_long_record_is_written_anew_with_what_still_counts(opened, path, clock):
    used, other = opened(), opened()
    used.spend_part(ONE, "", until=NOW + 400 * 86_400)
    used.spend(TWO, TERMS, now=NOW + 1)
    old = b"".join(with_checksum(f"spent {number:032x} - {NOW}") for number in range(20_000))
    with path.open("ab") as file:
        file.write(old)
    clock.advance(8 * 86_400)
    used.spend_part("03" * 16, "", until=NOW + 9 * 86_400)
    assert path.stat().st_size < 1_000
    for one in (used, other, opened()):
        for nonce in (ONE, "03" * 16):
            with pytest.raises(ApprovalRefusedError):
                one.require_unspent(nonce, "")


def test_of_processes_that_race_one_spends(opened):
    ways, start, done = [opened() for _ in range(4)], threading.Barrier(4), []

    def race(used):
        start.wait(timeout=60)
        try:
            used.spend_part(ONE, "", until=NOW + 60)
            done.append(True)
        except ApprovalRefusedError:
            done.append(False)

    threads = [threading.Thread(target=race, args=(used,)) for used in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(done) == [False, False, False, True]


def test_a_note_that_cannot_be_kept_is_told_and_counts_in_this_process(opened, path):
    told = []
    used = opened(not_kept=told.append)
    path.unlink()
    used.note_made(f"key:{ONE}", now=NOW)
    assert len(told) == 1


@UNHURRIED
@given(
    st.binary(max_size=200)
    | st.from_regex(r"(spent|session|used|uses|made|strongroom-used-v1) [0-9a-f ,:-]{0,90}").map(str.encode)
)
def test_no_line_breaks_the_reader(line):
    known = UsedLines()
    known.take(head_line(0))
    for data in (line, with_checksum(line.decode("latin-1"))[:-1] if line.isascii() else line):
        try:
            known.take_written(data)
        except ValueError:
            continue
    again = UsedLines()
    for said in known.lines(0):
        again.take(said)
    assert again.spent == known.spent


@UNHURRIED
@given(
    st.lists(
        st.tuples(st.sampled_from(["spent", "session", "used", "made"]), st.integers(0, 3), st.integers(0, 10**6)), max_size=30
    )
)  # fmt: skip
def test_a_record_that_is_written_anew_says_the_same(events):
    known = UsedLines()
    known.take(head_line(7))
    for kind, number, at in events:
        nonce, until = f"{number:032x}", NOW + at
        known.take(
            {
                "spent": f"spent {nonce} - {until}",
                "session": f"session {nonce} {at} {until}",
                "used": f"used {nonce} {at} {until}",
                "made": f"made key:{nonce} {NOW}",
            }[kind]
        )
    again = UsedLines()
    for line in known.lines(NOW):
        again.take_written(with_checksum(line)[:-1])
    assert (again.begins, again.spent, again.sessions, again.uses, again.made) == (
        7, known.spent, known.sessions, known.uses, known.made,
    )  # fmt: skip
