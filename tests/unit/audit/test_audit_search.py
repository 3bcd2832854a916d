"""Searching finds what a look at every single entry finds, whatever clocks do, and reads past what is damaged."""

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditCorruptError, Criteria, EntryFilter, LogSearch, decode_entry, last_entries
from strongroom.audit._archive_disk import ArchiveDisk, SegmentMover
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._format import Header, encode_group, encode_header, first_chain, segment_name
from unit.audit.audit_fakes import payload_of

KEY = "3f0c9f0e-0000-4000-8000-000000000001"
ARN = "arn:aws:kms:us-east-1:000000000000"


def write_writer(directory, writer, segments):
    """Write one writer's log: of each segment the fields of its entries. Returns the entries."""
    folder = directory / "wal" / writer
    folder.mkdir(parents=True)
    chain, seq, entries = first_chain(writer), 1, []
    for number, segment in enumerate(segments, 1):
        content = encode_header(Header(number, 1, seq, chain, writer))
        for fields in segment:
            payload = payload_of(seq, writer=writer, **fields)
            frames, chain = encode_group([payload], group=seq, chain=chain)
            content += frames
            entries.append(decode_entry(payload))
            seq += 1
        (folder / segment_name(number)).write_bytes(content)
    return entries


def write_log(directory, writers):
    return [entry for name, log in writers.items() for entry in write_writer(directory, name, log)]


TIMES = st.integers(0, 30)
FIELDS = st.fixed_dictionaries(
    {"at": TIMES},
    optional={
        "principal": st.sampled_from(["user/a", "user/b", "role/ops"]),
        "event": st.sampled_from(["kms.Decrypt", "kms.Encrypt", "strongroom.Decrypt", "service.started"]),
        "outcome": st.sampled_from(["ok", "AccessDeniedError"]),
        "kind": st.sampled_from(["outcome", "refusal"]),
        "key_id": st.sampled_from(["k1", "k2"]),
        "detail": st.sampled_from([{"alias": "alias/x"}, {"source_key": "k1"}, {"approval": "a1"}]),
    },
)
SEGMENTS = st.lists(st.lists(FIELDS, max_size=4), min_size=1, max_size=4)
LOGS = st.dictionaries(st.sampled_from(["main", "api-0", "reader"]), SEGMENTS, min_size=1)
CRITERIA = st.fixed_dictionaries(
    {},
    optional={
        "principals": st.sampled_from([["user/*"], ["user/a", "role/ops"], ["user/?"]]),
        "events": st.sampled_from([["kms.*"], ["Decrypt"], ["service.started"]]),
        "outcomes": st.sampled_from([["ok"], ["failed"], ["Access*"]]),
        "kinds": st.sampled_from([["refusal"], ["event", "outcome"]]),
        "keys": st.sampled_from([["k1"], [f"{ARN}:alias/x"], ["alias/*"], [f"{ARN}:key/k2"]]),
        "approvals": st.just(["a?"]),
        "writers": st.sampled_from([["main"], ["api-*"]]),
        "since": TIMES,
        "until": TIMES,
    },
)


