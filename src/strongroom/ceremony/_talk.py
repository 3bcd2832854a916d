"""The console with the words that people may say at any question: ``/deviation``, ``/pause``, ``/abandon``.

Also who they are: initials, as they were given when people attended.
"""

import re
from collections.abc import Mapping
from typing import Final

from strongroom.ceremony._console import Console, Page, Question, SharePage
from strongroom.ceremony._entries import Confirmation, Confirmed, Deviation, Entry, Noted
from strongroom.ceremony._errors import CeremonyAbandonedError, CeremonyPausedError
from strongroom.ceremony._form import Script, Step
from strongroom.ceremony._journal import Journal
from strongroom.core import Clock, Secret
from strongroom.custody import neutral

_INITIALS: Final = re.compile(r"[^\W\d_]{2,5}\Z")
_MAX_WORDS: Final = 1000
_HELP: Final = (
    "/deviation WORDS records that something is otherwise than the script says; /pause stops here, and the same command"
    " goes on; /abandon gives the ceremony up"
)


class Talk:
    """A ``Console`` that takes commands, and knows everybody's initials."""

    def __init__(self, inner: Console, journal: Journal, script: Script, clock: Clock) -> None:
        self._inner = inner
        self._journal = journal
        self._script = script
        self._clock = clock
        self.step: Step | None = None
        """The step that is under way."""
        self.initials = initials_given(journal.entries)
        """By participant: what they gave."""

    async def show(self, page: Page) -> None:
        """Put a page up."""
        await self._inner.show(page)

    async def say(self, line: str) -> None:
        """Add a line."""
        await self._inner.say(line)

    async def ask(self, question: Question) -> str:
        """Return an answer that is no command. Raises CeremonyPausedError and CeremonyAbandonedError."""
        while True:
            answer = await self._inner.ask(question)
            if not answer.startswith("/"):
                return answer or question.default
            await self._command(answer, question.who)

    async def ask_hidden(self, question: Question) -> Secret:
        """Return what is typed unseen. It is never taken for a command."""
        return await self._inner.ask_hidden(question)

    async def show_share(self, page: SharePage) -> None:
        """Show a share."""
        await self._inner.show_share(page)

    async def clear(self) -> None:
        """Take what is shown away."""
        await self._inner.clear()

    async def ask_words(self, question: Question) -> str:
        """Return words that may stand in the transcript: not empty, and each character shows as itself."""
        while True:
            words = await self.ask(question)
            if words and len(words) <= _MAX_WORDS and neutral(words) == words:
                return words
            await self.say(f"Say it in one line, of up to {_MAX_WORDS} characters.")

    async def ask_choice(self, question: Question, choices: tuple[str, ...]) -> str:
        """Return one of the choices; the beginning of one is enough when it is only that one's."""
        while True:
            answer = (await self.ask(question)).casefold()
            found = [choice for choice in choices if choice == answer] or [
                choice for choice in choices if answer and choice.startswith(answer)
            ]
            if len(found) == 1:
                return found[0]
            await self.say(f"Answer {' or '.join(choices)}.")

    async def confirm(self, who: str, text: str) -> Confirmation:
        """Have somebody confirm by their initials."""
        initials = await self._ask_initials(who, text)
        return Confirmation(who=who, initials=initials, at=self.now())

    async def _ask_initials(self, who: str, text: str) -> str:
        while True:
            initials = (await self.ask(Question("initials", who, text))).upper()
            trouble = self.trouble_with(initials, who)
            if trouble is None:
                self.initials[who] = initials
                return initials
            await self.say(trouble)

    def now(self) -> int:
        """Seconds since the Unix epoch."""
        return int(self._clock.now())

    def trouble_with(self, initials: str, who: str) -> str | None:
        """Say why somebody's initials cannot be these; None where they can."""
        known = self.initials.get(who)
        if initials == known:
            return None
        if not initials:
            return "Initials are two to five letters."
        of = next((one for one, given in self.initials.items() if given == initials), None)
        initials = neutral(initials[:20])
        whose = "" if of is None else f"{initials} are {self._script.participant(of).name}'s initials"
        if known is not None:
            name = self._script.participant(who).name
            return f"{whose or f'{initials} are not the initials of {name}'}: type those that {name} gave at the beginning."
        if whose:
            return f"{whose}: choose others."
        return (
            None
            if _INITIALS.match(initials)
            else f"{initials} are no initials: those are two to five letters."
        )

    async def _command(self, answer: str, who: str) -> None:
        word, _, words = answer.partition(" ")
        words = words.strip()
        if word == "/pause":
            raise CeremonyPausedError("paused", next_step="the same command goes on")
        if word == "/abandon":
            raise CeremonyAbandonedError("abandoned")
        if word == "/deviation" and words and len(words) <= _MAX_WORDS and neutral(words) == words:
            self._journal.append(
                Deviation, step="" if self.step is None else self.step.id, who=who, text=words
            )
            await self.say("Recorded.")
            return
        await self.say(_HELP)


def initials_given(entries: tuple[Entry, ...]) -> dict[str, str]:
    """Return everybody's initials, as the transcript has them."""
    found: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, Confirmed):
            for one in entry.confirmations:
                found.setdefault(one.who, one.initials)
        elif isinstance(entry, Noted) and isinstance(entry.facts.get("initials"), str):
            found.setdefault(entry.who, entry.facts["initials"])
    return found


def words_of_role(role: str) -> str:
    """Return a role as it is said."""
    return role.replace("-", " ")


def facts_of_people(script: Script, initials: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return everybody and their roles, as rows."""
    return [
        (one.name, f"{words_of_role(one.role)}, {one.organisation}" + (f" ({initials[one.id]})" if one.id in initials else ""))
        for one in script.participants
    ]  # fmt: skip
