"""Messages of RFC 5424, read back by a strict reader of its grammar (section 6), whatever an entry holds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit import Entry
from strongroom.shipping import SyslogStyle, framed, syslog_message

STYLE = SyslogStyle("kms-1.example", 13, 32473, 8192)
NIL = "-"
HEADER = re.compile(
    rb"<(0|[1-9][0-9]{0,2})>1 "
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z) "
    rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
SD_ID = re.compile(rb"\[([!#-<>-\\^-~]{1,32})(?=[ \]])")
PARAMETER = re.compile(rb' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"')


def read(message):
    """Return (priority, header fields, [(sd id, [(name, value)])], text) of a message that is one, else fail."""
    header = HEADER.match(message)
    assert header, message[:400]
    at, elements = header.end(), []
    while message[at : at + 1] == b"[":
        opened = SD_ID.match(message, at)
        assert opened, message[at:]
        at, parameters = opened.end(), []
        while found := PARAMETER.match(message, at):
            value = re.sub(rb'\\(["\\\]])', rb"\1", found[2]).decode("utf-8", "strict")
            parameters.append((found[1].decode(), value))
            at = found.end()
        assert message[at : at + 1] == b"]", message[at:]
        at += 1
        elements.append((opened[1].decode(), parameters))
    rest = message[at:]
    text = None
    if rest:
        assert rest.startswith(b" \xef\xbb\xbf"), "UTF-8 text begins with the BOM (section 6.4)"
        text = rest[4:].decode("utf-8", "strict")
    assert int(header[1]) <= 191
    return int(header[1]), [field.decode() for field in header.groups()[1:]], elements, text


def entry(**fields):
    given = {"version": 1, "writer": "api-0", "seq": 7, "boot": 2, "at": 1_800_000_000_123_456}
    return Entry(**{**given, "kind": "outcome", "event": "kms.Decrypt", **fields})


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=512)
ANY = st.text(max_size=60)
ENTRIES = st.builds(
    entry,
    writer=st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True),
    seq=st.integers(1, 2**62),
    at=st.integers(0, 4_000_000_000_000_000),
    kind=st.sampled_from(["intent", "outcome", "event", "refusal"]),
    event=TEXTS,
    principal=TEXTS,
    access_key_id=TEXTS,
    request_id=ANY,
    key_id=TEXTS,
    key_version=TEXTS,
    source_address=TEXTS,
    outcome=TEXTS,
    member=ANY,
    detail=st.dictionaries(ANY, TEXTS, max_size=8),
)


@given(ENTRIES, st.integers(4096, 20_000), st.text(max_size=300))
def test_every_entry_is_a_message_within_its_bounds(one, max_bytes, hostname):
    message = syslog_message(one, SyslogStyle(hostname, 13, 4_294_967_295, max_bytes))
    assert len(message) <= max_bytes
    _, fields, elements, _ = read(message)
    own = dict(elements[0][1])
    assert (own["writer"], own["seq"], own["at"]) == (one.writer, str(one.seq), str(one.at))
    assert fields[2:4] == ["strongroom", one.writer]


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=100),
    st.text('"\\]x', max_size=100),
)
def test_values_come_back_as_they_were(plain, special):
    elements = read(syslog_message(entry(principal=plain, key_id=special, detail={"a": special}), STYLE))[2]
    own = dict(elements[0][1])
    assert (own.get("principal", ""), own.get("key_id", "")) == (plain, special)
    assert elements[1] == ("detail@32473", [("a", special)])


def test_a_whole_message_is_as_the_docs_show_it():
    one = entry(principal="user/app", key_id="k-1", outcome="ok", detail={"context": '["a"]'})
    assert syslog_message(one, STYLE) == (
        b"<110>1 2027-01-15T08:00:00.123456Z kms-1.example strongroom api-0 kms.Decrypt "
        b'[strongroom@32473 writer="api-0" seq="7" boot="2" at="1800000000123456" kind="outcome" '
        b'event="kms.Decrypt" principal="user/app" key_id="k-1" outcome="ok"]'
        b'[detail@32473 context="[\\"a\\"\\]"] \xef\xbb\xbfoutcome kms.Decrypt ok by user/app key k-1'
    )


def test_the_length_of_a_frame_is_in_octets():
    assert framed("é".encode()) == b"2 \xc3\xa9"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"outcome": "ok"}, 6),
        ({"outcome": "AccessDenied"}, 4),
        ({"kind": "refusal"}, 4),
        ({"kind": "event"}, 5),
        ({"kind": "intent"}, 6),
    ],
)
def test_what_failed_is_a_warning(fields, expected):
    assert read(syslog_message(entry(**fields), STYLE))[0] == 13 * 8 + expected


@pytest.mark.parametrize("hostname", ["", "höst name", "x" * 300])
def test_header_fields_are_printable_and_within_their_lengths(hostname):
    _, (_, host, _, _, event), *_ = read(
        syslog_message(
            entry(event="kms.GenerateDataKeyPairWithoutPlaintext"), STYLE._replace(hostname=hostname)
        )
    )
    assert 1 <= len(host) <= 255
    assert event == "kms.GenerateDataKeyPairWithoutPl"


def test_names_of_the_detail_that_are_none_of_syslog_are_made_so():
    _, _, elements, _ = read(syslog_message(entry(detail={'a]="b': "1", "": "2", "n" * 99: "3"}), STYLE))
    assert [name for name, _ in elements[1][1]] == ["a___b", "_", "n" * 32]


def test_what_does_not_fit_is_left_out_and_counted():
    one = entry(detail={f"n{number}": "x" * 500 for number in range(12)})
    _, _, elements, _ = read(syslog_message(one, STYLE._replace(max_bytes=4096)))
    kept = dict(elements[1][1])
    assert int(kept.pop("left_out")) == 12 - len(kept)
    assert kept


def test_values_are_cut_where_the_own_fields_alone_are_too_long():
    long = '"' * 512
    one = entry(principal=long, key_id=long, request_id=long, member=long, outcome=long, access_key_id=long)
    _, _, elements, _ = read(syslog_message(one, STYLE._replace(max_bytes=4096)))
    own = dict(elements[0][1])
    assert own["cut"] == "true"
    assert own["principal"] == '"' * 128