def naively(entry, wanted):
    """The same question, answered without any of the filter's code."""

    def fits(text, patterns):
        return any(fnmatchcase(text, pattern) for pattern in patterns)

    def key_fits(pattern):
        pattern = re.sub("^arn.*:(key/)?", "", pattern)
        spoken = [entry.key_id, *(entry.detail.get(name, "") for name in ("alias", "source_key"))]
        return any(text and fnmatchcase(text, pattern) for text in spoken)

    answers = {
        "principals": lambda asked: fits(entry.principal, asked),
        "events": lambda asked: fits(entry.event, [e if "." in e else f"*.{e}" for e in asked]),
        "outcomes": lambda asked: (
            entry.outcome not in {"", "ok"}
            if asked == ["failed"]
            else bool(entry.outcome) and fits(entry.outcome, asked)
        ),
        "kinds": lambda asked: entry.kind in asked,
        "keys": lambda asked: any(map(key_fits, asked)),
        "approvals": lambda asked: "approval" in entry.detail and fits(entry.detail["approval"], asked),
        "writers": lambda asked: fits(entry.writer, asked),
        "since": lambda asked: entry.at >= asked,
        "until": lambda asked: entry.at < asked,
    }
    return all(answers[name](asked) for name, asked in wanted.items())


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(logs=LOGS, wanted=CRITERIA)
def test_a_search_finds_what_a_look_at_every_entry_finds(tmp_path_factory, logs, wanted):
    directory = tmp_path_factory.mktemp("log")
    entries = write_log(directory, logs)
    search = LogSearch(directory, Criteria(**wanted))
    found = list(search)
    expected = [entry for entry in entries if naively(entry, wanted)]
    assert sorted(found, key=lambda entry: (entry.writer, entry.seq)) == sorted(
        expected, key=lambda entry: (entry.writer, entry.seq)
    )
    assert search.damage == []
    for writer in logs:  # each in the order of its numbers, also where its clock went back
        assert [entry for entry in found if entry.writer == writer] == [
            entry for entry in expected if entry.writer == writer
        ]
    if all(steady([entry.at for entry in expected if entry.writer == writer]) for writer in logs):
        assert [entry.at for entry in found] == sorted(entry.at for entry in found)
    for covered in search.coverage:
        assert covered.entries + covered.skipped_entries == sum(
            entry.writer == covered.writer for entry in entries
        )


def steady(times):
    return times == sorted(times)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(logs=LOGS, wanted=CRITERIA, count=st.integers(1, 6))
def test_the_last_wanted_entries_are_the_last_of_all_wanted(tmp_path_factory, logs, wanted, count):
    for log in logs.values():  # by steady clocks: else "the last" has no one meaning
        for at, fields in enumerate(fields for segment in log for fields in segment):
            fields["at"] = at
    directory = tmp_path_factory.mktemp("log")
    entries = write_log(directory, logs)
    expected = sorted(
        (entry for entry in entries if naively(entry, wanted)),
        key=lambda entry: (entry.at, entry.writer, entry.seq),
    )
    assert last_entries(directory, count, EntryFilter(Criteria(**wanted)).keeps) == expected[-count:]


HOURS = [[{"at": hour * 100 + minute} for minute in range(10)] for hour in range(6)]


def test_segments_of_another_time_are_left_out_and_counted(tmp_path):
    write_log(tmp_path, {"main": HOURS})
    search = LogSearch(tmp_path, Criteria(since=205, until=304))
    assert [entry.at for entry in search] == [*range(205, 210), *range(300, 304)]
    [covered] = search.coverage
    assert (covered.skipped_segments, covered.skipped_entries, covered.entries) == (3, 30, 30)


def test_an_entry_of_a_clock_that_went_astray_in_the_middle_of_a_segment_is_found(tmp_path):
    segments = [[dict(fields) for fields in segment] for segment in HOURS]
    segments[1][4]["at"] = 5_000
    segments[4][5]["at"] = 3
    write_log(tmp_path, {"main": segments})
    assert [entry.seq for entry in LogSearch(tmp_path, Criteria(since=4_000))] == [15]
    assert [entry.seq for entry in LogSearch(tmp_path, Criteria(since=3, until=4))] == [4, 46]


