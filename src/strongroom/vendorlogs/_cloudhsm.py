"""The audit log of AWS CloudHSM as Amazon CloudWatch Logs gives it out.

Records as in "Interpreting HSM audit logs" of the user guide, each of them several fields ``name : value`` on lines of their own. They come
as the answer of ``aws logs get-log-events`` or ``filter-log-events`` (a JSON document with ``events``), as one such event a line, or as plain text.
CloudHSM logs management commands only: no use of a key to sign, encrypt or decrypt is in it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from strongroom.vendorlogs._errors import UnknownRecordError, VendorLogError
from strongroom.vendorlogs._record import MAX_LINE_BYTES, Use, VendorRecord, cut, digest_of

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
_MAX_LINES: Final = 64
_FIELD: Final = re.compile(
    r"(?:^|(?<=\s))(Time|Sequence No|Reboot counter|Command Type\s?\(hex\)|Opcode|Session Handle|Response|Log type|User Name|User Type"
    r"|Priv/Secret Key Handle|Public Key Handle)\s{0,4}:\s{0,4}"
)
_MICROS: Final = re.compile(r"usecs:\s{0,4}(\d{1,18})")
_START: Final = re.compile(rb"(?:^|\s)Time\s{0,4}:")
_USES: Final[dict[str, Use]] = {
    "CN_LOGIN": "login",
    "CN_GENERATE_KEY": "make",
    "CN_GENERATE_KEY_PAIR": "make",
    "CN_CREATE_OBJECT": "make",
    "CN_MODIFY_OBJECT": "modify",
    "CN_DESTROY_OBJECT": "destroy",
    "CN_TOMBSTONE_OBJECT": "destroy",
    "CN_WRAP_KEY": "wrap",
    "CN_UNWRAP_KEY": "unwrap",
    "CN_DERIVE_KEY": "derive",
    "CN_NIST_AES_WRAP": "wrap",
}


def read_cloudhsm(lines: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
    """Yield each record as it came, with the name of its stream, empty where that is not told.

    Raises VendorLogError for a JSON document that is too large or no answer of CloudWatch Logs.
    """
    lines = iter(lines)
    first = next((line for line in lines if line.strip()), b"")
    if first.lstrip()[:1] not in {b"{", b"["}:
        yield from ((block, "") for block in _blocks(first, lines))
        return
    event = _decoded(first)
    if isinstance(event, dict) and "message" in event:
        yield _of_event(event, first)
        yield from (_of_event(_decoded(line), line) for line in lines if line.strip())
        return
    yield from (_of_event(each, msgspec.json.encode(each)) for each in _events(first, lines))


def read_record(raw: bytes, stream: str = "") -> VendorRecord:
    """Read one record. Raises UnknownRecordError."""
    if len(raw) > MAX_LINE_BYTES:
        raise UnknownRecordError("the record is too long")
    fields = _fields(raw.decode("utf-8", "backslashreplace"))
    try:
        micros = _MICROS.search(fields["Time"])
        opcode = fields["Opcode"].split(" ", 1)[0]
        response = fields["Response"]
        sequence, reboot = int(fields["Sequence No"], 16), int(fields["Reboot counter"], 16)
    except (KeyError, ValueError) as error:
        raise UnknownRecordError("no record of CloudHSM") from error
    if micros is None or not 0 <= sequence < 1 << 62 or not 0 <= reboot < 1 << 32 or not opcode:
        raise UnknownRecordError("no time or number")
    public = fields.get("Public Key Handle", "")
    return VendorRecord(
        since=int(micros[1]),
        at=int(micros[1]),
        operation=cut(opcode),
        use=_USES.get(opcode, "other"),
        ok="SUCCESS" in response,
        answer=cut(response),
        key=cut(fields.get("Priv/Secret Key Handle", "")),
        other_key="" if public == "0" else cut(public),
        session=cut(fields.get("Session Handle", "")),
        user=cut(" ".join(filter(None, (fields.get("User Name"), fields.get("User Type"))))),
        source=cut(stream),
        epoch=reboot,
        sequence=sequence,
        sha256=digest_of(raw),
    )


def _fields(text: str) -> dict[str, str]:
    found = list(_FIELD.finditer(text))[:_MAX_LINES]
    ends = [*(each.start() for each in found[1:]), len(text)][: len(found)]
    return {
        each[1]: text[each.end() : end].strip().rstrip(",").strip()
        for each, end in zip(found, ends, strict=True)
    }


def _blocks(first: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Put lines of plain text together again: a record begins with its time."""
    block: list[bytes] = [first] if first.strip() else []
    size = len(first)
    for line in lines:
        if block and (_START.search(line[:200]) or len(block) >= _MAX_LINES or size > MAX_LINE_BYTES):
            yield b"".join(block).strip()
            block, size = [], 0
        if line.strip():
            block.append(line if line.endswith(b"\n") else line + b"\n")
            size += len(line)
    if block:
        yield b"".join(block).strip()


def _events(first: bytes, lines: Iterator[bytes]) -> list[Any]:
    parts, size = [first], len(first)
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > MAX_DOCUMENT_BYTES:
            raise VendorLogError(
                f"the JSON document is over {MAX_DOCUMENT_BYTES >> 20} MiB",
                next_step="export it in parts, or as one event a line",
            )
    document = _decoded(b"".join(parts))
    events = document.get("events") if isinstance(document, dict) else document
    if not isinstance(events, list):
        raise VendorLogError(
            "the JSON document has no 'events'", next_step="give the answer of: aws logs get-log-events"
        )
    return events


def _of_event(event: Any, raw: bytes) -> tuple[bytes, str]:
    if not isinstance(event, dict) or not isinstance(event.get("message"), str):
        return raw.strip(), ""
    stream = event.get("logStreamName")
    return event["message"].strip().encode("utf-8", "backslashreplace"), stream if isinstance(
        stream, str
    ) else ""


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
