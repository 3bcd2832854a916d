"""The sinks of ``[[audit.sinks]]``, made of the configuration."""

import functools
import socket
from pathlib import Path
from typing import Final

from strongroom import __version__
from strongroom.config import (
    FileSinkConfig,
    Home,
    OtlpSinkConfig,
    SinkConfig,
    StdoutSinkConfig,
    SyslogSinkConfig,
    WebhookSinkConfig,
    read_token,
)
from strongroom.core import Clock
from strongroom.shipping import (
    FileSink,
    HttpsReceiver,
    HttpsSink,
    Sink,
    StreamSink,
    SyslogReceiver,
    SyslogSink,
    SyslogStyle,
    TlsFiles,
    check_otlp_answer,
    otlp_document,
    webhook_document,
)

_STDOUT: Final = 1


def kind_of(config: SinkConfig) -> str:
    """Return the kind of a sink as the configuration calls it."""
    return str(config.__struct_config__.tag)


def make_sink(config: SinkConfig, home: Home, *, clock: Clock) -> Sink:
    """Make a sink. Opens, reads and connects to nothing yet: what is wrong is told when it is tried."""
    match config:
        case FileSinkConfig():
            return FileSink(home.root / config.path)
        case StdoutSinkConfig():
            return StreamSink(_STDOUT)
        case SyslogSinkConfig():
            return _syslog(config, home, clock)
        case WebhookSinkConfig() | OtlpSinkConfig():
            return _https(config, home, clock)


def _syslog(config: SyslogSinkConfig, home: Home, clock: Clock) -> Sink:
    files = TlsFiles(home.root / config.ca_file, home.root / config.certificate, home.root / config.key)
    receiver = SyslogReceiver(
        config.host,
        config.port,
        config.server_name or config.host,
        files,
        config.timeout_s,
        config.confirm == "close-notify",
    )
    style = SyslogStyle(socket.gethostname(), config.facility, config.enterprise, config.max_bytes)
    return SyslogSink(receiver, style, hold_s=config.confirm_every_s, clock=clock)


def _https(config: WebhookSinkConfig | OtlpSinkConfig, home: Home, clock: Clock) -> Sink:
    def path(name: str) -> Path | None:
        return home.root / name if name else None

    token = None if config.token is None else functools.partial(read_token, config.token, home.root)
    files = TlsFiles(path(config.ca_file), path(config.certificate), path(config.key))
    receiver = HttpsReceiver(config.url, files, config.timeout_s, token)
    host = socket.gethostname()
    if isinstance(config, OtlpSinkConfig):
        document = functools.partial(otlp_document, host=host, version=__version__)
        return HttpsSink(receiver, document=document, check=check_otlp_answer, clock=clock)
    batch = functools.partial(webhook_document, host=host)
    return HttpsSink(receiver, document=batch, check=_anything, clock=clock)


def _anything(_body: bytes) -> None:
    """A webhook's answer is its status alone."""
