"""What is taken in is kept once and for good, with its gaps told, and nothing of a log that was changed."""

import hashlib
import io
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.vendorlogs import (
    BrokenChainError,
    Import,
    ImportReport,
    LogFormat,
    RecordStore,
    VendorLogError,
)

NOW = 1_800_000_000_000_000


def take(audit: Path, data: bytes, log_format: LogFormat = "luna-syslog", *, now: int = NOW) -> ImportReport:
    run = Import(RecordStore(audit, "hsm-a"), log_format, name="hsm-a", now=now)
    return run.run(io.BytesIO(data), date_order="ymd")


def luna(numbers: range) -> bytes:
    return b"".join(
        f"{number},26/11/22 15:{number // 60 % 60:02d}:{number % 60:02d},S/N 1 session 1 Access 1:1 CO operation LUNA_SIGN"
        f" returned RC_OK(0x00000000) handle=7,,{number:064X}\n".encode()
        for number in numbers
    )


def yubihsm(count: int, *, start: int = 1, digest: bytes = b"\1" * 16) -> list[bytes]:
    """Make entries as the device does: the first one of a device that was reset, then signatures."""
    entries = []
    for number in range(start, start + count):
        if number == 1:
            body = struct.pack("!HBHHHHBL", 1, 0xFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFF, 0xFFFF_FFFF)
        else:
            body = struct.pack("!HBHHHHBL", number & 0xFFFF, 0x56, 34, 1, 0x1234, 0xFFFF, 0xD6, number)
            digest = hashlib.sha256(body + digest).digest()[:16]
        entries.append(body + digest)
    return entries


def test_an_import_tells_what_it_took_in(tmp_path: Path) -> None:
    data = luna(range(1, 11)) + b"no record at all\n"

    report = take(tmp_path, data)

    assert (report.added, report.repeated, report.unknown, report.missing) == (10, 0, 1, 0)
    assert (report.first_sequence, report.last_sequence) == (1, 10)
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert [record.sequence for record in RecordStore(tmp_path, "hsm-a").read()][:2] == [1, 2]


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    take(tmp_path, luna(range(1, 3)))

    folder = RecordStore(tmp_path, "hsm-a").folder
    assert {each.stat().st_mode & 0o777 for each in (folder, folder.parent)} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_record_that_comes_again_is_kept_once(tmp_path: Path) -> None:
    take(tmp_path, luna(range(1, 8)))

    report = take(tmp_path, luna(range(5, 11)))

    assert (report.added, report.repeated, report.missing) == (3, 3, 0)
    assert len(list(RecordStore(tmp_path, "hsm-a").read())) == 10


def test_a_gap_between_imports_is_told(tmp_path: Path) -> None:
    take(tmp_path, luna(range(1, 8)))

    report = take(tmp_path, luna(range(10, 12)))

    assert (report.missing, report.gaps[0].first, report.gaps[0].last) == (2, 8, 9)


def test_a_yubihsm_log_is_read_in_parts_that_overlap(tmp_path: Path) -> None:
    entries = yubihsm(12)
    take(tmp_path, b"".join(entries[:8]), "yubihsm")

    report = take(tmp_path, b"".join(entries[5:]), "yubihsm", now=NOW + 1)

    assert (report.added, report.repeated, report.missing) == (4, 3, 0)


@settings(max_examples=30)
@given(place=st.integers(1, 11), byte=st.integers(0, 31), flip=st.integers(1, 255))
def test_a_yubihsm_log_that_was_changed_anywhere_is_not_taken_in(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, flip: int
) -> None:
    audit = tmp_path_factory.mktemp("audit")
    entries = [bytearray(entry) for entry in yubihsm(14)]
    entries[place][byte] ^= flip

    # A changed item number is a gap or a repeat where it stands, and the next entry does not follow it.
    try:
        report = take(audit, b"".join(entries), "yubihsm")
    except BrokenChainError:
        assert RecordStore(audit, "hsm-a").files() == []
    else:
        assert byte < 2
        assert report.missing or report.added == 14


def test_an_entry_of_another_past_is_not_taken_in(tmp_path: Path) -> None:
    take(tmp_path, b"".join(yubihsm(8)), "yubihsm")

    with pytest.raises(BrokenChainError, match="entry 9"):
        take(tmp_path, b"".join(yubihsm(4, start=9, digest=b"\2" * 16)), "yubihsm")


def test_overwritten_yubihsm_entries_are_a_gap_also_where_numbers_begin_anew(tmp_path: Path) -> None:
    take(tmp_path, b"".join(yubihsm(3, start=65_530)), "yubihsm")

    report = take(tmp_path, b"".join(yubihsm(2, start=65_537)), "yubihsm")

    assert report.missing == 4


def test_a_reset_yubihsm_begins_a_new_count(tmp_path: Path) -> None:
    take(tmp_path, b"".join(yubihsm(8)), "yubihsm")

    report = take(tmp_path, b"".join(yubihsm(3, digest=b"\3" * 16)), "yubihsm", now=NOW + 1)

    assert (report.added, report.missing) == (3, 0)
    assert max(record.epoch for record in RecordStore(tmp_path, "hsm-a").read()) == 1


def test_a_record_of_tomorrow_does_not_say_that_the_log_still_comes(tmp_path: Path) -> None:
    take(tmp_path, luna(range(1, 3)).replace(b"26/11/22", b"99/11/22"))
    assert RecordStore(tmp_path, "hsm-a").state().newest_at == NOW
    take(tmp_path, luna(range(1, 3)), now=NOW + 10**12)
    assert RecordStore(tmp_path, "hsm-a").state().newest_at == NOW


def test_a_log_of_more_sources_than_can_be_kept_is_refused_and_leaves_the_others_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.vendorlogs._imports.MAX_SOURCES", 3)
    take(tmp_path, luna(range(1, 3)))
    many = b"".join(luna(range(5, 6)).replace(b"S/N 1", b"S/N %d" % number) for number in range(9))
    with pytest.raises(VendorLogError, match="more than 3 sources"):
        take(tmp_path, many)
    assert take(tmp_path, luna(range(3, 5))).added == 2


def test_a_cloudhsm_document_may_be_one_long_line(tmp_path: Path) -> None:
    event = "Time: 12/13/17 23:09:04.761594, usecs:15132065447615{0:02}\nSequence No: 0x{0:x}\nReboot counter: 0xe8\nOpcode: CN_LOGIN (0xd)"
    events = [
        {"message": f"{event.format(number)}\nResponse: 0:HSM Return: SUCCESS", "pad": "x" * 5_000}
        for number in range(40)
    ]
    data = json.dumps({"events": events}).encode()
    assert (len(data) > 200_000, b"\n" in data) == (True, False)
    report = take(tmp_path, data, "cloudhsm-cloudwatch")
    assert (report.added, report.unknown) == (40, 0)


def test_a_line_without_end_is_one_unknown_record(tmp_path: Path) -> None:
    report = take(tmp_path, b"x" * 200_000 + b"\n" + luna(range(1, 2)))

    assert (report.unknown, report.added) == (1, 1)


def test_records_that_were_changed_where_they_are_kept_are_not_read(tmp_path: Path) -> None:
    take(tmp_path, luna(range(1, 4)))
    store = RecordStore(tmp_path, "hsm-a")
    store.files()[0].write_bytes(b'{"since": -1}\n')

    with pytest.raises(VendorLogError, match="line 1"):
        list(store.read())
