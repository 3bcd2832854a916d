"""Events become JSON lines and audit entries; whoever emits one is never held up by it and never fails."""

import json
import sys

import pytest
import structlog

from strongroom.core import Secret
from strongroom.wiring.events import AuditedEvents, LoggedEvents, configure_logging


@pytest.fixture(autouse=True)
def _logging():
    configure_logging()
    yield
    structlog.reset_defaults()


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def events_in(bench):
    return [entry for entry in bench.entries() if entry.kind == "event"]


class BrokenStream:
    """A log whose disk is full, or whose reader has gone."""

    def __init__(self, error):
        self._error = error

    def write(self, _text):
        raise self._error

    flush = write


def test_an_event_is_one_json_line(capsys):
    LoggedEvents("main").emit("member.failed", member="hsm-a", cause='two\nlines and "quotes"', generation=3)
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "member.failed",
        "level": "info",
        "process": "main",
        "member": "hsm-a",
        "cause": 'two\nlines and "quotes"',
        "generation": 3,
    }


def test_what_json_has_no_form_for_is_shown_by_its_repr(capsys):
    LoggedEvents("main").emit("x", pin=Secret(b"hush"), raw=b"\xff", thing=ValueError("odd"))
    (line,) = lines(capsys)
    assert line["pin"] == "Secret(<4 bytes>)"
    assert "hush" not in str(line)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("closed")]
)
def test_a_log_that_cannot_be_written_harms_nobody(monkeypatch, error):
    events = LoggedEvents("main")
    monkeypatch.setattr(sys, "stderr", BrokenStream(error))
    events.emit("member.failed", member="hsm-a")


async def test_an_audited_event_is_a_line_and_an_entry(bench, capsys):
    events = AuditedEvents("main", bench.audit)
    events.emit("member.failed", member="hsm-a", cause="it hung", generation=3)
    await events.settle()
    (entry,) = events_in(bench)
    assert (entry.event, entry.member) == ("member.failed", "hsm-a")
    assert entry.detail == {"cause": "it hung", "generation": "3"}
    assert [line["event"] for line in lines(capsys)] == ["member.failed"]


async def test_events_are_recorded_in_the_order_in_which_they_happened(bench):
    events = AuditedEvents("main", bench.audit)
    for number in range(50):
        events.emit(f"event-{number}")
    await events.settle()
    assert [entry.event for entry in events_in(bench)] == [f"event-{number}" for number in range(50)]


async def test_while_the_audit_log_cannot_be_written_the_line_tells_what_was_lost(bench, capsys):
    events = AuditedEvents("main", bench.audit)
    bench.disk.decide = lambda call: "lost" if call == "sync" else None
    events.emit("member.failed", member="hsm-a")
    await events.settle()
    bench.audit.close()
    events.emit("member.active", member="hsm-a")
    await events.settle()
    shown = lines(capsys)
    lost = [line["event_lost"] for line in shown if line["event"] == "audit.unavailable"]
    assert lost == ["member.failed", "member.active"]


async def test_settling_with_nothing_to_settle_is_at_once(bench):
    await AuditedEvents("main", bench.audit).settle()
