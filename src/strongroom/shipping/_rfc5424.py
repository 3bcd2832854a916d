"""An entry as a syslog message of RFC 5424, and the octet counting of RFC 5425.

    <PRI>1 TIMESTAMP HOSTNAME strongroom WRITER EVENT [strongroom@PEN writer="..." seq="..." ...][detail@PEN ...] BOM text

Everything that an entry holds stands in the structured data; the text is for people. ``writer`` and ``seq`` tell what is
missing and what came twice.
"""

import datetime as dt
import re
from typing import Final, NamedTuple

from strongroom.audit import Entry

APP_NAME: Final = "strongroom"
_BOM: Final = b"\xef\xbb\xbf"
_MAX_HOSTNAME: Final = 255  # RFC 5424 section 6: the lengths of the header's fields and of SD-NAME
_MAX_PROCID: Final = 128
_MAX_MSGID: Final = 32
_MAX_SD_NAME: Final = 32
_NOT_PRINTUSASCII: Final = re.compile(r"[^!-~]")
_NOT_SD_NAME: Final = re.compile(r'[^!-~]|[="\]]')
_ESCAPED: Final = re.compile(r'["\\\]]')
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SPECIAL: Final = re.compile(f"{_ESCAPED.pattern}|{_UNPRINTABLE.pattern}")
"""What is escaped or replaced; most values have none of it."""
_SHORT: Final = 128
"""Characters to which values are cut in a message that would be too long otherwise."""
_FIELDS: Final = (
    "principal",
    "access_key_id",
    "source_address",
    "request_id",
    "key_id",
    "key_version",
    "outcome",
    "member",
)
_GOOD: Final = frozenset({"", "ok"})
_WARNING, _NOTICE, _INFO = 4, 5, 6  # RFC 5424, table 2


class SyslogStyle(NamedTuple):
    """What stands in every message of one host."""

    hostname: str
    facility: int
    """RFC 5424, table 1: 0 to 23."""
    enterprise: int
    """Private enterprise number of the names of structured data."""
    max_bytes: int
    """Of a message; at least 4,096."""


def syslog_message(entry: Entry, style: SyslogStyle) -> bytes:
    """Write an entry as a message of at most ``style.max_bytes``.

    What does not fit is left out: names of the detail first, then what is over 128 characters in a value, and the text;
    ``left_out`` tells how many of the detail, ``cut`` that values were cut.
    """
    head = _header(entry, style).encode("ascii")
    own = _own_parameters(entry, longest=None)
    main = _element("strongroom", style.enterprise, own)
    room = style.max_bytes - len(head) - 1
    if len(main) > room - _MAX_SD_NAME * 2:
        main = _element(
            "strongroom", style.enterprise, [*_own_parameters(entry, longest=_SHORT), ("cut", "true")]
        )
    data = main + _detail(entry, style, room - len(main))
    text = b" " + _BOM + _text(entry).encode()
    message = head + b" " + data
    return message + text if len(message) + len(text) <= style.max_bytes else message


def framed(message: bytes) -> bytes:
    """Put the length in front of a message (RFC 5425, section 4.3)."""
    return b"%d %b" % (len(message), message)


def severity(entry: Entry) -> int:
    """Return how grave an entry is (RFC 5424, table 2): warning for what failed or was refused, notice for events."""
    if entry.kind == "refusal" or entry.outcome not in _GOOD:
        return _WARNING
    return _NOTICE if entry.kind == "event" else _INFO


def _header(entry: Entry, style: SyslogStyle) -> str:
    priority = style.facility * 8 + severity(entry)
    at = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=entry.at)
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    hostname = _field(style.hostname, _MAX_HOSTNAME)
    writer, event = _field(entry.writer, _MAX_PROCID), _field(entry.event, _MAX_MSGID)
    return f"<{priority}>1 {stamp} {hostname} {APP_NAME} {writer} {event}"


def _field(text: str, most: int) -> str:
    return _NOT_PRINTUSASCII.sub("?", text)[:most] or "-"


def _own_parameters(entry: Entry, *, longest: int | None) -> list[tuple[str, str]]:
    numbers = (("seq", str(entry.seq)), ("boot", str(entry.boot)), ("at", str(entry.at)))
    texts = (("kind", entry.kind), ("event", entry.event))
    fields = ((name, value) for name in _FIELDS if (value := getattr(entry, name)))
    return [
        ("writer", entry.writer),
        *numbers,
        *((name, value[:longest]) for name, value in (*texts, *fields)),
    ]


def _detail(entry: Entry, style: SyslogStyle, room: int) -> bytes:
    """Return an element with as much of the detail as there is room for; nothing where there is none."""
    if not entry.detail:
        return b""
    room -= len(_element("detail", style.enterprise, [("left_out", str(len(entry.detail)))]))
    if room < 0:
        return b""
    kept: list[bytes] = []
    for name, value in entry.detail.items():
        parameter = _parameter(_sd_name(name), value).encode()
        room -= len(parameter)
        if room < 0:
            break
        kept.append(parameter)
    if (n_left := len(entry.detail) - len(kept)) > 0:
        kept.append(_parameter("left_out", str(n_left)).encode())
    return b"[detail@%d%b]" % (style.enterprise, b"".join(kept))


def _element(name: str, enterprise: int, parameters: list[tuple[str, str]]) -> bytes:
    written = "".join([_parameter(parameter, value) for parameter, value in parameters])
    return f"[{name}@{enterprise}{written}]".encode()


def _parameter(name: str, value: str) -> str:
    """Section 6.3.3: a quote, a backslash and a closing bracket are escaped, and nothing else is."""
    if _SPECIAL.search(value) is not None:
        value = _ESCAPED.sub(_with_backslash, _UNPRINTABLE.sub("?", value))
    return f' {name}="{value}"'


def _with_backslash(found: re.Match[str]) -> str:
    return "\\" + found[0]


def _sd_name(name: str) -> str:
    return _NOT_SD_NAME.sub("_", name)[:_MAX_SD_NAME] or "_"


def _text(entry: Entry) -> str:
    who = entry.principal or entry.access_key_id
    facts = (
        entry.kind,
        entry.event,
        entry.outcome,
        f"by {who}" if who else "",
        f"key {entry.key_id}" if entry.key_id else "",
    )
    return _UNPRINTABLE.sub("?", " ".join(fact for fact in facts if fact))
