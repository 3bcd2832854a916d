"""A running service ships its log: every entry to a file, while another sink is away; lag is in the metrics and at the command."""

import json
import re
import time

import pytest
from cryptography import x509

from client_certificates import make_certificate
from rsyslog_server import Rsyslog, missing
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


@pytest.fixture
def rsyslog(tmp_path):
    if lacks := missing():
        pytest.skip(f"needs {lacks}")
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    ca = make_certificate(folder, "ca", "test CA")
    make_certificate(folder, "server", "localhost", ca, [x509.DNSName("localhost")])
    make_certificate(folder, "client", "strongroom", ca, [x509.DNSName("strongroom")])
    server = Rsyslog(folder)
    server.start()
    yield server
    server.close()


def test_calls_are_answered_while_rsyslog_is_frozen_and_gone_and_it_gets_every_entry_then(
    initialised_home, tmp_path, rsyslog
):
    home = copy_home(initialised_home, tmp_path / "home")
    home.config_file.write_text(
        f"{home.config_file.read_text()}\n"
        '[[audit.sinks]]\nkind = "syslog"\nname = "siem"\nhost = "127.0.0.1"\nserver_name = "localhost"\n'
        f'port = {rsyslog.port}\nca_file = "{rsyslog.folder}/ca.pem"\ncertificate = "{rsyslog.folder}/client.pem"\n'
        f'key = "{rsyslog.folder}/client.pem"\nconfirm_every_s = 0.3\ntimeout_s = 1.0\nretry_max_s = 0.5\n'
    )
    found = re.compile(rb'\[strongroom@32473 writer="([a-z0-9-]+)" seq="([0-9]+)"')

    def arrived():
        numbers = (found.search(line) for line in rsyslog.received())
        return {(one[1].decode(), int(one[2])) for one in numbers if one}

    with RunningService(home) as service:
        service.start()
        kms = service.client()
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        until(lambda: in_log(home) <= arrived())
        rsyslog.freeze()
        for _ in range(20):
            kms.encrypt(KeyId=key, Plaintext=b"frozen")
        until(lambda: service.events("audit.sink_failed"))
        rsyslog.kill()
        for _ in range(20):
            kms.encrypt(KeyId=key, Plaintext=b"gone")
        rsyslog.start()
        until(lambda: in_log(home) <= arrived())
        until(lambda: service.events("audit.sink_recovered"))
        kms.close()