def test_archived_segments_are_searched_and_left_out_alike_and_damage_in_them_is_named(tmp_path):
    write_log(tmp_path, {"main": HOURS})
    times = [Criteria(), Criteria(since=205, until=304), Criteria(until=5)]
    before = [(list(search), search.coverage) for search in (LogSearch(tmp_path, one) for one in times)]
    mover = SegmentMover(tmp_path / "wal" / "main", ArchiveDisk(), lambda _n: None)
    for number in range(1, 5):
        mover.move(number)
    after = [(list(search), search.coverage) for search in (LogSearch(tmp_path, one) for one in times)]
    assert after == before
    archived = tmp_path / "archive" / "main" / "00000003.wal.xz"
    content = bytearray(archived.read_bytes())
    content[len(content) // 2] ^= 1
    archived.write_bytes(content)
    search = LogSearch(tmp_path)
    assert {entry.seq for entry in search} >= {*range(1, 21), *range(31, 61)}
    assert [error.segment for error in search.damage] == [3]


@pytest.mark.parametrize("position", [150, 600, 900])
def test_what_is_damaged_is_named_and_everything_else_is_found(tmp_path, position):
    write_log(tmp_path, {"main": HOURS, "api-0": HOURS[:2]})
    segment = tmp_path / "wal" / "main" / segment_name(3)
    content = bytearray(segment.read_bytes())
    content[position] ^= 0x40
    segment.write_bytes(content)
    for criteria in (Criteria(), Criteria(since=0), Criteria(until=250)):
        search = LogSearch(tmp_path, criteria)
        found = [(entry.writer, entry.seq) for entry in search]
        wanted = [("main", seq) for seq in (*range(1, 21), *range(31, 61))]
        if criteria.until:
            wanted = wanted[:20]
        assert set(wanted) <= set(found)
        assert len([writer for writer, _ in found if writer == "api-0"]) == 20
        [error] = search.damage
        assert (error.writer, error.segment) == ("main", 3)
        with pytest.raises(AuditCorruptError):
            search.raise_if_damaged()


def test_a_missing_segment_and_a_bad_header_are_named_once_each(tmp_path):
    write_log(tmp_path, {"main": HOURS})
    (tmp_path / "wal" / "main" / segment_name(2)).unlink()
    header = tmp_path / "wal" / "main" / segment_name(5)
    header.write_bytes(b"x" * 128 + header.read_bytes()[128:])
    search = LogSearch(tmp_path)
    found = [entry.seq for entry in search]
    assert set(found) >= {*range(1, 11), *range(31, 41), *range(51, 61)}
    assert [error.segment for error in search.damage] == [3, 5]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_skimming_says_what_reading_finds_or_nothing(tmp_path_factory, data):
    """Of a segment with any byte changed too: whatever is skimmed ends where reading would, or is left to reading."""
    directory = tmp_path_factory.mktemp("log")
    times = data.draw(st.lists(st.fixed_dictionaries({"at": TIMES}), min_size=1, max_size=5))
    entries = write_writer(directory, "main", [times])
    path = directory / "wal" / "main" / segment_name(1)
    content = bytearray(path.read_bytes())
    changed = data.draw(st.integers(-1, len(content) - 129))
    if changed >= 0:
        content[128 + changed] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content + bytes(data.draw(st.sampled_from([0, 7, 400]))))
    with SegmentReader(path.parent, 1) as reader:
        start = reader.position
        span = reader.skim()
        if span is None:
            assert reader.position == start
            return
        if changed < 0:
            assert span == (min(entry.at for entry in entries), max(entry.at for entry in entries))
            reader.resume(start)
            skimmed = reader.skim(), reader.end()
            reader.resume(start)
            assert len(list(reader)) == len(entries)
            assert (span, reader.end()) == skimmed


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        (KEY, True), (f"{ARN}:key/{KEY}", True), ("alias/app", True), (f"{ARN}:alias/app", True), ("alias/a*", True),
        (KEY[:-1], False), ("app", False), (f"{ARN}:key/alias/app", True), ("", False),
    ],
)  # fmt: skip
def test_a_key_is_named_by_id_arn_or_alias(key, fits):
    keeps = EntryFilter(Criteria(keys=[key])).keeps
    named = {"key_id": KEY, "detail": {"alias": "alias/app"}}
    assert keeps(decode_entry(payload_of(1, **named))) is fits
    assert not keeps(decode_entry(payload_of(1)))
