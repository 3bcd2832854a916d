"""What main tells of the HSMs' own logs: once what can be known of them, and in time that they come no more."""

import io
import os
import time
from pathlib import Path

import pytest

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import SystemClock
from strongroom.runtime._hsm_logs import HsmLogs
from strongroom.testing import RecordingEvents
from strongroom.vendorlogs import Import, RecordStore, UseJournal, uses_folder
from strongroom.wiring.hsm_log_status import hsm_log_warnings

LINE = b"1,%s,S/N 1 session 1 Access 1:1 CO operation LUNA_SIGN returned RC_OK(0x00000000),," + b"A" * 64


def member(**settings: object) -> MemberConfig:
    fields = {"name": "a", "profile": "luna", "pin": PinSource(file="pins/a"), "token_label": "t", **settings}
    return MemberConfig(**fields)


def told(home: Path, *members: MemberConfig) -> list[tuple[str, dict[str, object]]]:
    events = RecordingEvents()
    HsmLogs(members, Home(home), events=events).start()
    return [(one.name, one.fields) for one in events.events]


@pytest.mark.parametrize(
    ("settings", "event"),
    [
        ({}, "hsm.audit_logging_unknown"),
        ({"hsm_log": "none"}, "hsm.audit_logging_off"),
        ({"profile": "softhsm2"}, None),
        ({"profile": "aws-cloudhsm"}, None),
    ],
)
def test_what_can_be_known_is_told_at_the_start(
    tmp_path: Path, settings: dict[str, object], event: str | None
) -> None:
    assert [name for name, _ in told(tmp_path, member(**settings))] == ([] if event is None else [event])


def test_the_word_of_the_operator_is_told_as_such(tmp_path: Path) -> None:
    assert "the operator says nothing" in hsm_log_warnings(Home(tmp_path), [member()])[0]
    assert "goes nowhere" in hsm_log_warnings(Home(tmp_path), [member(hsm_log="none")])[0]
    assert hsm_log_warnings(Home(tmp_path), [member(profile="softhsm2")]) == []


async def test_a_log_that_comes_no_more_while_the_hsm_is_used_is_an_alarm(tmp_path: Path) -> None:
    home, events = Home(tmp_path), RecordingEvents()
    watched = member(hsm_log="syslog", hsm_log_silent_s=60.0)
    journal = UseJournal(home.audit, "a", clock=SystemClock())
    journal.note("sign", bytes(16), 1)
    logs = HsmLogs([watched], home, events=events)
    logs.look()
    assert events.events == []

    (path,) = uses_folder(home.audit, "a").iterdir()
    later = time.time() + 7_200
    os.utime(path, (later, later))  # used two hours later
    logs.look()
    logs.look()
    assert [one.name for one in events.events] == ["hsm.log_silent"]
    assert "nothing of its own log was taken in" in hsm_log_warnings(home, [watched])[0]
    assert 'strongroom_hsm_log_silent_seconds{member="a"} 7' in logs.metrics()

    line = LINE % time.strftime("%y/%m/%d %H:%M:%S", time.gmtime(later)).encode()
    taking = Import(RecordStore(home.audit, "a"), "luna-syslog", name="a", now=int(later * 1e6))
    taking.run(io.BytesIO(line), date_order="ymd")
    logs.look()
    assert [one.name for one in events.events] == ["hsm.log_silent", "hsm.log_comes_again"]
    assert hsm_log_warnings(home, [watched]) == []
    journal.close()
    logs.close()
