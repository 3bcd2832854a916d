"""Ceremonies from beginning to end: every type, interruptions between any two entries, failures, abandonment."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes_ceremony import SOFTWARE, CeremonyClock, MemoryEffects, rehearsal_setting, rehearsed
from strongroom.ceremony import (
    Begun,
    CeremonyAbandonedError,
    CeremonyPausedError,
    CeremonyRunner,
    CeremonyType,
    Deviation,
    Interrupted,
    Page,
    Question,
    ScriptedParticipants,
    example_script,
    open_setting,
    read_transcript,
    verify_ceremony,
)
from strongroom.core import StrongroomError
from strongroom.wiring.ceremony_view import transcript_view


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("kind", CeremonyType)
async def test_a_rehearsal_of_each_type_runs_unattended_and_verifies(
    tmp_path: Path, kind: CeremonyType
) -> None:
    setting, transcript = await rehearsed(tmp_path, kind)
    verified = verify_ceremony(setting.folder)
    assert verified.transcript.sha256 == transcript.sha256
    assert set(verified.signatures) == {"walter", "eva"}
    assert "REHEARSAL" in verified.checked[0]
    view = transcript_view(transcript, setting.script, verified.signatures)
    assert all(step.state == "done" for step in view.steps)
    msgspec.json.encode(view)


@pytest.mark.parametrize(
    "kind",
    [
        CeremonyType.RECOVERY,
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in (CeremonyType.RESHARE, CeremonyType.ROOT_KEY)
        ),
    ],
)
async def test_a_ceremony_that_is_cut_after_any_entry_goes_on_and_repeats_no_effect(
    tmp_path: Path, kind: CeremonyType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from strongroom.ceremony import _journal

    whole = _journal.Journal.append
    (tmp_path / "whole").mkdir()
    _, transcript = await rehearsed(tmp_path / "whole", kind)
    every = 3 if kind == CeremonyType.RECOVERY else 1  # the others are of the slow lane
    for cut in range(1, len(transcript.entries) + 1, every):
        folder = tmp_path / str(cut)
        folder.mkdir()
        left = [cut]

        def append(self: Any, kind: Any, /, **fields: Any) -> Any:
            entry = whole(self, kind, **fields)
            left[0] -= 1  # noqa: B023
            if left[0] == 0:  # noqa: B023
                raise Killed
            return entry

        monkeypatch.setattr(_journal.Journal, "append", append)
        with pytest.raises(Killed):
            await rehearsed(folder, kind)
        monkeypatch.setattr(_journal.Journal, "append", whole)
        setting, resumed = await rehearsed(folder, kind)
        verify_ceremony(setting.folder)
        ledger = MemoryEffects(folder).lines()
        assert ledger == MemoryEffects(tmp_path / "whole").lines(), f"cut after entry {cut - 1}"
        assert resumed.end is not None


async def test_an_effect_that_was_done_before_its_process_ended_is_found_and_not_repeated(
    tmp_path: Path,
) -> None:
    setting = rehearsal_setting(tmp_path)

    def die(where: str) -> None:
        if where == "after create":
            raise Killed

    people = ScriptedParticipants(setting.script)
    with pytest.raises(Killed):
        await CeremonyRunner(setting, people, MemoryEffects(tmp_path, die), SOFTWARE).run()
    setting = rehearsal_setting(tmp_path)
    transcript = await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    view = transcript_view(transcript, setting.script)
    assert [step.is_found for step in view.steps if step.id == "create"] == [True]


async def test_a_line_that_was_half_written_is_cut_off_and_told(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path)
    effects = MemoryEffects(tmp_path)
    people = ScriptedParticipants(setting.script, answers={"bag-number": _pause})
    with pytest.raises(CeremonyPausedError):
        await CeremonyRunner(setting, people, effects, SOFTWARE).run()
    path = setting.folder / "transcript.jsonl"
    path.write_bytes(path.read_bytes() + b'{"half":')
    setting, transcript = await rehearsed(tmp_path)
    notes = [event.text for event in transcript_view(transcript, setting.script).events]
    assert any("8 bytes" in note for note in notes)


def _pause(_question: Question) -> str:
    return "/pause"


async def test_a_failure_is_recorded_and_people_decide_whether_it_is_tried_again(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path)
    failures = ["the HSM does not answer", "nor now"]

    def fail(where: str) -> None:
        if where == "before create" and failures:
            raise StrongroomError(failures.pop(0), next_step="look at its cables")

    seen: list[Page] = []
    people = ScriptedParticipants(setting.script, answers={"trouble": lambda _: "again"}, watch=seen.append)
    transcript = await CeremonyRunner(setting, people, MemoryEffects(tmp_path, fail), SOFTWARE).run()
    reasons = [entry.reason for entry in transcript.entries if isinstance(entry, Interrupted)]
    assert reasons == ["the HSM does not answer", "nor now"]
    assert any(page.warning == "nor now" for page in seen)


async def test_deviations_are_recorded_in_the_words_of_those_who_say_them(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path)
    said = ["/deviation the door was open for a moment", "/nonsense", "/deviation"]
    people = ScriptedParticipants(setting.script, answers={"go-on": lambda _: said.pop(0) if said else ""})
    transcript = await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    found = [(entry.who, entry.text) for entry in transcript.entries if isinstance(entry, Deviation)]
    assert found == [("ada", "the door was open for a moment")]


async def test_a_ceremony_that_is_given_up_undoes_what_it_had_begun_and_is_closed(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path)

    def fail(where: str) -> None:
        if where == "after create":
            raise StrongroomError("the disk is full")

    answers = {"trouble": lambda _: "/abandon", "reason": lambda _: "no disk"}
    effects = MemoryEffects(tmp_path, fail)
    with pytest.raises(CeremonyAbandonedError):
        await CeremonyRunner(
            setting, ScriptedParticipants(setting.script, answers=answers), effects, SOFTWARE
        ).run()
    assert "create" not in effects.lines()
    assert effects.is_closed
    assert [end.is_complete for end in effects.ends] == [False]
    verified = verify_ceremony(setting.folder)
    assert "ABANDONED: no disk" in verified.checked[1]
    again = await CeremonyRunner(
        rehearsal_setting(tmp_path), ScriptedParticipants(setting.script), MemoryEffects(tmp_path), SOFTWARE
    ).run()
    assert again.sha256 == verified.transcript.sha256


async def test_initials_of_somebody_else_are_not_taken(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path, CeremonyType.ROOT_CA)
    tries: list[str] = []

    def wrong_once(question: Question) -> str:
        if not tries:
            tries.append(question.who)
            return "ZZ"
        return {"ada": "RA", "walter": "RB", "eva": "RC", "carl": "RD"}[question.who]

    people = ScriptedParticipants(setting.script, answers={"initials": wrong_once})
    await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    data = read_transcript((setting.folder / "transcript.jsonl").read_bytes())
    assert b'"ZZ"' not in (setting.folder / "transcript.jsonl").read_bytes()
    assert data.end is not None


async def test_shares_that_were_collected_by_a_process_that_ended_are_entered_again(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path)
    pauses = ["test"]

    def go_on(question: Question) -> str:
        position = places[-1]
        if position == "Open backup" and pauses:
            pauses.clear()
            return "/pause"
        return ""

    places: list[str] = []
    people = ScriptedParticipants(
        setting.script, answers={"go-on": go_on}, watch=lambda page: places.append(page.title)
    )
    with pytest.raises(CeremonyPausedError):
        await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    setting, transcript = await rehearsed(tmp_path)
    taken = [entry for entry in transcript.entries if isinstance(entry, Begun)]
    begun = [(entry.step, entry.is_again) for entry in taken if entry.action == "collect-shares"]
    assert begun == [("collect", False), ("collect", True)]
    verify_ceremony(setting.folder)


async def test_bags_have_numbers_of_their_own_that_two_people_read(tmp_path: Path) -> None:
    setting = rehearsal_setting(tmp_path, CeremonyType.ROOT_KEY)
    first = ["bag 1", "bag 1", "bag 1", "bag 2"]
    second = ["bag 7", "bag 1", "bag 1", "bag 2"]
    answers = {"bag-number": lambda _: first.pop(0), "bag-number-again": lambda _: second.pop(0)}
    people = ScriptedParticipants(setting.script, answers=answers)
    transcript = await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    (bags,) = [value for name, value in transcript.outcomes["deliveries"].facts.items() if name == "bags"]
    assert [bag["number"] for bag in bags] == ["bag 1", "bag 2"]  # type: ignore[union-attr,index,call-overload]


async def test_a_bag_that_is_not_as_it_was_left_is_a_deviation(tmp_path: Path) -> None:
    script = tmp_path / "recovery.yaml"
    script.write_bytes(example_script(CeremonyType.RECOVERY).replace(b'number: ""', b"number: A 100"))
    setting = open_setting(script, tmp_path / "ceremony", home=None, is_rehearsal=True, clock=CeremonyClock())
    said = {
        "bag-number": ["A 101", "B 2", "C 3"],
        "bag-number-again": ["A 101", "B 2", "C 3"],
        "bag-intact": ["no"],
    }

    def answer(question: Question) -> str:
        words = said[question.key]
        return (
            words.pop(0)
            if words
            else "yes"
            if question.key == "bag-intact"
            else question.text.partition(", read")[0]
        )

    people = ScriptedParticipants(setting.script, answers=dict.fromkeys(said, answer))
    transcript = await CeremonyRunner(setting, people, MemoryEffects(tmp_path), SOFTWARE).run()
    assert transcript.outcomes["take-out"].deviations == (
        "the bag with Share of Kai Example has the number A 101, and the script says A 100",
        "the seal of the bag with Share of Kai Example is not whole",
    )
