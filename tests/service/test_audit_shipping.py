"""A running service ships its log: every entry to a file, while another sink is away; lag is in the metrics and at the command."""

import json
import time

import pytest

from running_service import RunningService, copy_home, free_port
from strongroom.audit import read_entries
from strongroom.shipping import read_record, record_path


@pytest.fixture
def home(initialised_home, tmp_path):
    made = copy_home(initialised_home, tmp_path / "home")
    made.config_file.write_text(
        f"{made.config_file.read_text()}\n"
        '[[audit.sinks]]\nkind = "file"\nname = "lines"\npath = "lines.jsonl"\n'
        '[[audit.sinks]]\nkind = "webhook"\nname = "away"\n'
        f'url = "https://127.0.0.1:{free_port()}/"\nalarm_entries = 3\n'
    )
    return made


def until(is_so, limit_s=60):
    end = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def shipped(home):
    return {
        (one["writer"], one["seq"])
        for one in map(json.loads, (home.root / "lines.jsonl").read_text().splitlines())
    }


def in_log(home):
    return {(entry.writer, entry.seq) for entry in read_entries(home.audit)}


def test_every_entry_arrives_while_another_sink_is_away(home):
    with RunningService(home) as service:
        service.start()
        kms = service.client()
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        for _ in range(20):
            kms.encrypt(KeyId=key, Plaintext=b"x")
        kms.close()
        until(lambda: in_log(home) <= shipped(home))
        until(lambda: 'strongroom_audit_sink_failing{sink="away"} 1' in service.get("/metrics"))
        metrics = service.get("/metrics")
        assert 'strongroom_audit_sink_failing{sink="lines"} 0' in metrics
        assert 'strongroom_audit_sink_lag_entries{sink="away"}' in metrics
        until(lambda: service.events("audit.sink_behind"))
        assert {event["sink"] for event in service.events("audit.sink_failed")} == {"away"}
        assert service.stop() == 0
    assert {entry.event for entry in read_entries(home.audit)} >= {"service.stopped", "audit.sink_failed"}
    last = max(seq for writer, seq in in_log(home) if writer == "main")
    assert ("main", last) in shipped(home), "the last entries go out before the end"
    assert read_record(record_path(home.audit, "away")).positions == {}
