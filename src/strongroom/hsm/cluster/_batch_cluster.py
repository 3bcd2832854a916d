"""Batches on the whole cluster: done on one member, and what it could not do on the next."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, NamedTuple, TypeVar

from strongroom.core import (
    BatchAnswer,
    BatchItem,
    BatchUnwrap,
    BatchWrap,
    Deadline,
    HsmError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberBusyError,
    MemberDeadlineError,
    NoMemberError,
    Secret,
)
from strongroom.hsm.cluster._member import RemoteMember
from strongroom.hsm.cluster._worker import Place, Worker
from strongroom.hsm.wire import check_batch_len

T = TypeVar("T")

_SIZES: Final = (16, 64, 256)
"""Batches are compared with others of about their size: up to the first, the second, the third."""


class BatchOutcome(NamedTuple):
    """What one member made of a batch."""

    member: RemoteMember
    answers: list[BatchAnswer]

    def zeroize(self) -> None:
        """Overwrite what nobody waits for."""
        for answer in self.answers:
            if isinstance(answer, Secret):
                answer.zeroize()


class ClusterBatchUse(ABC):
    """``core.HsmBatchUse`` over any member."""

    async def batch(self, items: Sequence[BatchItem], *, deadline: Deadline) -> list[BatchAnswer]:
        """Have 0 to 256 things done (``core.HsmBatchUse.batch``).

        What a member failed, or had no time for, goes to the next one; what is done is not done again. What nobody did
        before the deadline has NoMemberError as its answer. Raises HsmRequestError alone.
        """
        check_batch_len(len(items))
        answers: dict[int, BatchAnswer] = {}
        todo = list(range(len(items)))
        avoid: set[Place] = set()
        is_retry = False
        while todo:
            asked = [items[index] for index in todo]
            try:
                member, got = await self._use(
                    verb_name(asked), self._asking(asked), deadline, avoid=avoid, is_retry=is_retry
                )
            except NoMemberError as error:
                answers.update(dict.fromkeys(todo, error))
                break
            answers.update(zip(todo, got, strict=True))
            todo = [index for index in todo if not _is_final(answers[index])]
            # That there was just too much to do for one attempt is no trouble.
            is_retry = any(not isinstance(answers[index], MemberDeadlineError) for index in todo)
            avoid |= {worker.place for worker in self._workers() if worker.member is member}
        return [answers[index] for index in range(len(items))]

    def _asking(self, items: list[BatchItem]) -> Callable[[RemoteMember, Deadline], Awaitable[BatchOutcome]]:
        async def ask(member: RemoteMember, attempt: Deadline) -> BatchOutcome:
            answers = await member.batch(items, deadline=attempt)
            errors = [answer for answer in answers if isinstance(answer, HsmError)]
            if any(isinstance(error, HsmKeyNotFoundError) for error in errors):
                self._note_absences(member, items, answers)
            if len(errors) == len(items) and not any(map(_is_final, errors)):
                raise _most_telling(errors)  # so this attempt failed, as that of any other verb does
            return BatchOutcome(member, answers)

        return ask

    def _note_absences(
        self, member: RemoteMember, items: list[BatchItem], answers: list[BatchAnswer]
    ) -> None:
        for worker in self._workers():
            for item, answer in zip(items, answers, strict=True):
                if worker.member is member and isinstance(answer, HsmKeyNotFoundError):
                    key_id = b"" if isinstance(item, BatchWrap | BatchUnwrap) else item.key.key_id
                    self._not_found(worker, key_id, answer)

    @abstractmethod
    def _workers(self) -> Collection[Worker]: ...

    @abstractmethod
    def _not_found(self, worker: Worker, key_id: bytes, error: HsmError) -> None: ...

    @abstractmethod
    async def _use(
        self,
        verb_name: str,
        verb: Callable[[RemoteMember, Deadline], Awaitable[T]],
        deadline: Deadline,
        *,
        key_id: bytes = b"",
        avoid: Collection[Place] = (),
        is_retry: bool = False,
    ) -> T: ...


def verb_name(items: Sequence[BatchItem]) -> str:
    """Name a batch by what takes different time: its size, roughly, and what is done with which kind of key."""
    size = next(size for size in _SIZES if len(items) <= size)
    kinds = {_kind(item) for item in items}
    return f"batch-{size} {kinds.pop() if len(kinds) == 1 else 'mixed'}"


def _kind(item: BatchItem) -> str:
    verb = type(item).__name__.removeprefix("Batch").lower()
    return verb if isinstance(item, BatchWrap | BatchUnwrap) else f"{verb} {item.key.spec}"


def _is_final(answer: BatchAnswer) -> bool:
    """Whether no other member would say otherwise."""
    return not isinstance(answer, HsmError) or isinstance(answer, HsmRequestError)


def _most_telling(errors: list[HsmError]) -> HsmError:
    lesser = (HsmKeyNotFoundError, MemberBusyError)
    return next((error for error in errors if not isinstance(error, lesser)), errors[0])
