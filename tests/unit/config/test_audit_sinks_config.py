"""``[[audit.sinks]]``: five kinds, strict, and what no type says is refused."""

import pytest

from strongroom.config import (
    CONFIG_FILE,
    FileSinkConfig,
    StdoutSinkConfig,
    SyslogSinkConfig,
    WebhookSinkConfig,
    load_config,
    render_config,
)
from strongroom.core import ConfigError

MEMBERS = """
version = 1
[[cluster.members]]
name = "one"
profile = "softhsm2"
token_label = "one"
pin = { file = "pins/one" }
"""
SYSLOG = """
[[audit.sinks]]
kind = "syslog"
name = "siem"
host = "logs.example"
ca_file = "tls/logs-ca.pem"
certificate = "tls/logs.pem"
key = "tls/logs.key"
"""
WEBHOOK = '[[audit.sinks]]\nkind = "webhook"\nname = "hook"\nurl = "https://hook.example/audit"\n'


def load(folder, text):
    (folder / CONFIG_FILE).write_text(MEMBERS + text)
    return load_config(folder)


def test_sinks_of_every_kind_are_read_and_written_back_the_same(tmp_path):
    text = (
        SYSLOG
        + '[[audit.sinks]]\nkind = "file"\nname = "lines"\npath = "audit.jsonl"\n'
        + '[[audit.sinks]]\nkind = "stdout"\nname = "journal"\n'
        + WEBHOOK
        + 'token = { file = "hook-token" }\n'
        + '[[audit.sinks]]\nkind = "otlp"\nname = "otel"\nurl = "https://otel.example:4318/v1/logs"\n'
    )
    config = load(tmp_path, text)
    kinds = [type(sink) for sink in config.audit.sinks]
    assert kinds[:4] == [SyslogSinkConfig, FileSinkConfig, StdoutSinkConfig, WebhookSinkConfig]
    (tmp_path / CONFIG_FILE).write_text(render_config(config))
    assert load_config(tmp_path) == config


@pytest.mark.parametrize(
    "text",
    [
        SYSLOG + "hots = 1\n",
        SYSLOG.replace('"syslog"', '"udp"'),
        SYSLOG.replace("key =", "# key ="),
        SYSLOG.replace("certificate =", "# certificate ="),
        SYSLOG + "port = 0\n",
        SYSLOG + "facility = 24\n",
        SYSLOG + "max_bytes = 1000\n",
        SYSLOG.replace('"siem"', '"../siem"'),
        SYSLOG.replace("logs.example", "logs example"),
        SYSLOG + SYSLOG,
        WEBHOOK.replace("https", "http"),
        WEBHOOK.replace("hook.example", "user@hook.example"),
        WEBHOOK + 'certificate = "a.pem"\n',
        WEBHOOK + 'token = { file = "a", credential = "b" }\n',
        '[[audit.sinks]]\nkind = "stdout"\nname = "a"\n[[audit.sinks]]\nkind = "stdout"\nname = "b"\n',
        '[[audit.sinks]]\nkind = "file"\nname = "a"\npath = ""\n',
        '[audit]\nsink = "siem"\n',
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        load(tmp_path, text)
