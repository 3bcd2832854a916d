"""JSON lines to files that are rotated in every way, and to a pipe."""

import asyncio
import json
import os

import pytest

from strongroom.shipping import FileSink, SinkError, StreamSink
from unit.shipping.shipping_fakes import KeptSink, made_entries, shipper_to, until, write


def numbers(path):
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lines.jsonl"


def put(sink, first, last):
    sink.send(made_entries(first, last))
    sink.confirm()


def test_lines_are_appended_to_a_private_file(path):
    sink = FileSink(path)
    put(sink, 1, 2)
    put(sink, 3, 3)
    assert numbers(path) == [1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_renamed_is_followed_by_a_new_one(path):
    sink = FileSink(path)
    put(sink, 1, 2)
    path.rename(path.with_suffix(".1"))
    put(sink, 3, 4)
    assert (numbers(path.with_suffix(".1")), numbers(path)) == ([1, 2], [3, 4])


def test_a_file_that_was_removed_or_replaced_or_emptied_is_gone_on_with(path):
    sink = FileSink(path)
    put(sink, 1, 1)
    path.unlink()
    put(sink, 2, 2)
    other = path.with_suffix(".other")
    other.write_bytes(b"")
    other.rename(path)
    put(sink, 3, 3)
    assert numbers(path) == [3]
    os.truncate(path, 0)
    put(sink, 4, 4)
    assert numbers(path) == [4]


def test_what_was_left_of_a_line_does_not_spoil_the_next(path):
    path.write_bytes(b'{"seq": 1}\n{"se')
    put(FileSink(path), 2, 2)
    lines = path.read_bytes().splitlines()
    assert lines[1] == b'{"se'
    assert json.loads(lines[2])["seq"] == 2


def test_after_a_failure_the_file_is_opened_anew(path):
    sink = FileSink(path)
    put(sink, 1, 1)
    sink.abort()
    put(sink, 2, 2)
    assert numbers(path) == [1, 2]


def test_a_pipe_or_a_folder_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises((SinkError, OSError)):
            FileSink(tmp_path / name).send(made_entries(1, 1))


async def test_a_file_on_a_full_disk_gets_all_once_there_is_room(open_log, audit, path):
    """/dev/full refuses each write as a full disk does; then a rotation brings a file that takes them."""

    class Full(FileSink):
        is_full = True

        def send(self, entries):
            if self.is_full:
                with open("/dev/full", "wb", buffering=0) as file:
                    file.write(b"x")
            super().send(entries)

    sink = Full(path)
    await write(open_log(), 3)
    shipper = shipper_to(sink, audit)
    shipper.start()
    try:
        await until(lambda: shipper.standing.failures >= 2)
        sink.is_full = False
        await until(lambda: shipper.standing.accepted == 3)
    finally:
        shipper.close()
    assert numbers(path) == [1, 2, 3]


async def test_a_reader_of_standard_output_that_does_not_read_holds_up_nobody(open_log, audit):
    reader, writer = os.pipe()
    log, other = open_log(), KeptSink()
    tickets = [log.append("event", "e", detail={"x": "y" * 200}) for _ in range(1000)]
    await log.commit(tickets[-1])
    piped, kept = shipper_to(StreamSink(writer), audit, timeout_s=30), shipper_to(other, audit)
    kept._path = audit / "shipping" / "other.json"
    try:
        piped.start()
        kept.start()
        await until(lambda: len(other.accepted) == 1000)
        assert piped.standing.accepted < 1000
        got = b""
        while got.count(b"\n") < 1000:
            got += await asyncio.to_thread(os.read, reader, 1 << 16)
        await until(lambda: piped.standing.accepted == 1000)
    finally:
        piped.close()
        kept.close()
        os.close(reader)
        os.close(writer)
    assert [json.loads(line)["seq"] for line in got.splitlines()] == list(range(1, 1001))
