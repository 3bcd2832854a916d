"""Strangers cannot fill the disk: so many of their refusals are entries, and the rest are counted and told of in sums."""

import asyncio
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditLog, read_entries
from strongroom.core import AuditUnavailableError
from strongroom.service import Refusal, RefusalRules, Refusals
from strongroom.service._refusals import SUM_EVENT, LoudestCounts
from strongroom.testing import FakeClock

CODES = ("InvalidSignatureException", "UnrecognizedClientException", "MissingAuthenticationTokenException")


def stranger(number=0, code=CODES[0], source="192.0.2.1", key="AKIASTRANGER"):
    return Refusal("Decrypt", code, key, source, f"request-{number}")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def log(tmp_path, clock):
    opened = AuditLog.open(tmp_path, "api-0", clock=clock)
    yield opened
    opened.close()


def told(folder):
    singles, sums = [], []
    for entry in read_entries(folder):
        (sums if entry.event == SUM_EVENT else singles).append(entry)
    return singles, sums


async def test_what_is_over_the_rate_is_told_of_in_one_entry(log, clock, tmp_path):
    refusals = Refusals(log, clock=clock, rules=RefusalRules(burst=2, per_minute=6))
    for number in range(5):
        await refusals.record(stranger(number, code=CODES[number % 2], source=f"192.0.2.{number}"))
    await refusals.tell()
    singles, (summed,) = told(tmp_path)
    assert [entry.request_id for entry in singles] == ["request-0", "request-1"]
    assert (summed.kind, summed.detail["count"]) == ("refusal", "3")
    assert json.loads(summed.detail["causes"]) == {CODES[0]: 2, CODES[1]: 1}
    assert json.loads(summed.detail["operations"]) == {"Decrypt": 3}
    assert json.loads(summed.detail["sources"]) == {f"192.0.2.{number}": 1 for number in (2, 3, 4)}
    assert json.loads(summed.detail["access_keys"]) == {"AKIASTRANGER": 3}
    assert refusals.summed == 3


async def test_later_there_are_entries_of_their_own_again(log, clock, tmp_path):
    refusals = Refusals(log, clock=clock, rules=RefusalRules(burst=1, per_minute=6))
    await refusals.record(stranger(1))
    await refusals.record(stranger(2))
    clock.advance(10)
    await refusals.record(stranger(3))
    assert [entry.request_id for entry in told(tmp_path)[0]] == ["request-1", "request-3"]


@pytest.mark.parametrize("flood", ["192.0.2.1", "2001:db8::{:x}"])
async def test_the_noise_of_one_stranger_does_not_take_the_entries_of_another(log, clock, tmp_path, flood):
    refusals = Refusals(log, clock=clock)
    for minute in range(3):
        for number in range(200):
            await refusals.record(stranger(number, source=flood.format(number)))
        await refusals.record(stranger(9_000 + minute, source="198.51.100.7"))
        clock.advance(60)
    singles, _ = told(tmp_path)
    others = [entry for entry in singles if entry.source_address == "198.51.100.7"]
    assert [entry.request_id for entry in others] == ["request-9000", "request-9001", "request-9002"]
    assert len(singles) < 70


async def test_nothing_is_told_where_nothing_was_counted(log, clock, tmp_path):
    refusals = Refusals(log, clock=clock)
    await refusals.tell()
    await refusals.record(stranger())
    await refusals.tell()
    assert [entry.event for entry in read_entries(tmp_path)] == ["kms.Decrypt"]


async def test_refusals_of_who_is_known_are_entries_each(log, clock, tmp_path):
    refusals = Refusals(log, clock=clock, rules=RefusalRules(burst=1, per_minute=1))
    for number in range(5):
        await refusals.record(stranger(number)._replace(principal="user/app"))
    singles, _ = told(tmp_path)
    assert [entry.principal for entry in singles] == ["user/app"] * 5


async def test_nobody_is_counted_while_the_log_cannot_be_written(log, clock):
    refusals = Refusals(log, clock=clock, rules=RefusalRules(burst=1, per_minute=1))
    await refusals.record(stranger())
    log.close()
    with pytest.raises(AuditUnavailableError):
        await refusals.record(stranger())
    assert refusals.summed == 0


async def test_a_sum_that_could_not_be_written_is_part_of_the_next(log, clock, tmp_path):
    refusals = Refusals(log, clock=clock, rules=RefusalRules(burst=1, per_minute=0.001))
    for number in range(4):
        await refusals.record(stranger(number))
    log.close()
    with pytest.raises(AuditUnavailableError):
        await refusals.tell()
    again = AuditLog.open(tmp_path, "api-0", clock=clock)
    try:
        refusals._audit = again
        await refusals.record(stranger(5))
        await refusals.tell()
    finally:
        again.close()
    _, (summed,) = told(tmp_path)
    assert summed.detail["count"] == "4"


async def test_a_hundred_thousand_bad_requests_make_less_than_a_megabyte_of_log(log, clock, tmp_path):
    refusals = Refusals(log, clock=clock)
    for number in range(100_000):
        await refusals.record(
            stranger(number, source=f"2001:db8::{number % 30_000:x}", key=f"AKIA{number:016}")
        )
        if number % 10_000 == 9_999:
            clock.advance(60)
            await refusals.tell()
    log.close()
    singles, sums = told(tmp_path)
    assert len(singles) + sum(int(entry.detail["count"]) for entry in sums) == 100_000
    written = sum(len(path.read_bytes()) for path in tmp_path.rglob("*.wal"))
    assert written < 100_000


STEPS = st.lists(
    st.tuples(st.sampled_from(CODES), st.integers(0, 200), st.booleans(), st.floats(0, 20), st.booleans()),
    max_size=120,
)


@settings(max_examples=30, deadline=None)
@given(steps=STEPS, burst=st.integers(1, 20), per_minute=st.floats(0.1, 100))
def test_entries_and_sums_together_are_all_that_was_refused(tmp_path_factory, steps, burst, per_minute):
    folder, clock = tmp_path_factory.mktemp("log"), FakeClock()

    async def run():
        log = AuditLog.open(folder, "api-0", clock=clock)
        try:
            refusals = Refusals(log, clock=clock, rules=RefusalRules(burst, per_minute))
            for code, source, is_known, wait_s, tells in steps:
                clock.advance(wait_s)
                refusal = stranger(code=code, source=f"192.0.2.{source}")
                await refusals.record(refusal._replace(principal="user/app" if is_known else ""))
                if tells:
                    await refusals.tell()
            await refusals.tell()
        finally:
            log.close()

    asyncio.run(run())
    singles, sums = told(folder)
    assert len(singles) + sum(int(entry.detail["count"]) for entry in sums) == len(steps)
    causes = Counter(entry.outcome for entry in singles)
    for entry in sums:
        causes.update(json.loads(entry.detail["causes"]))
    assert causes == Counter(code for code, *_ in steps)


@given(names=st.lists(st.integers(0, 200).map(str), max_size=2_000))
def test_counts_are_never_too_high_and_the_loudest_is_among_them(names):
    loudest, exact = LoudestCounts(), Counter(names)
    for name in names:
        loudest.add(name)
    assert len(loudest.counts) <= 64
    assert all(0 < count <= exact[name] for name, count in loudest.counts.items())
    for name, count in exact.items():
        assert exact[name] - loudest.counts.get(name, 0) <= len(names) / 65
        assert count <= len(names) / 65 or name in loudest.counts
    assert len(json.loads(loudest.told())) <= 5
