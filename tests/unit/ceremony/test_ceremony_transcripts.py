"""Transcripts: any change is refused and its place named; what may follow what; what may stand in one."""

import asyncio
import contextlib
import functools
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_ceremony import SOFTWARE, CeremonyClock, rehearsal_setting, rehearsed
from strongroom.ceremony import (
    NO_HASH,
    Action,
    Begun,
    CeremonyFolderError,
    CeremonyType,
    Confirmation,
    Confirmed,
    Deviation,
    Done,
    Ended,
    Interrupted,
    Progress,
    Transcript,
    TranscriptError,
    fact_rows,
    read_transcript,
)
from strongroom.ceremony._journal import Journal
from strongroom.ceremony._transcript import read_entry, write_entry


@functools.cache
def _whole() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        setting, _ = asyncio.run(rehearsed(Path(folder), CeremonyType.RECOVERY))
        return (setting.folder / "transcript.jsonl").read_bytes()


def test_a_transcript_is_read_as_it_was_written() -> None:
    transcript = read_transcript(_whole())
    assert b"".join(write_entry(entry) + b"\n" for entry in transcript.entries) == _whole()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_transcript_with_one_byte_changed_has_another_hash_and_names_the_entry_or_the_one_after(
    data: Any,
) -> None:
    whole = _whole()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    changed = whole[:at] + bytes((byte,)) + whole[at + 1 :]
    line = whole.count(b"\n", 0, at)
    last = whole.count(b"\n") - 1
    if line == last:  # the last line is named by no other: signatures and the hash of the file guard it
        with contextlib.suppress(TranscriptError):
            assert read_transcript(changed).sha256 != read_transcript(whole).sha256
        return
    with pytest.raises(TranscriptError) as refused:
        read_transcript(changed)
    assert refused.value.entry in {line, line + 1}


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_lines_that_are_left_out_doubled_or_swapped_are_refused(data: Any) -> None:
    lines = _whole().splitlines(keepends=True)
    first, second = data.draw(
        st.tuples(*[st.integers(0, len(lines) - 2)] * 2).filter(lambda pair: pair[0] != pair[1])
    )
    changes = [
        lines[:first] + lines[first + 1 :],
        [*lines[:first], lines[first], *lines[first:]],
        [
            lines[second] if at == first else lines[first] if at == second else line
            for at, line in enumerate(lines)
        ],
    ]
    for changed in changes:
        with pytest.raises(TranscriptError):
            read_transcript(b"".join(changed))


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_transcript_or_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(TranscriptError):
        read_transcript(data)


@settings(max_examples=50, deadline=None)
@given(
    members=st.dictionaries(
        st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=8), max_size=5
    )
)
def test_any_json_is_an_entry_or_an_error_of_ours(members: dict[str, Any]) -> None:
    with contextlib.suppress(TranscriptError):
        read_entry(msgspec.json.encode(members), 0)


def test_a_transcript_without_its_last_line_feed_is_refused() -> None:
    with pytest.raises(TranscriptError, match="cut off"):
        read_transcript(_whole()[:-1])


def test_nothing_is_no_transcript() -> None:
    with pytest.raises(TranscriptError):
        read_transcript(b"")


STEPS = ("one", "two", "three")
_kinds = st.sampled_from(
    ("begun", "again", "done", "confirmed", "deviation", "interrupted", "ended", "abandoned")
)


@settings(max_examples=80, deadline=None)
@given(sequence=st.lists(st.tuples(_kinds, st.sampled_from(STEPS)), max_size=14))
def test_whatever_sequence_is_let_through_confirms_each_step_once_and_in_order(
    sequence: list[tuple[str, str]],
) -> None:
    """Whichever entries somebody writes, what ``Progress`` takes tells one story: begun, done, confirmed, next."""
    progress = Progress()
    progress.follow(read_transcript(_whole()).entries[0])
    taken: list[tuple[str, str]] = []
    for kind, step in sequence:
        try:
            progress.follow(_entry(kind, step))
        except TranscriptError:
            continue
        taken.append((kind, step))
    confirmed = [step for kind, step in taken if kind == "confirmed"]
    assert confirmed == list(dict.fromkeys(confirmed))
    begun = list(dict.fromkeys(step for kind, step in taken if kind == "begun"))
    assert confirmed == begun[: len(confirmed)]
    ends = [at for at, (kind, _) in enumerate(taken) if kind in {"ended", "abandoned"}]
    assert ends in ([], [len(taken) - 1])
    for at, (kind, step) in enumerate(taken):
        before = taken[:at]
        if kind == "done":
            assert ("begun", step) in before
        if kind == "confirmed":
            assert ("done", step) in before
        if kind == "ended":
            assert set(begun) == set(confirmed)


