"""Each use that an HSM tells is one of ours or told; clocks that differ, and keys without a name, change nothing about it."""

import os
import resource
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import MemberFailedError
from strongroom.testing import FakeClock
from strongroom.vendorlogs import (
    Comparison,
    Limits,
    RecordStore,
    Use,
    UseJournal,
    UseRow,
    VendorLogError,
    VendorRecord,
    compare_logs,
    covered_since,
    read_uses,
    uses_folder,
)

KEY, OTHER = "aa" * 16, "bb" * 16
START = 1_800_000_000


def record(second: float, *, use: Use = "sign", key: str = "7", until: float | None = None) -> VendorRecord:
    at = int((second if until is None else until) * 1_000_000)
    return VendorRecord(
        since=int(second * 1_000_000), at=at, operation=use, use=use, key=key, sha256=f"{at:064x}"
    )


def row(second: int, calls: int = 1, *, use: Use = "sign", key: str = KEY) -> UseRow:
    return UseRow(second, use, key, 5, calls, 0)


def compared(
    records: list[VendorRecord], rows: list[UseRow], *, offset_s: float | None = 0.0, covered_since: int = 0
) -> Comparison:
    ordered = sorted(records, key=lambda each: each.since)
    return compare_logs(
        lambda: iter(ordered),
        lambda: iter(sorted(rows)),
        limits=Limits(covered_since=covered_since * 1_000_000),
        names={"7": KEY, "8": OTHER},
        offset_s=offset_s,
    )


def test_uses_that_both_know_are_nothing_to_tell() -> None:
    found = compared([record(START + step) for step in range(20)], [row(START + step) for step in range(20)])

    assert (found.matched, found.unknown, found.ours_only) == (20, 0, 0)


def test_one_use_more_in_the_hsm_is_found_among_many() -> None:
    records = [record(START + step / 10) for step in range(200)]

    found = compared([*records, record(START + 7.5)], [row(START + step, 10) for step in range(20)])

    assert (found.matched, found.unknown, found.ours_only) == (200, 1, 0)


def test_a_use_by_another_key_is_found_although_the_numbers_are_the_same() -> None:
    found = compared([record(START), record(START + 1, key="8"), record(START + 2)], [row(START, 3)])

    assert (found.unknown, found.first_unknown[0].key) == (1, "8")
    assert found.ours_only == 1


def test_a_record_that_is_missing_is_told() -> None:
    found = compared([record(START), record(START + 60)], [row(START), row(START + 30), row(START + 60)])

    assert (found.matched, found.unknown, found.ours_only) == (2, 0, 1)


def test_what_the_log_cannot_have_yet_is_not_missing() -> None:
    found = compared([record(START)], [row(START - 60), row(START), row(START + 60)])

    assert (found.matched, found.ours_only) == (1, 0)


def test_a_key_without_a_name_is_compared_by_use_and_time() -> None:
    records = [record(START + step, key="0x99") for step in range(5)]

    assert compared(records, [row(START, 5)]).unknown == 0
    assert compared(records, [row(START, 4)]).unknown == 1
    assert compared(records, [row(START, 5, use="decrypt")]).unknown == 5


@pytest.mark.parametrize("offset", [-540, -61, 0, 61, 540])
def test_a_clock_that_is_minutes_off_is_measured(offset: int) -> None:
    seconds = [START + step * step for step in range(40)]
    records = [record(second + offset) for second in seconds]

    found = compared(
        [*records, record(START + 333 + offset)], [row(second) for second in seconds], offset_s=None
    )

    assert abs(found.offset_s - offset) <= 2
    assert (found.matched, found.unknown, found.ours_only) == (40, 1, 0)


def test_a_device_without_a_clock_is_compared_between_its_readings() -> None:
    early = [record(START, until=START + 3600) for _ in range(3)]
    late = [record(START + 3600, until=START + 7200) for _ in range(2)]

    assert compared([*early, *late], [row(START + 5, 3), row(START + 4000, 2)]).unknown == 0
    found = compared([*early, *late], [row(START + 5, 4), row(START + 4000, 1)])
    assert (found.unknown, found.ours_only) == (1, 1)


def test_records_from_before_we_counted_alarm_nobody_and_those_at_its_beginning_are_paired() -> None:
    records = [record(START - 60), record(START - 2), record(START - 1), record(START + 60)]

    found = compared(records, [row(START)], covered_since=START)

    assert (found.matched, found.not_covered, found.unknown) == (1, 2, 1)


def test_uses_that_an_hsm_cannot_log_are_not_missing_from_its_log() -> None:
    records = [record(START, use="make"), record(START + 60, use="make")]
    rows = [row(START, use="make"), row(START + 30), row(START + 60, use="make")]

    found = compare_logs(
        lambda: iter(records),
        lambda: iter(rows),
        limits=Limits(uses=("make",)),
        names={"7": KEY},
        offset_s=0.0,
    )

    assert (found.matched, found.unknown, found.ours_only) == (2, 0, 0)


def test_what_is_no_use_is_counted_by_name_and_alarms_nobody() -> None:
    records = [record(START, use="login"), record(START, use="other"), record(START, use="unknown")]

    found = compared(records, [])

    assert (found.unknown, found.not_understood, found.not_compared) == (0, 1, {"login": 1, "other": 1})


