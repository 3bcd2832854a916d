"""``audit sinks``: state and lag of each sink, from the files of a service that runs or does not."""

import json

import pytest

from cli_support import run
from strongroom.audit import AuditLog
from strongroom.core import SystemClock
from strongroom.shipping import FileSink, Shipper, ShipperLimits, record_path

LIMITS = ShipperLimits(10, 300.0, 20.0, 0.02)


class Quiet:
    def emit(self, event, **fields):
        pass


@pytest.fixture
def sink(home):
    config = home.config_file
    config.write_text(
        f'{config.read_text()}\n[[audit.sinks]]\nkind = "file"\nname = "lines"\npath = "lines.jsonl"\nalarm_entries = 5\n'
    )
    return home


async def write(home, count):
    log = AuditLog.open(home.audit, "api-9", clock=SystemClock())
    for _ in range(count):
        await log.record("event", "test.event")
    log.close()


async def ship(home):
    sink = FileSink(home.root / "lines.jsonl")
    shipper = Shipper("lines", sink, home.audit, LIMITS, events=Quiet(), clock=SystemClock())
    shipper.start()
    await shipper.finish(60)


def shown():
    result = run("audit", "sinks", "--json")
    assert result.exit_code == 0, result.output
    (one,) = json.loads(result.stdout)["sinks"]
    return one


async def test_a_sink_is_new_then_caught_up_then_behind(sink):
    await write(sink, 6)
    before = shown()
    assert (before["state"], before["is_alarm"], before["accepted"]) == ("new", True, 0)
    assert before["lag_entries"] >= 6
    await ship(sink)
    after = shown()
    assert (after["state"], after["lag_entries"], after["lag_s"], after["is_alarm"]) == (
        "caught up",
        0,
        0,
        False,
    )
    await write(sink, 2)
    assert (shown()["state"], shown()["lag_entries"]) == ("behind", 2)
    assert "2 entries" in run("audit", "sinks").stdout


async def test_why_a_sink_fails_is_shown(sink):
    await write(sink, 1)
    (sink.root / "lines.jsonl").mkdir()
    await ship(sink)
    assert shown()["state"] == "failing"
    assert "IsADirectoryError" in shown()["cause"]


def test_a_record_that_cannot_be_read_is_said(sink):
    path = record_path(sink.audit, "lines")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{")
    assert (shown()["state"], "remove it" in shown()["cause"]) == ("unreadable", True)


def test_without_sinks_it_says_where_they_go(home):
    assert "[[audit.sinks]]" in run("audit", "sinks").stdout
