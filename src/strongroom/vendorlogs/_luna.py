"""The audit log of Thales Luna HSMs as it comes by syslog, or as ``audit log tail`` shows it.

    23,26/11/22 15:00:18,S/N 150718 session 12 Access 234:456 CO container:3 operation LUNA_SIGN_SINGLEPART returned
    RC_OK(0x00000000) (using KEY handle=37),,89487E5E...

(one line). Sequence number, time in UTC, text, and the record's HMAC, which only an HSM of the same audit domain can check:
it is not verified here. The names of operations and the meaning of the fields are from Thales's documents ("Audit Log Categories and
HSM Events", "audit config"); the order of the parts of a line is not documented, and is read leniently (docs/hsm-logs.md).
"""

import datetime as dt
import re
from collections import OrderedDict
from typing import Final, Literal

from strongroom.vendorlogs._errors import UnknownRecordError, VendorLogError
from strongroom.vendorlogs._record import MAX_LINE_BYTES, Use, VendorRecord, cut, digest_of

DateOrder = Literal["ymd", "dmy", "mdy"]

_LINE: Final = re.compile(
    r"(?:^|[\s:\]])(?P<seq>\d{1,18}) {0,40},(?P<date>\d\d/\d\d/\d\d) (?P<clock>\d\d:\d\d:\d\d) {0,40},(?P<text>[^\n]{1,60000})\Z"
)
_HMAC: Final = re.compile(r",\s{0,200}(?P<hmac>[0-9A-Fa-f]{64})\s{0,20}\Z")
_OPERATION: Final = re.compile(r"\boperation\s{1,4}(LUNA_[A-Z0-9_]{1,80})\b")
_ANSWER: Final = re.compile(r"\breturned\s{1,4}([A-Z0-9_]{1,80})(?:\((0x[0-9A-Fa-f]{1,16})\))?")
_SERIAL: Final = re.compile(r"\bS/N\s{1,4}([0-9A-Za-z-]{1,40})")
_SESSION: Final = re.compile(r"\bsession\s{1,4}([0-9A-Fa-fx]{1,20})")
_ACCESS: Final = re.compile(r"\bAccess\s{1,4}([0-9A-Fa-fx:]{1,44})\s{0,4}([^\n]{0,120}?)\s{0,4}\boperation\b")
_KEY: Final = re.compile(
    r"\b(?P<other>wrapped |public )?(?:key ?handle|handle|hkey|ouid|fingerprint)\s{0,4}[=:]\s{0,4}(?P<ref>[0-9A-Za-z:._-]{1,80})",
    re.IGNORECASE,
)
_ISO_DATE: Final = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)T")
_NAMED_DATE: Final = re.compile(
    r"\b(?:(\d{4}) )?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2})\b"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_GOOD: Final = frozenset({"RC_OK", "LUNA_RET_OK", "LUNA_RET_SUCCESS", "CKR_OK"})
_ORDERS: Final[dict[DateOrder, tuple[int, int, int]]] = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}
"""Where year, month and day stand."""
_MAX_OPEN: Final = 4_096

_IN_PARTS: Final[dict[str, Use]] = {
    "SIGN": "sign",
    "VERIFY": "verify",
    "ENCRYPT": "encrypt",
    "DECRYPT": "decrypt",
}
_USES: Final[dict[str, Use]] = {
    **{f"{verb}{end}": use for verb, use in _IN_PARTS.items() for end in ("", "_SINGLEPART", "_END")},
    "DERIVE_KEY": "derive",
    "DERIVE_KEY_AND_WRAP": "derive",
    "WRAP_KEY": "wrap",
    "UNWRAP_KEY": "unwrap",
    "GENERATE_KEY": "make",
    "GENERATE_KEY_PAIR": "make",
    "CREATE_OBJECT": "make",
    "COPY_OBJECT": "modify",
    "MODIFY_OBJECT": "modify",
    "DESTROY_OBJECT": "destroy",
    "LOGIN": "login",
}
"""By the name behind ``LUNA_``. What only begins or continues an operation (``_INIT``, ``_UPDATE``) is no use yet."""


