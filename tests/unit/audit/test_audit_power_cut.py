"""A power loss keeps any of the pages that were written and not synced: nothing promised is lost, nobody is needed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditCorruptError, AuditLog, inspect_log, read_entries, verify_log
from strongroom.audit._segments import SegmentWriter, recover
from unit.audit.audit_fakes import FlakyDisk, SettableClock, payload_of

groups = st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=40), min_size=1, max_size=5)


def _write(directory, disk, groups, *, segment_bytes=1_000_000):
    """Write groups of entries with padding of given lengths; the power goes when the last is written, not synced.

    Returns how many entries were durable before, and the segment that was being written with its durable length.
    """
    folder = disk.open_folder(directory / "wal" / "main")
    writer = SegmentWriter(folder, recover(folder).end, segment_bytes=segment_bytes)
    seq = writer.position.seq
    try:
        for number, group in enumerate(groups, start=1):
            payloads = [
                payload_of(
                    seq + i, boot=writer.boot, request_id=f"{seq + i}", detail={"padding": "x" * length}
                )
                for i, length in enumerate(group)
            ]
            fault = "lost" if number == len(groups) else None
            disk.decide = lambda call, fault=fault: fault if call == "sync" else None
            try:
                writer.write(payloads)
            except OSError:
                break
            seq += len(group)
    finally:
        disk.decide = lambda _call: None
        writer.close()
    return seq - 1, max(folder.path.glob("*.wal")), writer.position.offset


def _lose(segment, durable_bytes, page_bytes, keep, *, is_cut):
    """Keep some of the pages behind the durable end; the file ends with the last of them, or keeps its length."""
    data = bytearray(segment.read_bytes())
    end = durable_bytes
    for start in range(durable_bytes - durable_bytes % page_bytes, len(data), page_bytes):
        stop = min(start + page_bytes, len(data))
        if keep():
            end = stop
        else:
            begin = max(start, durable_bytes)
            data[begin:stop] = bytes(stop - begin)
    segment.write_bytes(data[:end] if is_cut else data)
    return data


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    runs=st.lists(groups, min_size=1, max_size=3),
    page_bytes=st.sampled_from([512, 4096]),
    is_cut=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_whatever_pages_survive_the_log_opens_and_holds_all_that_was_promised(
    tmp_path_factory, runs, page_bytes, is_cut, chance
):
    directory = tmp_path_factory.mktemp("power")
    disk, clock, promised = FlakyDisk(), SettableClock(), 0
    for run in runs:
        promised, segment, durable_bytes = _write(directory, disk, run, segment_bytes=20_000)
        _lose(segment, durable_bytes, page_bytes, lambda: chance.random() < 0.5, is_cut=is_cut)
        AuditLog.open(directory, "main", clock=clock).close()
        entries = list(read_entries(directory))
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert len(entries) >= promised
        verify_log(directory)


def test_a_later_page_without_an_earlier_one_is_healed_and_kept(tmp_path):
    disk = FlakyDisk()
    promised, segment, durable_bytes = _write(tmp_path, disk, [[100] * 3, [100] * 60])
    keeps = iter([False])
    torn = _lose(segment, durable_bytes, 4096, lambda: next(keeps, True), is_cut=False)
    assert "keeps a copy" in str(inspect_log(tmp_path).problems[0])
    AuditLog.open(tmp_path, "main", clock=SettableClock()).close()
    entries = list(read_entries(tmp_path))
    assert (promised, len(entries), entries[-1].event) == (3, 4, "log.recovered")
    assert segment.with_suffix(".torn").read_bytes() == torn[durable_bytes:].rstrip(b"\0")
    (warning,) = verify_log(tmp_path).warnings
    assert "00000001.torn keeps them" in str(warning)


def test_a_lost_page_of_durable_entries_is_never_cut(tmp_path):
    disk = FlakyDisk()
    _, segment, durable_bytes = _write(tmp_path, disk, [[100] * 3, [100] * 60, [100] * 60])
    assert durable_bytes > 3 * 4096
    keeps = iter([True, False])
    torn = _lose(segment, 128, 4096, lambda: next(keeps, True), is_cut=False)
    with pytest.raises(AuditCorruptError):
        AuditLog.open(tmp_path, "main", clock=SettableClock())
    assert segment.read_bytes() == torn
    assert not list(segment.parent.glob("*.torn"))
