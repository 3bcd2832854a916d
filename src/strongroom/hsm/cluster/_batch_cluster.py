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
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmKeyQuarantinedError,
    HsmRequestError,
    MemberBusyError,
    MemberDeadlineError,
    NoMemberError,
    Secret,
)
from strongroom.hsm.cluster._member import RemoteMember
from strongroom.hsm.cluster._table import SERVING
from strongroom.hsm.cluster._worker import Place, Worker
from strongroom.hsm.wire import check_batch_len

T = TypeVar("T")

_SIZES: Final = (16, 64, 256)
"""Batches are compared with others of about their size: up to the first, the second, the third."""
_NO_TROUBLE: Final = (MemberDeadlineError, HsmKeyNotFoundError)


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
        before the deadline has NoMemberError as its answer, and so has at once what needs a key that no member that
        serves holds; HsmKeyQuarantinedError stands for what nobody may use. Raises HsmRequestError alone.
        """
        check_batch_len(len(items))
        answers = self._refused(items)
        todo = [index for index in range(len(items)) if index not in answers]
        lacking = {index: set(self._absent(_key_id(items[index]))) for index in todo}
        avoid: set[Place] = set()
        is_retry = False
        while todo:
            asked = [items[index] for index in todo]
            useless = set.intersection(*(lacking[index] for index in todo))
            try:
                member, got = await self._use(
                    verb_name(asked), self._asking(asked), deadline, avoid=avoid | useless, is_retry=is_retry
                )
            except NoMemberError as error:
                answers.update(dict.fromkeys(todo, error))
                break
            answers.update(zip(todo, got, strict=True))
            places = {worker.place for worker in self._workers() if worker.member is member}
            avoid |= places
            for index in todo:
                if isinstance(answers[index], HsmKeyNotFoundError):
                    lacking[index] |= places
                    self._end_where_nobody_has_it(index, lacking[index], answers)
            todo = [index for index in todo if not _is_final(answers[index])]
            # That there was just too much to do for one attempt, or no such key there, is no trouble.
            is_retry = any(not isinstance(answers[index], _NO_TROUBLE) for index in todo)
        return [answers[index] for index in range(len(items))]

    def _refused(self, items: Sequence[BatchItem]) -> dict[int, BatchAnswer]:
        """The answers of those items whose keys nobody may use."""
        answers: dict[int, BatchAnswer] = {}
        for index, item in enumerate(items):
            try:
                if not isinstance(item, BatchWrap | BatchUnwrap):
                    self.require_usable(item.key.key_id)
            except HsmKeyQuarantinedError as error:
                answers[index] = error
        return answers

    def _end_where_nobody_has_it(
        self, index: int, lacking: Collection[Place], answers: dict[int, BatchAnswer]
    ) -> None:
        """Ask no more for a key that no member that serves holds: the other items would wait for it until the deadline."""
        serving = {worker.place for worker in self._workers() if worker.entry.state in SERVING}
        error = answers[index]
        if isinstance(error, HsmKeyNotFoundError) and serving and serving <= set(lacking):
            answers[index] = NoMemberError(f"no member holds the key; the last one said: {error.message}")

    def _asking(self, items: list[BatchItem]) -> Callable[[RemoteMember, Deadline], Awaitable[BatchOutcome]]:
        async def ask(member: RemoteMember, attempt: Deadline) -> BatchOutcome:
            answers = await member.batch(items, deadline=attempt)
            errors = [answer for answer in answers if isinstance(answer, HsmError)]
            if any(isinstance(error, HsmKeyNotFoundError) for error in errors):
                self._note_absences(member, items, answers)
            is_nowhere = all(isinstance(error, HsmKeyNotFoundError) for error in errors)
            if len(errors) == len(items) and not is_nowhere and not any(map(_is_final, errors)):
                raise _most_telling(errors)  # so this attempt failed, as that of any other verb does
            return BatchOutcome(member, answers)

        return ask

    def _note_absences(
        self, member: RemoteMember, items: list[BatchItem], answers: list[BatchAnswer]
    ) -> None:
        for worker in self._workers():
            for item, answer in zip(items, answers, strict=True):
                if worker.member is member and isinstance(answer, HsmKeyNotFoundError):
                    self._not_found(worker, _key_id(item), answer)

    @abstractmethod
    def _workers(self) -> Collection[Worker]: ...

    @abstractmethod
    def require_usable(self, key_id: HsmKeyId) -> None:
        """Raise HsmKeyQuarantinedError when nobody may use a Direct key."""

    @abstractmethod
    def _absent(self, key_id: bytes) -> Collection[Place]: ...

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
    return not isinstance(answer, HsmError) or isinstance(answer, HsmRequestError | NoMemberError)


def _key_id(item: BatchItem) -> bytes:
    """The Direct key that an item needs; no bytes where it needs a root."""
    return b"" if isinstance(item, BatchWrap | BatchUnwrap) else item.key.key_id


def _most_telling(errors: list[HsmError]) -> HsmError:
    lesser = (HsmKeyNotFoundError, MemberBusyError)
    return next((error for error in errors if not isinstance(error, lesser)), errors[0])
