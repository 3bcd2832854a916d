"""The shipper: at least once, whatever a sink does; nothing kept before it was accepted; lag and alarms."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditLog, LogHeads
from strongroom.shipping import (
    PositionsUnreadableError,
    SinkError,
    SinkRecord,
    needed_segments,
    read_record,
    record_path,
)
from unit.shipping.shipping_fakes import CLOCK, KeptEvents, KeptSink, refusing, shipper_to, until, write


def seqs(entries):
    return [entry.seq for entry in entries]


@pytest.fixture
def ship(audit):
    """Start shippers; all of them are closed at the end."""
    started = []

    def start(sink, events=None, **limits):
        shipper = shipper_to(sink, audit, events, **limits)
        shipper.start()
        started.append(shipper)
        return shipper

    yield start
    for shipper in started:
        shipper.close()


async def test_what_is_in_the_log_and_what_comes_later_is_shipped_in_order(open_log, ship):
    log, sink = open_log(), KeptSink()
    await write(log, 3)
    ship(sink)
    await until(lambda: len(sink.accepted) == 3)
    await write(log, 2)
    await until(lambda: len(sink.accepted) == 5)
    assert seqs(sink.accepted) == [1, 2, 3, 4, 5]


async def test_a_second_start_goes_on_where_the_first_was_confirmed(open_log, ship, audit):
    log, sink = open_log(), KeptSink()
    await write(log, 3)
    await (first := ship(sink)).finish(60)
    assert seqs(sink.accepted) == [1, 2, 3]
    assert first.standing.accepted == 3
    await write(log, 2)
    await ship(sink).finish(60)
    assert seqs(sink.accepted) == [1, 2, 3, 4, 5]
    kept = read_record(record_path(audit, "lines"))
    assert (kept.accepted, kept.positions["main"].at.seq, kept.failure) == (5, 6, "")


@pytest.mark.parametrize("failing", ["send", "confirm"])
async def test_what_was_not_accepted_is_sent_again(open_log, ship, failing):
    log, sink, events = open_log(), KeptSink(), KeptEvents()
    await write(log, 5)
    failures = iter([SinkError("no"), OSError("broken"), RuntimeError("nobody foresaw it")])

    def fault(call):
        if call == failing and (error := next(failures, None)) is not None:
            raise error

    sink.fault = fault
    shipper = ship(sink, events)
    await until(lambda: len(sink.accepted) >= 5)
    await until(lambda: not shipper.standing.is_failing)
    assert seqs(sink.accepted) == [1, 2, 3, 4, 5]
    assert events.names() == ["audit.sink_failed", "audit.sink_recovered"]
    assert shipper.standing.failures == 3


async def test_no_position_is_kept_before_the_sink_has_confirmed(open_log, ship, audit):
    log, sink = open_log(), KeptSink()
    await write(log, 5)
    sink.fault = lambda call: refusing()(call) if call == "confirm" else None
    shipper = ship(sink)
    await until(lambda: shipper.standing.failures >= 2)
    assert read_record(record_path(audit, "lines")).positions == {}
    shipper.close()
    sink.fault = lambda call: None
    await ship(sink).finish(60)
    assert seqs(sink.accepted) == [1, 2, 3, 4, 5]


async def test_a_failure_is_kept_for_people_until_it_is_over(open_log, ship, audit):
    log, sink = open_log(), KeptSink()
    await write(log, 1)
    sink.fault = refusing("the disk of the receiver is full")
    shipper = ship(sink)
    await until(lambda: read_record(record_path(audit, "lines")).failing_since is not None)
    assert "disk of the receiver" in read_record(record_path(audit, "lines")).failure
    sink.fault = lambda call: None
    await until(lambda: shipper.standing.accepted == 1)
    assert read_record(record_path(audit, "lines")).failing_since is None


async def test_a_sink_that_hangs_is_left_and_holds_up_neither_the_loop_nor_another_sink(open_log, audit):
    log, hanging, other = open_log(), KeptSink(), KeptSink()
    await write(log, 2)
    hanging.fault = lambda call: hanging.may_go.wait(60)
    first, second = shipper_to(hanging, audit, timeout_s=0.05), shipper_to(other, audit)
    second.name, second._path = "other", record_path(audit, "other")
    first.start()
    second.start()
    try:
        await until(lambda: len(other.accepted) == 2)
        await until(lambda: first.standing.failures >= 1)
        hanging.fault = lambda call: None
        await until(lambda: first.standing.accepted >= 2)
    finally:
        first.close()
        second.close()
    assert set(seqs(hanging.accepted)) == {1, 2}


async def test_a_batch_that_is_too_much_is_made_smaller(open_log, ship):
    log, sink = open_log(), KeptSink()
    await write(log, 40)

    class Small(KeptSink):
        def send(self, entries):
            if len(entries) > 9:
                raise SinkError("too large", is_too_much=True)
            super().send(entries)

    sink = Small()
    ship(sink)
    await until(lambda: len(sink.accepted) == 40)
    assert max(sink.batches) <= 9
    assert seqs(sink.accepted) == list(range(1, 41))


async def test_a_backlog_goes_out_in_bounded_batches(open_log, ship):
    log, sink = open_log(), KeptSink(hold_entries=2000)
    tickets = [log.append("event", "e") for _ in range(1700)]
    await log.commit(tickets[-1])
    await ship(sink).finish(60)
    assert seqs(sink.accepted) == list(range(1, 1701))
    assert max(sink.batches) <= 500


async def test_lag_is_told_and_an_alarm_is_raised_and_ended(open_log, ship, audit):
    log, sink, events = open_log(), KeptSink(), KeptEvents()
    await write(log, 12)
    sink.fault = refusing("away")
    shipper = ship(sink, events, alarm_entries=10)
    await until(lambda: shipper.standing.failures >= 1)
    heads = LogHeads(audit)
    shipper.look(heads.look())
    shipper.look(heads.look())
    assert shipper.standing.lag_entries == 12
    assert shipper.standing.lag_s > 0
    sink.fault = lambda call: None
    await until(lambda: shipper.standing.accepted == 12)
    shipper.look(heads.look())
    assert (shipper.standing.lag_entries, shipper.standing.lag_s) == (0, 0.0)
    named = [name for name in events.names() if name in {"audit.sink_behind", "audit.sink_caught_up"}]
    assert named == ["audit.sink_behind", "audit.sink_caught_up"]


async def test_old_entries_that_wait_are_an_alarm_too(open_log, ship, audit):
    log, sink, events = open_log(), KeptSink(), KeptEvents()
    await write(log, 1)
    sink.fault = refusing("away")
    shipper = ship(sink, events, alarm_s=0.01)
    await until(lambda: shipper.standing.failures >= 2)
    shipper.look(LogHeads(audit).look())
    assert "audit.sink_behind" in events.names()


async def test_damage_of_one_log_and_gaps_are_told_once(open_log, ship, audit):
    log, sink, events = open_log(segment_bytes=1000), KeptSink(), KeptEvents()
    await write(log, 20)
    bad = open_log("api-0")
    await write(bad, 2)
    (audit / "wal" / "main" / "00000001.wal").unlink()
    path = audit / "wal" / "api-0" / "00000001.wal"
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(data)
    await ship(sink, events).finish(60)
    assert sorted(events.names()) == ["audit.sink_gap", "audit.sink_stuck"]
    assert seqs(sink.accepted)[-1] == 20
    assert set(read_record(record_path(audit, "lines")).stuck) == {"api-0"}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version":2}', b'{"positions":{"main":{}}}', b"{\x00}", b"[" * 9000]
)
async def test_a_record_that_nobody_wrote_is_refused_and_nothing_is_sent(open_log, ship, audit, content):
    log, sink, events = open_log(), KeptSink(), KeptEvents()
    await write(log, 1)
    path = record_path(audit, "lines")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(PositionsUnreadableError):
        read_record(path)
    shipper = ship(sink, events)
    await until(lambda: shipper.standing.failures >= 1)
    assert sink.accepted == []
    assert path.read_bytes() == content


async def test_segments_that_a_sink_has_yet_to_read_are_named(open_log, ship, audit):
    assert needed_segments(audit, []) is None
    log, sink = open_log(segment_bytes=1000), KeptSink()
    await write(log, 20)
    assert needed_segments(audit, ["lines"]) == {}
    await ship(sink).finish(60)
    last = len(list((audit / "wal" / "main").glob("*.wal")))
    assert needed_segments(audit, ["lines"]) == {"main": last}
    assert needed_segments(audit, ["lines", "new"]) == {}
    await write(log, 20)
    assert needed_segments(audit, ["lines"]) == {"main": last}


@settings(max_examples=15, deadline=None)
@given(
    faults=st.lists(st.integers(0, 5), max_size=25),
    restarts=st.integers(0, 3),
    rounds=st.lists(st.integers(1, 9), max_size=4),
)
def test_whatever_fails_and_is_started_again_every_entry_is_accepted_and_none_before_its_forerunner(
    tmp_path_factory, faults, restarts, rounds
):
    audit = tmp_path_factory.mktemp("faults") / "audit"
    sink, coming = KeptSink(hold_entries=4, hold_s=0.01), iter(faults)

    def fault(call):
        match next(coming, 9):
            case 0:
                raise SinkError("no")
            case 1:
                raise OSError("broken")

    sink.fault = fault

    async def run():
        log = AuditLog.open(audit, "main", clock=CLOCK, segment_bytes=700)
        for count in rounds:
            await write(log, count)
            for _ in range(restarts):
                shipper = shipper_to(sink, audit, retry_max_s=0.001)
                shipper.start()
                await shipper.finish(60)
        for _ in range(len(faults) + 1):
            shipper = shipper_to(sink, audit, retry_max_s=0.001)
            shipper.start()
            await shipper.finish(60)
        log.close()

    asyncio.run(run())
    highest = 0
    for seq in seqs(sink.accepted):
        assert seq <= highest + 1
        highest = max(highest, seq)
    assert highest == sum(rounds)


def test_no_record_is_the_start(audit):
    assert read_record(record_path(audit, "new")) == SinkRecord()


async def test_positions_lie_with_the_log_for_the_owner_alone(open_log, ship, audit):
    await write(open_log(), 1)
    await ship(KeptSink()).finish(60)
    path = record_path(audit, "lines")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert CLOCK.now() - (read_record(path).accepted_at or 0) < 600