def _entry(kind: str, step: str) -> Any:
    common = {"seq": 1, "at": 1, "previous": NO_HASH}
    if kind in {"begun", "again"}:
        return Begun(**common, step=step, action=Action.CREATE_BACKUP, by="ada", is_again=kind == "again")  # type: ignore[arg-type]
    if kind == "done":
        return Done(**common, step=step, facts={}, artefacts=(), deviations=(), is_found=False)  # type: ignore[arg-type]
    if kind == "confirmed":
        given = (Confirmation(who="ada", initials="AE", at=1),)
        return Confirmed(**common, step=step, confirmations=given)  # type: ignore[arg-type]
    if kind == "deviation":
        return Deviation(**common, step=step, who="ada", text="x")  # type: ignore[arg-type]
    if kind == "interrupted":
        return Interrupted(**common, step=step, reason="x")  # type: ignore[arg-type]
    state = "complete" if kind == "ended" else "abandoned"
    return Ended(**common, state=state, reason="", audit_checkpoint={}, witnesses_needed=2)  # type: ignore[arg-type]


def _journal(folder: Path) -> Journal:
    return Journal.open(folder, CeremonyClock())


async def test_what_has_no_place_in_a_transcript_is_not_written(tmp_path: Path) -> None:
    setting, _ = await _begun(tmp_path)
    deep: Any = "x"
    for _ in range(12):
        deep = [deep]
    with _journal(setting) as journal:
        for facts in ({"a": 1.5}, {"a": deep}, {"a": 2**60}, {"a": "\ud800"}, {"a": "x" * 300_000}):
            before = (setting / "transcript.jsonl").read_bytes()
            with pytest.raises(TranscriptError):
                journal.append(Done, step="attend", facts=facts, artefacts=(), deviations=(), is_found=False)
            assert (setting / "transcript.jsonl").read_bytes() == before
        with pytest.raises(TranscriptError):
            journal.append(Confirmed, step="attend", confirmations=())


async def _begun(tmp_path: Path) -> tuple[Path, Transcript]:
    from fakes_ceremony import MemoryEffects
    from strongroom.ceremony import CeremonyPausedError, CeremonyRunner, ScriptedParticipants

    setting = rehearsal_setting(tmp_path)
    people = ScriptedParticipants(setting.script, answers={"attend": lambda _: "/pause"})
    with pytest.raises(CeremonyPausedError):
        await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    return setting.folder, read_transcript((setting.folder / "transcript.jsonl").read_bytes())


async def test_two_processes_do_not_hold_one_ceremony(tmp_path: Path) -> None:
    folder, _ = await _begun(tmp_path)
    with _journal(folder), pytest.raises(CeremonyFolderError, match="another process"):
        _journal(folder)


async def test_after_an_entry_that_could_not_be_written_nothing_more_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = await _begun(tmp_path)
    with _journal(folder) as journal:
        monkeypatch.setattr("strongroom.ceremony._journal.os.fsync", _no_space)
        with pytest.raises(OSError, match="space"):
            journal.append(Interrupted, step="", reason="x")
        monkeypatch.undo()
        with pytest.raises(TranscriptError, match="left as it is"):
            journal.append(Interrupted, step="", reason="x")
    with _journal(folder) as again:
        again.append(Interrupted, step="", reason="y")
        again.transcript()


def _no_space(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_facts_become_rows_that_show_every_character_as_itself() -> None:
    rows = fact_rows(
        {
            "members": [{"name": "alpha", "serial": "08\u202e15", "fips": True}, {"name": "beta", "serial": "x", "fips": False}],
            "bags": [["a", "b"], ["c"]],
            "none": [],
            "nothing": {},
            "null": None,
            "count": 3,
        }
    )  # fmt: skip
    assert rows == (
        ("members / alpha / serial", "08\\u202e15"),
        ("members / alpha / fips", "yes"),
        ("members / beta / serial", "x"),
        ("members / beta / fips", "no"),
        ("bags / 1", "a, b"),
        ("bags / 2", "c"),
        ("none", "none"),
        ("nothing", "none"),
        ("null", "none"),
        ("count", "3"),
    )


def test_a_long_list_has_a_row_for_each_value() -> None:
    keys = [f"secret_key {number:032x}" for number in range(3)]
    assert fact_rows({"keys": keys}) == tuple((f"keys / {number}", key) for number, key in enumerate(keys, 1))
