"""``[audit]``: where entries of the audit log are copied to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from strongroom.config._pin_config import SecretSource
from strongroom.core import ConfigError

_Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,30}\Z")]
_Path = Annotated[str, Meta(min_length=1, max_length=1000)]
_Host = Annotated[str, Meta(pattern=r"^[0-9A-Za-z.:_-]{1,253}\Z")]
_Url = Annotated[str, Meta(max_length=1000)]


class _Sink(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="kind"
):
    """A table of the file."""

    name: _Name
    """Under which the position is kept: a sink with a new name is sent the whole log."""
    alarm_entries: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 100_000
    """So many entries behind are an alarm."""
    alarm_s: Annotated[float, Meta(ge=1, le=604_800)] = 300.0
    """So many seconds too."""
    timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0
    """How long one batch may take; then the attempt has failed."""
    retry_max_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 60.0
    """The longest pause between two attempts; the first is one second at most."""


class SyslogSinkConfig(_Sink, frozen=True, kw_only=True, tag="syslog"):
    """A receiver of syslog messages over TLS (RFC 5424, RFC 5425), which knows us by a certificate."""

    host: _Host
    port: Annotated[int, Meta(ge=1, le=65_535)] = 6514
    server_name: Annotated[str, Meta(max_length=253)] = ""
    """The name in the receiver's certificate; ``host`` when empty."""
    ca_file: _Path
    """CA of the receiver's certificate. Paths are relative to the home."""
    certificate: _Path
    key: _Path
    """Ours. All three are read anew for each connection."""
    facility: Annotated[int, Meta(ge=0, le=23)] = 13
    """RFC 5424, table 1; 13 is "log audit"."""
    enterprise: Annotated[int, Meta(ge=1, le=4_294_967_295)] = 32473
    """Private enterprise number in the names of structured data; 32473 is for examples (RFC 5612)."""
    max_bytes: Annotated[int, Meta(ge=4_096, le=65_536)] = 8_192
    """Longest message that the receiver takes."""
    confirm: Literal["close-notify", "end"] = "close-notify"
    """What counts as the receiver's word that it has everything: its close_notify, or any orderly end of the connection."""
    confirm_every_s: Annotated[float, Meta(ge=0, le=600)] = 30.0
    """How long a connection serves before that word is asked for; 10,000 entries at most."""


class FileSinkConfig(_Sink, frozen=True, kw_only=True, tag="file"):
    """A file of JSON lines."""

    path: _Path
    """Relative to the home; made with mode 0600 where it is not there."""


class StdoutSinkConfig(_Sink, frozen=True, kw_only=True, tag="stdout"):
    """JSON lines on the standard output of the main process."""


class _HttpsSink(_Sink, frozen=True, kw_only=True):
    url: _Url
    ca_file: str = ""
    """CA of the server's certificate (path, relative to the home); those of the system when empty."""
    certificate: str = ""
    key: str = ""
    """By which the server may know us; none when empty. Read anew for each connection."""
    token: SecretSource | None = None
    """Sent as ``Authorization: Bearer``; none by default."""


class WebhookSinkConfig(_HttpsSink, frozen=True, kw_only=True, tag="webhook"):
    """An HTTPS server that takes batches of entries as JSON."""


class OtlpSinkConfig(_HttpsSink, frozen=True, kw_only=True, tag="otlp"):
    """An OpenTelemetry collector: logs by OTLP/HTTP in JSON; ``url`` is whole, as in ``https://host:4318/v1/logs``."""


SinkConfig: TypeAlias = (
    SyslogSinkConfig | FileSinkConfig | StdoutSinkConfig | WebhookSinkConfig | OtlpSinkConfig
)


class RefusalsConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """``[audit.refusals]``: of how many requests of strangers that are refused the log has an entry each, by process."""

    burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 60
    """So many at once; beyond them requests are counted, and told of in sums."""
    per_minute: Annotated[float, Meta(gt=0, le=1_000_000)] = 10.0
    """So many in the long run."""
    sum_every_s: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    """How often there is a sum; a process that is killed takes as much of them with it."""


class AuditWitnessConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A witness that is sent every checkpoint, or the newest of them (C2SP tlog-witness)."""

    name: _Name
    """Under which its cosignatures are kept."""
    url: _Url
    """Submission prefix: ``/add-checkpoint`` is added. Cosignatures are verified, so plain HTTP can only keep them away."""
    keys: Annotated[list[Annotated[str, Meta(max_length=4_096)]], Meta(min_length=1, max_length=8)]
    """Its public keys; a cosignature by one of them counts."""
    ca_file: str = ""
    """CA of the server's certificate (path, relative to the home); those of the system when empty."""
    certificate: str = ""
    key: str = ""
    """By which the witness may know us; none when empty."""
    timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0
    """For one request."""
    retry_max_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 60.0
    """The longest pause between two attempts; the first is one second at most."""
    alarm_s: Annotated[float, Meta(ge=1, le=604_800)] = 300.0
    """A checkpoint that waits so long for this witness is an alarm."""


class AuditConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``[audit]``."""

    sinks: Annotated[list[SinkConfig], Meta(max_length=16)] = []
    rotate_hours: Annotated[float, Meta(ge=0.01, le=744)] = 24.0
    """An entry that comes so long after its segment was begun begins another one."""
    hot_days: Annotated[int, Meta(ge=1, le=3_650)] = 92
    """Segments whose newest entry is older are archived."""
    keep_days: Annotated[int, Meta(ge=1, le=36_500)] = 366
    """Nothing younger can be pruned, whoever approves it."""
    archive: Annotated[str, Meta(max_length=1000)] = ""
    """Folder of archived segments, on another volume say; ``audit/archive`` of the home when empty. Relative to the home."""
    refusals: RefusalsConfig = RefusalsConfig()
    context_values: Literal["omitted", "hashed", "clear"] = "omitted"
    """What entries say of the values of encryption contexts; names they say always."""
    context_clear: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=64)
    ] = []
    """Names whose values are told in clear all the same."""
    witnesses: Annotated[list[AuditWitnessConfig], Meta(max_length=16)] = []


def check_retention(audit: AuditConfig, path: Path) -> None:
    """Check what the types do not say. Raises ConfigError."""
    if audit.keep_days < audit.hot_days:
        raise ConfigError(
            f"{path}: audit.keep_days is less than audit.hot_days, and what is not archived is not pruned"
        )


def check_sinks(sinks: Sequence[SinkConfig], path: Path) -> None:
    """Check what the types do not say. Raises ConfigError."""
    names = [sink.name for sink in sinks]
    if len(set(names)) != len(names):
        raise ConfigError(f"{path}: two of audit.sinks have the same name")
    if sum(isinstance(sink, StdoutSinkConfig) for sink in sinks) > 1:
        raise ConfigError(f"{path}: two of audit.sinks are standard output")
    files = [sink.path for sink in sinks if isinstance(sink, FileSinkConfig)]
    if len(set(files)) != len(files):
        raise ConfigError(f"{path}: two of audit.sinks write to the same file")
    for sink in sinks:
        if isinstance(sink, WebhookSinkConfig | OtlpSinkConfig):
            _check_https(sink, path)


def check_witnesses(witnesses: Sequence[AuditWitnessConfig], path: Path) -> None:
    """Check what the types do not say. Raises ConfigError."""
    names = [witness.name for witness in witnesses]
    if len(set(names)) != len(names):
        raise ConfigError(f"{path}: two of audit.witnesses have the same name")
    for witness in witnesses:
        where = f"{path}: audit witness {witness.name}"
        if not _is_address(witness.url, "https", "http") or urlsplit(witness.url).query:
            raise ConfigError(
                f"{where}: url must be an http or https address without user, query and fragment"
            )
        if bool(witness.certificate) != bool(witness.key):
            raise ConfigError(f"{where}: certificate and key go together")


def _is_address(url: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in schemes
            and bool(parts.hostname)
            and parts.port != 0
            and parts.username is None
            and not parts.fragment
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False


def _check_https(sink: WebhookSinkConfig | OtlpSinkConfig, path: Path) -> None:
    where = f"{path}: audit sink {sink.name}"
    if not _is_address(sink.url, "https"):
        raise ConfigError(f"{where}: url must be an https address without user and fragment")
    if bool(sink.certificate) != bool(sink.key):
        raise ConfigError(f"{where}: certificate and key go together")
    if sink.token is not None and (sink.token.file is None) == (sink.token.credential is None):
        raise ConfigError(f"{where}: token needs exactly one of file and credential")
