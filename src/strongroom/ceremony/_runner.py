"""Running a ceremony: one step after the other, each in the transcript before and after it is done.

| Entry | Written | When the process ends right behind it |
|---|---|---|
| begun | before a step does anything | the next process asks the effects what became of it, and has it done again only if nothing did |
| done | with what came of it | the next process shows it, and asks for the initials |
| confirmed | with the initials | the next process begins the next step |

Collected shares are in memory only: when their process ends before they were used, custodians enter them again.
"""

import asyncio

from strongroom.ceremony._console import Console, Question
from strongroom.ceremony._effects import CeremonyEnd, Effects, Outcome, Setting
from strongroom.ceremony._entries import (
    NO_HASH,
    ArtefactEntry,
    Begun,
    Confirmation,
    Confirmed,
    Done,
    Ended,
    Header,
    Interrupted,
    Noted,
    Resumed,
    Software,
)
from strongroom.ceremony._errors import (
    CeremonyAbandonedError,
    CeremonyFolderError,
    CeremonyPausedError,
)
from strongroom.ceremony._facts import fact_rows
from strongroom.ceremony._form import Step
from strongroom.ceremony._journal import Journal
from strongroom.ceremony._own_steps import OWN_STEPS, OwnDesk, attend
from strongroom.ceremony._pages import before_page, done_page, opening_page, resumed_page, trouble_page
from strongroom.ceremony._parameters import OWN_ACTIONS, Action, WitnessSignatures
from strongroom.ceremony._progress import StepState
from strongroom.ceremony._scene import RunningScene
from strongroom.ceremony._talk import Talk
from strongroom.ceremony._transcript import Transcript
from strongroom.core import StrongroomError

_MAX_REASON = 1000


