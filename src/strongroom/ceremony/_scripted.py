"""Participants who do what a script says by themselves: for rehearsals that nobody attends."""

from collections.abc import Callable, Mapping

from strongroom.ceremony._console import SHARE_WORDS, Page, Question, SharePage
from strongroom.ceremony._errors import CeremonyPausedError
from strongroom.ceremony._form import Script
from strongroom.core import Secret

Answer = Callable[[Question], str]


class ScriptedParticipants:
    """A ``Console`` of people who make no mistake. They remember the share that they were shown.

    ``answers`` has what they say to questions by their ``key``, before what they say by themselves; ``secrets`` what they
    type unseen. A question that nobody knows an answer to, and one about something that failed, ends in CeremonyPausedError.
    """

    def __init__(
        self,
        script: Script,
        *,
        answers: Mapping[str, Answer] | None = None,
        secrets: Mapping[str, Callable[[Question], Secret]] | None = None,
        watch: Callable[[Page], None] | None = None,
    ) -> None:
        self._initials = _initials_of(script)
        self._answers = dict(answers or {})
        self._secrets = dict(secrets or {})
        self._watch = watch
        self._shares: dict[str, Secret] = {}
        self._bags = 0
        self._last_failure = ""

    async def show(self, page: Page) -> None:
        """Let ``watch`` see the page."""
        if page.warning:
            self._last_failure = page.warning
        if self._watch is not None:
            self._watch(page)

    async def say(self, line: str) -> None:
        """Remember what was said last, in case nothing goes on."""
        self._last_failure = line

    async def ask(self, question: Question) -> str:
        """Answer. Raises CeremonyPausedError where nobody knows what to say."""
        answer = self._answers.get(question.key)
        if answer is not None:
            return answer(question)
        if question.key in {"initials", "attend"}:
            return self._initials[question.who]
        if question.key == "go-on":
            return ""
        if question.key == "bag-intact":
            return "yes"
        if question.key.startswith("bag-number"):
            return question.default or self._bag_number(question)
        if question.default:
            return question.default
        raise CeremonyPausedError(
            f"nobody answers {question.key} ({question.text}); before that: {self._last_failure or 'nothing'}"
        )

    async def ask_hidden(self, question: Question) -> Secret:
        """Type a secret: what ``secrets`` has, or the share that was shown. Raises CeremonyPausedError."""
        known = self._secrets.get(question.key)
        if known is not None:
            return known(question)
        share = self._shares.get(question.who)
        if question.key == SHARE_WORDS and share is not None:
            return Secret(share.reveal())
        raise CeremonyPausedError(f"nobody types {question.key} for {question.who}")

    async def show_share(self, page: SharePage) -> None:
        """Remember a share, as somebody who copies it."""
        self._shares[page.who] = Secret.from_text(" ".join(page.words))

    async def clear(self) -> None:
        """Nothing is on a screen."""

    def _bag_number(self, question: Question) -> str:
        if question.key == "bag-number":
            self._bags += 1
        return f"RB{self._bags:06d}"


def _initials_of(script: Script) -> dict[str, str]:
    """Return initials for everybody, the same in each process, each somebody's alone."""
    given: dict[str, str] = {}
    for number, one in enumerate(script.participants):
        first = "".join(word[0] for word in one.name.split() if word[0].isalpha()).upper()[:4]
        code = f"{chr(65 + number // 26)}{chr(65 + number % 26)}"
        is_free = len(first) >= 2 and first not in given.values()
        given[one.id] = first if is_free else f"X{code}"
    return given
