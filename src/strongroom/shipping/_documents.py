"""Entries as JSON: a line each, a batch for a webhook, and OTLP logs (opentelemetry-proto, logs/v1, in JSON)."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from strongroom.audit import Entry
from strongroom.shipping._errors import SinkError
from strongroom.shipping._rfc5424 import severity

_SEVERITIES: Final = {4: (13, "WARN"), 5: (10, "INFO2"), 6: (9, "INFO")}
"""By syslog severity: number and name of OpenTelemetry's log data model."""
_MAX_CAUSE: Final = 200


def json_lines(entries: Sequence[Entry]) -> bytes:
    """Write a line for each entry, as ``strongroom audit tail --json`` does."""
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


def webhook_document(entries: Sequence[Entry], *, host: str) -> bytes:
    """Write a batch: ``{"version":1,"host":...,"entries":[...]}``."""
    return msgspec.json.encode({"version": 1, "host": host, "entries": entries})


def otlp_document(entries: Sequence[Entry], *, host: str, version: str) -> bytes:
    """Write an ExportLogsServiceRequest: one resource, one scope, a record for each entry."""
    resource = {"service.name": "strongroom", "service.version": version, "host.name": host}
    scope = {"name": "strongroom.audit", "version": version}
    records = [_record(entry) for entry in entries]
    return msgspec.json.encode(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeLogs": [{"scope": scope, "logRecords": records}],
                }
            ]
        }
    )


def check_otlp_answer(body: bytes) -> None:
    """Raise SinkError where an ExportLogsServiceResponse says that records were rejected, or is none."""
    if not body.strip():
        return
    try:
        answer = msgspec.json.decode(body)
        partial = answer.get("partialSuccess") or {}
        n_rejected = int(partial.get("rejectedLogRecords") or 0)
        why = str(partial.get("errorMessage", ""))
    except (msgspec.DecodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SinkError("the collector's answer is not one of OTLP") from error
    if n_rejected:
        raise SinkError(f"the collector rejected {n_rejected} records: {why[:_MAX_CAUSE]!a}")


def _record(entry: Entry) -> dict[str, Any]:
    number, name = _SEVERITIES[severity(entry)]
    fields = msgspec.structs.asdict(entry)
    detail = fields.pop("detail")
    at = str(entry.at * 1000)  # 64-bit integers are text in the JSON of protobuf
    attributes = {f"strongroom.{field}": value for field, value in fields.items() if value != ""}
    attributes |= {f"strongroom.detail.{field}": value for field, value in detail.items()}
    return {
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "severityNumber": number,
        "severityText": name,
        "eventName": entry.event,
        "body": {"stringValue": f"{entry.kind} {entry.event} {entry.outcome}".strip()},
        "attributes": _attributes(attributes),
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: str | int) -> dict[str, str]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
