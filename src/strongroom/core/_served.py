"""Which members of the cluster did the work of a call: noted where they answer, read where the call is told of."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class ServedBy:
    """The workers whose answers a call used, each once, in their order."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, int, int], None] = {}

    @property
    def members(self) -> str:
        """Their members, each once, with a space between; empty where no HSM was asked."""
        return " ".join(dict.fromkeys(member for member, _, _ in self._workers))

    @property
    def sessions(self) -> str:
        """For each of them ``WORKER/GENERATION``: the process that held the session, and how often it was started."""
        return " ".join(f"{worker}/{generation}" for _, worker, generation in self._workers)

    def add(self, member: str, worker: int, generation: int) -> None:
        """Note an answer."""
        self._workers[member, worker, generation] = None


_serving: ContextVar[ServedBy | None] = ContextVar("serving", default=None)


@contextmanager
def noting_members() -> Iterator[ServedBy]:
    """Yield what notes the members that answer the calls of this task meanwhile, and of tasks that it begins."""
    served = ServedBy()
    token = _serving.set(served)
    try:
        yield served
    finally:
        _serving.reset(token)


def note_answer(member: str, worker: int, generation: int) -> None:
    """Note that a worker's answer is used, if anybody wants to know."""
    if (served := _serving.get()) is not None:
        served.add(member, worker, generation)