_SECONDS = st.lists(st.integers(START, START + 40), max_size=25)


@given(_SECONDS, _SECONDS)
def test_as_few_records_are_left_as_can_be(hsm: list[int], ours: list[int]) -> None:
    found = compared([record(second) for second in hsm], [row(s, n) for s, n in Counter(ours).items()])

    assert found.unknown == len(hsm) - _most_pairs(hsm, ours)


def _most_pairs(hsm: list[int], ours: list[int]) -> int:
    """The size of a largest matching, by augmenting paths."""
    taken: dict[int, int] = {}

    def place(one: int, seen: set[int]) -> bool:
        for other, second in enumerate(ours):
            if other not in seen and -5 <= hsm[one] - second <= 6:  # a call of ours has its second
                seen.add(other)
                if other not in taken or place(taken[other], seen):
                    taken[other] = one
                    return True
        return False

    return sum(place(one, set()) for one in range(len(hsm)))


def test_calls_of_a_second_share_a_row_that_is_there_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    journal = UseJournal(tmp_path, "hsm-a", clock=clock)
    for _ in range(3):
        journal.note("sign", bytes.fromhex(KEY), 9)
    journal.note_failure("sign", bytes.fromhex(KEY), 9)
    journal.note("make", b"", 0)

    second = int(clock.now())  # read while the journal is still open: nothing waits in memory
    assert sorted(read_uses(tmp_path, "hsm-a")) == [
        UseRow(second, "make", "00" * 16, 0, 1, 0),
        UseRow(second, "sign", KEY, 9, 3, 1),
    ]
    assert covered_since(tmp_path, "hsm-a") == int(clock.now() * 1e6)
    journal.close()


def test_workers_of_a_member_are_read_together_in_order(tmp_path: Path) -> None:
    clock = FakeClock()
    journals = [UseJournal(tmp_path, "hsm-a", clock=clock) for _ in range(2)]
    for step in range(6):
        clock.advance(1)
        journals[step % 2].note("sign", bytes.fromhex(KEY), 1)

    seconds = [each.second for each in read_uses(tmp_path, "hsm-a")]
    assert len(seconds) == 6
    assert seconds == sorted(seconds)
    for journal in journals:
        journal.close()


def test_a_use_that_cannot_be_noted_is_refused(tmp_path: Path) -> None:
    journal = UseJournal(tmp_path, "hsm-a", clock=FakeClock())
    journal.close()

    with pytest.raises(MemberFailedError, match="cannot be noted"):
        journal.note("sign", bytes(16), 1)


def test_a_journal_that_cannot_go_on_in_a_new_file_writes_into_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.vendorlogs._journal.MAX_FILE_BYTES", 64)
    clock = FakeClock()
    journal = UseJournal(tmp_path, "hsm-a", clock=clock)
    journal.note("sign", bytes(16), 1)
    clock.advance(1)
    folder = uses_folder(tmp_path, "hsm-a")
    folder.rename(tmp_path / "away")
    folder.write_bytes(b"")  # no file can be made there
    with pytest.raises(MemberFailedError, match="cannot be noted"):
        journal.note("sign", bytes(16), 1)
    with (tmp_path / "other").open("wb") as other:  # gets the lowest number that is free
        with pytest.raises(MemberFailedError, match="cannot be noted"):
            journal.note("sign", bytes(16), 1)
        assert os.fstat(other.fileno()).st_size == 0
    folder.unlink()
    (tmp_path / "away").rename(folder)
    journal.note("sign", bytes(16), 1)
    journal.close()
    assert sum(row.calls for row in read_uses(tmp_path, "hsm-a")) == 2


def test_workers_that_start_again_and_again_leave_so_many_journals_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.vendorlogs._journal.MAX_FILES", 5)
    clock = FakeClock()
    for _ in range(12):
        clock.advance(1)
        journal = UseJournal(tmp_path, "hsm-a", clock=clock)
        journal.note("sign", bytes(16), 1)
        journal.close()
    assert [row.second for row in read_uses(tmp_path, "hsm-a")] == [
        int(clock.now()) - ago for ago in range(4, -1, -1)
    ]
    assert covered_since(tmp_path, "hsm-a") == int((clock.now() - 4) * 1e6)


def test_more_journals_and_imports_than_files_can_be_open_are_read(tmp_path: Path) -> None:
    clock, store, count = FakeClock(), RecordStore(tmp_path, "hsm-a"), 150
    for number in range(count):
        journal = UseJournal(tmp_path, "hsm-a", clock=clock)
        journal.note("sign", bytes.fromhex(KEY), 1)
        journal.close()
        store.add([record(number)])
        clock.advance(1)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(tmp_path, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 20, limits[1]))
    try:
        assert (len(list(read_uses(tmp_path, "hsm-a"))), len(list(store.read()))) == (count, count)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_journals(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    audit = tmp_path_factory.mktemp("audit")
    folder = uses_folder(audit, "hsm-a")
    folder.mkdir(parents=True)
    (folder / f"{START}-{os.getpid()}.uses").write_bytes(data)
    try:
        list(read_uses(audit, "hsm-a"))
    except VendorLogError:
        return
    assert len(data) < 32 or data.startswith(b"SR-USES")