class CeremonyRunner:
    """One ceremony, in one process. ``previous``: SHA-256 of the transcript of the ceremony before."""

    def __init__(
        self,
        setting: Setting,
        console: Console,
        effects: Effects,
        software: Software,
        *,
        previous: str = NO_HASH,
    ) -> None:
        self._setting = setting
        self._script = setting.script
        self._console = console
        self._effects = effects
        self._software = software
        self._previous = previous
        self._collected: set[str] = set()

    async def run(self) -> Transcript:
        """Run it from where it is to its end; return the transcript, which is closed.

        Raises CeremonyPausedError (the same call goes on), CeremonyAbandonedError (closed), and whatever the journal
        and the effects raise; what was done until then stands in the transcript.
        """
        with Journal.open(self._setting.folder, self._setting.clock) as journal:
            self._journal = journal
            if journal.header is not None:
                self._require_same(journal.header)
            self._talk = Talk(self._console, journal, self._script, self._setting.clock)
            self._scene = RunningScene(self._setting, journal, self._talk)
            try:
                await self._effects.begin(self._scene)
                if not journal.progress.is_ended:
                    await self._run_open()
                await self._effects.ended(self._how_it_ended())
                return journal.transcript()
            finally:
                await self._effects.close()

    async def _open(self) -> None:
        header = self._journal.header
        if header is None:
            self._write_header()
        else:
            self._journal.append(Resumed, software=self._software, lost_bytes=self._journal.lost_bytes)
        page = opening_page if header is None else resumed_page
        await self._talk.show(page(self._script, self._software, self._talk.initials, self._journal.entries))
        await self._ask_to_go_on(self._script.steps[0].by, "Press Enter to begin.")

    def _write_header(self) -> None:
        self._journal.append(
            Header,
            type="strongroom-transcript-v1",
            ceremony=self._setting.ceremony,
            script=self._script.id,
            script_sha256=self._script.sha256,
            ceremony_type=self._script.type,
            title=self._script.title,
            is_rehearsal=self._setting.is_rehearsal,
            previous_transcript=self._previous,
            software=self._software,
            participants=self._script.participants,
        )

    def _require_same(self, header: Header) -> None:
        if (header.script_sha256, header.is_rehearsal) != (self._script.sha256, self._setting.is_rehearsal):
            raise CeremonyFolderError(
                "this folder belongs to another ceremony: its script, or whether it is a rehearsal, is not the same",
                name=str(self._setting.folder),
                next_step="name the folder of this ceremony, or an empty one",
            )
        if header.previous_transcript != self._previous:
            raise CeremonyFolderError(
                f"this ceremony was begun as one that follows {_followed(header.previous_transcript)}, and not {_followed(self._previous)}",
                name=str(self._setting.folder),
                next_step="name the same ceremony before it as then (--previous)",
            )

    async def _run_open(self) -> None:
        try:
            await self._open()
            for at, step in enumerate(self._script.steps):
                state = self._journal.progress.state_of(step.id)
                if state != StepState.CONFIRMED or self._shares_are_lost(at):
                    await self._take(step)
            await self._end("complete", "")
        except CeremonyPausedError as error:
            self._interrupted(error.message)
            raise
        except CeremonyAbandonedError:
            await self._abandon()
            raise
        except asyncio.CancelledError as error:
            self._interrupted(str(error.args[0]) if error.args else "stopped at the keyboard")
            raise
        except Exception as error:
            self._interrupted(error.message if isinstance(error, StrongroomError) else "the program failed")
            raise

    def _shares_are_lost(self, at: int) -> bool:
        step = self._script.steps[at]
        if step.do != Action.COLLECT_SHARES or step.id in self._collected:
            return False
        after = self._journal.progress.state_of(self._script.steps[at + 1].id)
        return after in {StepState.NEW, StepState.BEGUN}

    async def _take(self, step: Step) -> None:
        self._talk.step = self._scene.step = step
        if step.do == Action.ATTEND:
            await self._attend(step)
        else:
            is_done = self._journal.progress.state_of(step.id) == StepState.DONE
            if not is_done or (step.do == Action.COLLECT_SHARES and step.id not in self._collected):
                await self._do(step)
            await self._confirm(step)
        self._talk.step = self._scene.step = None

    async def _attend(self, step: Step) -> None:
        self._begin(step)
        page = before_page(self._script, step)
        await self._talk.show(page)
        outcome, given = await attend(OwnDesk(self._talk, self._script, self._software, page))
        self._write_done(step, outcome, is_found=False)
        self._journal.append(Confirmed, step=step.id, confirmations=given)

    async def _do(self, step: Step) -> None:
        page = before_page(self._script, step)
        if step.do in OWN_ACTIONS:
            self._begin(step)
            outcome = await OWN_STEPS[step.do](OwnDesk(self._talk, self._script, self._software, page), step)
            self._write_done(step, outcome, is_found=False)
            return
        await self._talk.show(page)
        await self._ask_to_go_on(step.by, "Press Enter when it was read aloud, and it is to be done.")
        outcome, is_found = await self._perform(step)
        self._write_done(step, outcome, is_found=is_found)
        self._collected.add(step.id)

    def _begin(self, step: Step) -> None:
        is_again = self._journal.progress.state_of(step.id) != StepState.NEW
        self._journal.append(Begun, step=step.id, action=step.do, by=step.by, is_again=is_again)

    async def _perform(self, step: Step) -> tuple[Outcome, bool]:
        """Have a step done; the second is whether it had been done before. Failures are people's to decide about."""
        while True:
            try:
                if self._journal.progress.state_of(step.id) == StepState.BEGUN:
                    outcome = await self._effects.resume(step.do, step, self._talk)
                    if outcome is not None:
                        return outcome, True
                self._begin(step)
                return await self._effects.perform(step.do, step, self._talk), False
            except (CeremonyPausedError, CeremonyAbandonedError):
                raise
            except StrongroomError as error:
                self._interrupted(error.message)
                await self._talk.clear()
                await self._decide(step, error)

    async def _decide(self, step: Step, error: StrongroomError) -> None:
        await self._talk.show(trouble_page(self._script, step, error))
        question = Question("trouble", step.by, "Try it again? (again; or /pause, /abandon)")
        await self._talk.ask_choice(question, ("again",))

    def _write_done(self, step: Step, outcome: Outcome, *, is_found: bool) -> None:
        self._journal.append(
            Done,
            step=step.id,
            facts=dict(outcome.facts),
            artefacts=tuple(
                ArtefactEntry(name=one.name, sha256=one.sha256, elsewhere=one.elsewhere)
                for one in outcome.artefacts
            ),
            deviations=outcome.deviations,
            is_found=is_found,
        )

    async def _confirm(self, step: Step) -> None:
        outcome = self._journal.outcomes[step.id]
        await self._talk.show(done_page(self._script, step, outcome, fact_rows(outcome.facts)))
        given: list[Confirmation] = []
        for who in (step.by, *step.witness):
            person = self._script.participant(who)
            seen = "I did it" if who == step.by else "I saw it"
            given.append(await self._talk.confirm(who, f"{person.name}: {seen}. Initials"))
        self._journal.append(Confirmed, step=step.id, confirmations=tuple(given))

    async def _ask_to_go_on(self, who: str, text: str) -> None:
        await self._talk.ask(Question("go-on", who, text))

    def _interrupted(self, reason: str) -> None:
        if not self._journal.is_sound:
            return
        step = self._talk.step
        self._journal.append(Interrupted, step="" if step is None else step.id, reason=reason[:_MAX_REASON])

    async def _abandon(self) -> None:
        administrator = self._script.steps[0].by
        self._talk.step = None
        reason = await self._talk.ask_words(Question("reason", administrator, "Why is it given up?"))
        for step in self._script.steps:
            is_open = self._journal.progress.state_of(step.id) == StepState.BEGUN
            if is_open and step.do not in OWN_ACTIONS:
                outcome = await self._effects.abandon(step.do, step, self._talk)
                text = "; ".join(("what it had begun was undone, or said here", *outcome.deviations))
                self._journal.append(Noted, step=step.id, who="", text=text, facts=dict(outcome.facts))
        await self._end("abandoned", reason)
        await self._effects.ended(self._how_it_ended())

    async def _end(self, state: str, reason: str) -> None:
        last = self._script.steps[-1].parameters
        self._journal.append(
            Ended,
            state=state,
            reason=reason,
            audit_checkpoint=dict(await self._effects.audit_checkpoint()),
            witnesses_needed=last.at_least if isinstance(last, WitnessSignatures) else 2,
        )

    def _how_it_ended(self) -> CeremonyEnd:
        transcript = self._journal.transcript()
        header, end = transcript.header, transcript.end
        if end is None:
            raise CeremonyFolderError("the ceremony is not over", name=str(self._setting.folder))
        return CeremonyEnd(
            ceremony=header.ceremony,
            kind=header.ceremony_type,
            is_rehearsal=header.is_rehearsal,
            is_complete=end.state == "complete",
            started_at=header.at,
            ended_at=end.at,
            transcript_sha256=transcript.sha256,
        )


def _followed(transcript: str) -> str:
    return "none" if transcript == NO_HASH else transcript
