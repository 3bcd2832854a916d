"""Records of vendors are read as their documents show them, whatever stands around them, and nothing else is."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.vendorlogs import (
    BrokenChainError,
    LogItem,
    LunaReader,
    UnknownRecordError,
    VendorLogError,
    VendorRecord,
    read_cloudhsm,
    read_yubihsm,
)
from strongroom.vendorlogs._cloudhsm import read_record

HMAC = "89487E5EFAD41215E411E7CB03A3AA24CDDB89546AB9609F05D783C464826148"
LUNA = (
    b"23        ,26/11/22 15:00:18,S/N 150718 session 12 Access 234:456 CO container:3 operation"
    b" LUNA_SIGN_SINGLEPART returned RC_OK(0x00000000) (using KEY handle=37),," + HMAC.encode()
)
# From "Interpreting HSM audit logs" of the user guide of AWS CloudHSM.
CLOUDHSM = b"""Time: 12/13/17 23:09:04.761594, usecs:1513206544761594
Sequence No: 0x29
Reboot counter: 0xe8
Command Type(hex): CN_MGMT_CMD (0x0)
Opcode: CN_GENERATE_KEY_PAIR (0x19)
Session Handle: 0x2014004
Response: 0:HSM Return: SUCCESS
Log type: MGMT_KEY_DETAILS_LOG (1)
Priv/Secret Key Handle: 131079
Public Key Handle: 131078"""
# Printed by a real device, as its owner published it.
YUBIHSM = b"""Session keepalive set up to run every 15 seconds
Created session 0
0 unlogged boots found
0 unlogged authentications found
Found 3 items
item:     1 -- cmd: 0xff -- length: 65535 -- session key: 0xffff -- target key: 0xffff -- second key: 0xffff -- result: 0xff -- tick: 4294967295 -- hash: 33012657537e4842f57fa6ed3b09b25b
item:     2 -- cmd: 0x00 -- length:    0 -- session key: 0xffff -- target key: 0x0000 -- second key: 0x0000 -- result: 0x00 -- tick: 0 -- hash: fc153091560e18bca82621522c85bdba
item:     3 -- cmd: 0x4f -- length:    5 -- session key: 0x0001 -- target key: 0xffff -- second key: 0xffff -- result: 0xcf -- tick: 1987 -- hash: 3d9380a76ae41826d90daa44c1085a62
"""


def test_a_luna_record_tells_number_time_key_session_and_answer() -> None:
    record = LunaReader(date_order="ymd").read(LUNA)

    assert (record.sequence, record.source, record.operation) == (23, "150718", "LUNA_SIGN_SINGLEPART")
    assert record.at == record.since == 1_795_359_618 * 1_000_000
    assert (record.use, record.ok, record.key) == ("sign", True, "37")
    assert (record.session, record.user) == ("12:234:456", "CO container:3")
    assert record.sha256 == hashlib.sha256(LUNA).hexdigest()


def test_what_relays_put_before_a_luna_record_does_not_make_it_another_one() -> None:
    reader = LunaReader(date_order="ymd")

    relayed = reader.read(b"<110>1 2026-11-22T15:00:19.5Z hsm1 audit - - - " + LUNA + b"\r\n")

    assert relayed == reader.read(LUNA)


@pytest.mark.parametrize(
    ("header", "date", "second"),
    [
        (b"2026-11-04T15:00:18Z hsm1 ", b"26/11/04", 1_793_804_418),
        (b"2026-11-04T15:00:18Z hsm1 ", b"04/11/26", 1_793_804_418),
        (b"Nov  4 15:00:18 hsm1 ", b"04/11/26", 1_793_804_418),
    ],
)
def test_the_date_of_syslog_tells_the_order_of_a_luna_date(header: bytes, date: bytes, second: int) -> None:
    record = LunaReader().read(header + LUNA.replace(b"26/11/22", date))

    assert record.at == second * 1_000_000


def test_a_luna_date_of_unknown_order_is_asked_about_and_not_guessed() -> None:
    with pytest.raises(VendorLogError, match="more than one way"):
        LunaReader().read(LUNA)


def test_the_end_of_an_operation_has_the_key_that_its_beginning_named_in_that_session() -> None:
    reader = LunaReader(date_order="ymd")
    begin = LUNA.replace(b"LUNA_SIGN_SINGLEPART", b"LUNA_SIGN_INIT")
    end = LUNA.replace(b"LUNA_SIGN_SINGLEPART", b"LUNA_SIGN_END").replace(b" (using KEY handle=37)", b"")

    assert reader.read(begin).use == "other"
    assert reader.read(end.replace(b"session 12", b"session 13")).key == ""
    assert (reader.read(end).key, reader.read(end).key) == ("37", "")


def test_a_failed_luna_operation_is_no_success() -> None:
    record = LunaReader(date_order="ymd").read(
        LUNA.replace(b"RC_OK(0x00000000)", b"RC_USER_PIN_INCORRECT(0x00c00001)")
    )

    assert (record.ok, record.answer) == (False, "RC_USER_PIN_INCORRECT(0x00c00001)")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_of_luna_records(line: bytes) -> None:
    for reader in (LunaReader(date_order="ymd"), LunaReader()):
        try:
            record = reader.read(line)
        except VendorLogError:
            continue
        assert isinstance(record, VendorRecord)


@given(st.integers(0, len(LUNA) - 1), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_reader_of_luna_records(place: int, byte: int) -> None:
    changed = bytearray(LUNA)
    changed[place] = byte
    try:
        record = LunaReader(date_order="ymd").read(bytes(changed))
    except UnknownRecordError:
        return
    assert bytes(changed) == LUNA or record.sha256 != hashlib.sha256(LUNA).hexdigest()


def test_a_cloudhsm_record_tells_numbers_time_keys_and_answer() -> None:
    record = read_record(CLOUDHSM, "hsm-a")

    assert (record.epoch, record.sequence, record.source) == (0xE8, 0x29, "hsm-a")
    assert record.at == record.since == 1_513_206_544_761_594
    assert (record.operation, record.use, record.ok) == ("CN_GENERATE_KEY_PAIR", "make", True)
    assert (record.key, record.other_key, record.session) == ("131079", "131078", "0x2014004")


def test_cloudhsm_records_come_as_documents_as_lines_and_as_text() -> None:
    other = CLOUDHSM.replace(b"0x29", b"0x2a")
    texts = [CLOUDHSM.decode(), other.decode()]
    events = [{"timestamp": 1, "message": text, "logStreamName": "hsm-a"} for text in texts]
    document = json.dumps({"events": events, "nextForwardToken": "f/1"}, indent=2).encode()
    lines = b"\n".join(json.dumps(event).encode() for event in events)
    wanted = [(text.encode(), "hsm-a") for text in texts]

    assert list(read_cloudhsm(document.splitlines(keepends=True))) == wanted
    assert list(read_cloudhsm(lines.splitlines(keepends=True))) == wanted
    text = b"\n".join((CLOUDHSM, other)) + b"\n"
    assert [raw for raw, _ in read_cloudhsm(text.splitlines(keepends=True))] == [raw for raw, _ in wanted]


@given(st.lists(st.binary(max_size=120), max_size=6))
def test_no_bytes_break_the_reader_of_cloudhsm_records(lines: list[bytes]) -> None:
    try:
        for raw, stream in read_cloudhsm(lines):
            try:
                read_record(raw, stream)
            except UnknownRecordError:
                continue
    except VendorLogError:
        return


@given(st.integers(0, len(CLOUDHSM) - 1), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_reader_of_cloudhsm_records(place: int, byte: int) -> None:
    changed = bytearray(CLOUDHSM)
    changed[place] = byte
    try:
        read_record(bytes(changed))
    except UnknownRecordError:
        return


def test_the_entries_of_a_real_yubihsm_fit_its_hash_chain() -> None:
    log = read_yubihsm(YUBIHSM)

    assert [item.number for item in log.items] == [1, 2, 3]
    assert log.unknown == []
    for before, item in zip(log.items, log.items[1:], strict=False):
        item.verify_after(before.digest)


def test_a_changed_yubihsm_entry_does_not_fit_its_hash_chain() -> None:
    first, second, _ = read_yubihsm(YUBIHSM).items

    with pytest.raises(BrokenChainError, match="entry 2"):
        second._replace(result=1).verify_after(first.digest)


def test_a_yubihsm_log_is_the_same_in_all_its_forms() -> None:
    items = read_yubihsm(YUBIHSM).items
    raw = b"".join(item.encode() for item in items)

    assert read_yubihsm(raw).items == items
    answered = read_yubihsm(b"\x00\x02\x00\x05\x03" + raw)
    assert (answered.items, answered.unlogged_boots, answered.unlogged_authentications) == (items, 2, 5)
    assert read_yubihsm(b"00020005" + raw.hex().encode() + b"\n") == answered


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_yubihsm_logs(data: bytes) -> None:
    try:
        log = read_yubihsm(data)
    except VendorLogError:
        return
    assert all(LogItem.parse(item.encode()) == item for item in log.items)


@given(st.integers(0, len(YUBIHSM) - 1), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_reader_of_yubihsm_logs(place: int, byte: int) -> None:
    changed = bytearray(YUBIHSM)
    changed[place] = byte
    log = read_yubihsm(bytes(changed))

    assert 2 <= len(log.items) <= 3
