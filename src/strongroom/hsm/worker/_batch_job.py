"""A batch in a worker: done in slices, so that others get their turn between, and answered in time whatever hangs."""

import threading
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from strongroom.core import BatchAnswer, BatchItem, MemberBusyError, MemberDeadlineError
from strongroom.hsm.wire import Batch, Connection, Failed, Reply, Request, failure_from, item_answer, item_of

SLICE_S: Final = 0.002
"""How long a batch keeps an HSM thread from the calls that wait behind it, and the one item that runs then."""
_TOO_MANY: Final = MemberBusyError("the member has had all calls that it may have just now")


class BatchRun(Protocol):
    """A batch under way. Belongs to one HSM thread at a time; ``answers`` may be read by others meanwhile."""

    @property
    def answers(self) -> Sequence[BatchAnswer]:
        """Those of the first items, in their order."""
        ...

    def advance(self, slice_s: float, *, within_s: float) -> None:
        """Answer at least one more item, and go on for ``slice_s``. Who asked waits ``within_s`` for the whole."""
        ...


class BatchMaker(Protocol):
    """What begins batches: the worker's performer."""

    def batch(self, items: Sequence[BatchItem]) -> BatchRun:
        """Begin one; nothing is done before the first ``advance``."""
        ...


class BatchJob:
    """One batch with what is done of it. It is answered once, by whoever comes first to ``reply``."""

    def __init__(
        self, connection: Connection, request: Request[Any], *, cut_at: float, admitted: int | None = None
    ) -> None:
        """``cut_at``: when it is answered with what is done. ``admitted``: how many of its items may be done."""
        batch: Batch = request.call
        self.connection = connection
        self.cut_at = cut_at
        self._id = request.id
        self._n_items = len(batch.items)
        self._items = batch.items[:admitted]
        self._run: BatchRun | None = None
        self._error: Exception | None = None
        self._answering = threading.Lock()  # taken once, by who answers, and kept

    @property
    def is_over(self) -> bool:
        """Whether it was answered, or there is nothing left to be done."""
        return self._answering.locked() or self._error is not None or self.n_done == len(self._items)

    @property
    def n_done(self) -> int:
        """How many items were done."""
        return 0 if self._run is None else len(self._run.answers)

    def advance(self, performer: BatchMaker, *, within_s: float) -> None:
        """Do a slice of it."""
        try:
            if self._run is None:
                self._run = performer.batch(list(map(item_of, self._items)))
            self._run.advance(SLICE_S, within_s=within_s)
        except Exception as error:  # noqa: BLE001  # whatever happens, the caller gets an answer
            self._error = error

    def reply(self) -> Reply | None:
        """Return the answer as far as there is one; None when it was answered before."""
        if not self._answering.acquire(blocking=False):
            return None
        done = [] if self._run is None else list(self._run.answers)
        answers = list(map(item_answer, done))
        rest = self._error or MemberDeadlineError("no time was left for it in the batch")
        answers += [Failed(failure_from(rest))] * (len(self._items) - len(done))
        answers += [Failed(failure_from(_TOO_MANY))] * (self._n_items - len(self._items))
        return Reply(self._id, msgspec.Raw(msgspec.msgpack.encode(answers)))
