"""What effects may ask of the engine while a ceremony runs: notes and initials in the transcript."""

from collections.abc import Mapping

from strongroom.ceremony._effects import Outcome, Setting
from strongroom.ceremony._entries import Noted
from strongroom.ceremony._errors import CeremonyError
from strongroom.ceremony._form import Step
from strongroom.ceremony._journal import Journal
from strongroom.ceremony._talk import Talk
from strongroom.custody import Json


class RunningScene:
    """A ``Scene``."""

    def __init__(self, setting: Setting, journal: Journal, talk: Talk) -> None:
        self.setting = setting
        self._journal = journal
        self._talk = talk
        self.step: Step | None = None
        """The step that is under way."""

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What came of the steps, by their ids."""
        return self._journal.outcomes

    async def note(self, text: str, *, who: str = "", facts: Mapping[str, Json] | None = None) -> None:
        """Put an entry into the transcript. Raises CeremonyError where no step is under way."""
        if self.step is None:
            raise CeremonyError("nothing is noted outside of a step")
        self._journal.append(Noted, step=self.step.id, who=who, text=text, facts=dict(facts or {}))

    async def initials(self, who: str, text: str) -> str:
        """Have a participant confirm something, and note it. Raises CeremonyError where no step is under way."""
        confirmation = await self._talk.confirm(who, text)
        await self.note(text, who=who, facts={"initials": confirmation.initials})
        return confirmation.initials
