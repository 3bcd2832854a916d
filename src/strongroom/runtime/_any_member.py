"""``AnyMember``: batches for main, done by whichever member can. Callers have ``HsmCluster``, which does far more."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from strongroom.core import BatchAnswer, BatchItem, Deadline, HsmError, HsmRequestError, NoMemberError
from strongroom.hsm.cluster import Replica

_PAUSE_S: Final = 0.1
"""Between two rounds: members may be busy, which is over soon."""


class AnyMember:
    """A ``core.HsmBatchUse`` over the members that serve. Belongs to the event loop of main."""

    def __init__(self, members: Callable[[], Sequence[Replica]]) -> None:
        self._members = members

    async def batch(self, items: Sequence[BatchItem], *, deadline: Deadline) -> list[BatchAnswer]:
        """Do many things (``core.HsmBatchUse.batch``); what nobody did in time has NoMemberError as its answer."""
        answers: dict[int, BatchAnswer] = {}
        todo = list(range(len(items)))
        while todo and not deadline.has_passed():
            for member in self._members():
                todo = await self._ask(member, items, todo, answers, deadline)
                if not todo:
                    break
            else:
                await asyncio.sleep(_PAUSE_S)
        for index in todo:
            last = answers.get(index)
            told = f"; the last one said: {last.message}" if isinstance(last, HsmError) else ""
            answers[index] = NoMemberError(f"no member could in time{told}")
        return [answers[index] for index in range(len(items))]

    async def _ask(
        self,
        member: Replica,
        items: Sequence[BatchItem],
        todo: list[int],
        answers: dict[int, BatchAnswer],
        deadline: Deadline,
    ) -> list[int]:
        """Ask one member for what is left to do; returns what is left then."""
        try:
            got = await member.use.batch([items[index] for index in todo], deadline=deadline)
        except HsmRequestError:
            raise
        except HsmError as error:
            got = [error] * len(todo)
        answers.update(zip(todo, got, strict=True))
        return [index for index in todo if _may_be_better_elsewhere(answers[index])]


def _may_be_better_elsewhere(answer: BatchAnswer) -> bool:
    return isinstance(answer, HsmError) and not isinstance(answer, HsmRequestError)