class LunaReader:
    """Reads lines of one log, in their order. For one thread."""

    def __init__(self, *, date_order: DateOrder | None = None) -> None:
        """``date_order`` None: each line has to have a date of syslog's that tells it."""
        self._date_order = date_order
        self._begun: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    def read(self, line: bytes) -> VendorRecord:
        """Read one line. Raises UnknownRecordError, and VendorLogError where the order of the date cannot be told."""
        if len(line) > MAX_LINE_BYTES:
            raise UnknownRecordError("the line is too long")
        text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        found = _LINE.search(text)
        if found is None:
            raise UnknownRecordError("no sequence number and time")
        body = found["text"]
        operation, answer = _OPERATION.search(body), _ANSWER.search(body)
        if operation is None or answer is None:
            raise UnknownRecordError("no operation and answer")
        at = self._at(found["date"], found["clock"], text[: found.start("seq")])
        hmac = _HMAC.search(body)
        told = body if hmac is None else body[: hmac.start()]
        serial, session = _first(_SERIAL, told), _first(_SESSION, told)
        access = _ACCESS.search(told)
        key, other_key = _keys(told)
        where = (serial, session, "" if access is None else access[1])
        return VendorRecord(
            since=at,
            at=at,
            operation=cut(operation[1]),
            use=_USES.get(operation[1].removeprefix("LUNA_"), "other"),
            ok=answer[1] in _GOOD or _is_zero(answer[2]),
            answer=cut(answer[0].removeprefix("returned").strip()),
            key=cut(self._key_of(operation[1], where, key)),
            other_key=cut(other_key),
            session=cut(":".join(part for part in where[1:] if part)),
            user="" if access is None else cut(access[2]),
            source=cut(serial),
            sequence=int(found["seq"]),
            sha256=digest_of(text[found.start("seq") :].encode()),
        )

    def _key_of(self, operation: str, where: tuple[str, str, str], key: str) -> str:
        """Return the key of an operation: what ends one names none, if it was named where that one began in its session."""
        verb, _, end = operation.removeprefix("LUNA_").partition("_")
        place = (where[0], f"{where[1]}/{where[2]}", verb)
        if end == "INIT":
            if key:
                self._begun[place] = key
                self._begun.move_to_end(place)
                while len(self._begun) > _MAX_OPEN:
                    self._begun.popitem(last=False)
            return key
        if end == "UPDATE":
            return key or self._begun.get(place, "")
        begun = self._begun.pop(place, "") if end in {"", "END", "SINGLEPART"} else ""
        return key or begun

    def _at(self, date: str, clock: str, header: str) -> int:
        order = self._date_order or _order_by(date, header)
        parts = [int(part) for part in date.split("/")]
        try:
            day = _date(parts, order)
            hour, minute, second = (int(part) for part in clock.split(":"))
            moment = dt.datetime(*day, hour, minute, second, tzinfo=dt.UTC)
        except ValueError as error:
            raise UnknownRecordError("no such time") from error
        return int(moment.timestamp()) * 1_000_000


def _date(parts: list[int], order: DateOrder) -> tuple[int, int, int]:
    year, month, day = (parts[place] for place in _ORDERS[order])
    return 2000 + year, month, day


def _order_by(date: str, header: str) -> DateOrder:
    """Find the order of a date that can be read in more than one way, from the date that syslog put before it."""
    parts = [int(part) for part in date.split("/")]
    sent = _header_date(header)
    fitting = {}
    for order in _ORDERS:
        try:
            day = dt.date(*_date(parts, order))
        except ValueError:
            continue
        if sent is not None and abs((day - _with_year(sent, day.year)).days) <= 1:
            fitting[order] = day
    if sent is None or len(set(fitting.values())) > 1:
        raise VendorLogError(
            f"the date {date} can be read in more than one way", next_step="say --date-order ymd, dmy or mdy"
        )
    if not fitting:
        raise UnknownRecordError("the time does not fit that of syslog")
    return next(iter(fitting))


def _header_date(header: str) -> tuple[int | None, int, int] | None:
    iso = _ISO_DATE.search(header)
    if iso is not None:
        return int(iso[1]), int(iso[2]), int(iso[3])
    named = _NAMED_DATE.search(header)
    if named is None:
        return None
    return None if named[1] is None else int(named[1]), _MONTHS.index(named[2]) + 1, int(named[3])


def _with_year(sent: tuple[int | None, int, int], year: int) -> dt.date:
    try:
        return dt.date(sent[0] or year, sent[1], sent[2])
    except ValueError as error:
        raise UnknownRecordError("syslog's date is none") from error


def _keys(text: str) -> tuple[str, str]:
    key = other = ""
    for found in _KEY.finditer(text):
        if found["other"]:
            other = other or found["ref"]
        elif not key:
            key = found["ref"]
        else:
            other = other or found["ref"]
    return key, other


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return "" if found is None else found[1]


def _is_zero(code: str | None) -> bool:
    return code is not None and int(code, 16) == 0
