"""Entries of uses: the same bytes as any other entry's, and who waits for a group hears of each entry once."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit import AuditLog, UseEntry, read_entries, verify_log
from strongroom.audit._entry import Entry, encode_entry
from strongroom.audit._tickets import Batch, Tickets
from strongroom.audit._use_entry import UseEncoder
from strongroom.core import AuditUnavailableError, SystemClock
from unit.audit.audit_fakes import FlakyDisk

texts = st.one_of(
    st.sampled_from(
        ["kms.Encrypt", "user/developer", "AKIA", "192.0.2.7", "", "a" * 600, "x\x00y", "\ud800", "é"]
    ),
    st.text(max_size=40),
)
details = st.dictionaries(texts, texts, max_size=3)
uses = st.builds(UseEntry, *[texts] * 7, details)


def usual(request_id="r-1", **changed):
    fields = {
        "event": "kms.Decrypt", "principal": "user/app", "access_key_id": "AKIATEST", "source_address": "192.0.2.7",
        "request_id": request_id, "key_id": "k", "key_version": "v", "detail": {},
    }  # fmt: skip
    return UseEntry(**(fields | changed))


@given(
    writer=st.sampled_from(["api-0", "main"]),
    boot=st.integers(1, 1 << 40),
    seqs=st.lists(st.integers(1, 1 << 62), min_size=4, max_size=4),
    at=st.integers(0, 1 << 62),
    listed=st.lists(uses, min_size=4, max_size=4),
)
def test_the_bytes_are_those_of_any_entry(writer, boot, seqs, at, listed):
    encoder = UseEncoder(writer, boot)
    for seq, use in zip([*seqs, *seqs], [*listed, *listed], strict=True):  # the second time out of kept parts
        fields = {name: getattr(use, name) for name in use.__struct_fields__}
        entry = Entry(
            version=1, writer=writer, seq=seq, boot=boot, at=at, kind="outcome", outcome="ok", **fields
        )
        assert encoder.encode(use, seq, at, encoder.at_part(at)) == encode_entry(entry)


class Heard:
    def __init__(self):
        self.told = []

    def __call__(self, count, error):
        self.told.append((count, error))


@pytest.fixture
def disk():
    return FlakyDisk()


@pytest.fixture
def log(tmp_path, disk):
    made = AuditLog.open(
        tmp_path, "api-0", clock=SystemClock(), retry_after_s=0.02, open_folder=disk.open_folder
    )
    yield made
    disk.decide = lambda _call: None
    made.close()


async def until(what):
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.002)


async def test_entries_of_one_turn_are_durable_when_the_waiter_hears_of_them(log, tmp_path):
    heard = Heard()
    log.record_uses([usual(f"r-{number}") for number in range(50)], heard)
    assert heard.told == []
    await until(lambda: sum(count for count, _ in heard.told) == 50)
    assert all(error is None for _, error in heard.told)
    assert [entry.request_id for entry in read_entries(tmp_path)] == [f"r-{number}" for number in range(50)]
    verify_log(tmp_path)


async def test_a_batch_over_the_size_of_a_group_hears_in_parts_all_of_it_once(log):
    heard = Heard()
    log.record_uses([usual(f"r-{number}", detail={"a": "b" * 400}) for number in range(3_000)], heard)
    await until(lambda: sum(count for count, _ in heard.told) == 3_000)
    assert all(error is None for _, error in heard.told)


@pytest.mark.parametrize("fault", ["lost", "half", "persisted"])
async def test_entries_that_failed_are_told_as_failed_and_are_not_in_the_log(log, disk, tmp_path, fault):
    heard = Heard()
    disk.decide = lambda call: fault if call == "write" else None
    log.record_uses([usual("gone"), usual("gone")], heard)
    await until(lambda: heard.told)
    [(count, error)] = heard.told
    assert count == 2
    assert isinstance(error, AuditUnavailableError)
    with pytest.raises(AuditUnavailableError):
        log.record_uses([usual("refused")] * 3, heard)
    assert log.stats.refused >= 3
    disk.decide = lambda _call: None
    await until(lambda: log.is_writable)
    await log.record("event", "after")
    assert {"gone", "refused"}.isdisjoint(entry.request_id for entry in read_entries(tmp_path))
    assert len(heard.told) == 1


async def test_waiters_of_both_kinds_hear_whatever_a_broken_one_does(log):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["message"]))

    def broken(_count, _error):
        raise RuntimeError("not meant to happen")

    heard = Heard()
    log.record_uses([usual("a")], broken)
    log.record_uses([usual("b")], heard)
    await log.record("event", "e")
    await until(lambda: heard.told and told)
    assert heard.told == [(1, None)]
    assert told == ["a waiter for audit entries broke"]


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    groups=st.lists(st.integers(1, 12), max_size=12),
)
def test_every_ticket_of_a_batch_is_told_once_and_in_order_however_groups_are_cut(sizes, groups):
    loop = asyncio.new_event_loop()
    try:
        tickets, told = Tickets(1), []
        for number, size in enumerate(sizes):
            tickets.issue_many(size)
            tickets.wait_for_newest_batch(size, loop, lambda count, error, number=number: None)
        left = sum(sizes)
        for group in groups:
            took = min(group, left)
            left -= took
            told += tickets.succeed(took)
        durable = sum(batch.stop - batch.first for batch in told)
        told += tickets.fail_all()
        assert all(isinstance(batch, Batch) for batch in told)
        assert durable == sum(sizes) - left
        assert [ticket for batch in told for ticket in range(batch.first, batch.stop)] == [
            *range(1, sum(sizes) + 1)
        ]
        assert tickets.fail_all() == []
    finally:
        loop.close()


async def test_entries_that_cannot_be_encoded_leave_nothing_behind_for_others_to_count(log, tmp_path):
    heard = Heard()
    with pytest.raises(TypeError):
        log.record_uses([usual("first"), usual("second", detail={"n": 7})], heard)
    log.record_uses([usual("third")], heard)
    await until(lambda: heard.told)
    await log.record("event", "after")
    assert heard.told == [(1, None)]
    assert [(entry.seq, entry.request_id) for entry in read_entries(tmp_path)] == [(1, "third"), (2, "")]
    verify_log(tmp_path)
