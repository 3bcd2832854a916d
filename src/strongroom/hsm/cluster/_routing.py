"""Which worker gets a call. No I/O but for connections that it opens and closes."""

from collections.abc import Callable, Collection

from strongroom.core import Clock
from strongroom.hsm.cluster._latency import Latencies
from strongroom.hsm.cluster._member import RemoteMember
from strongroom.hsm.cluster._slowness import Speed, judge
from strongroom.hsm.cluster._table import SERVING, ClusterTable, WorkerEntry
from strongroom.hsm.cluster._worker import Place, Worker

_REPORT_EVERY_S = 1.0
_SLOW_FOR_S = 0.5


class Routing:
    """The published workers, and the choice among them.

    In this order a worker is preferred that: has a closed breaker; is not degraded; has not just said that it is
    busy; has no call under way that takes longer than it should; has the lowest priority; has the least outstanding
    calls; had its last turn the longest ago. So the lowest priority with a member fit to serve has all the calls, and
    an unfit member is asked rather than none. One whose share still grows lets some of its calls pass to the next.
    Belongs to the event loop.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        connect: Callable[[str, str, int], RemoteMember] = RemoteMember,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._connect = connect
        self._workers: dict[tuple[str, int], Worker] = {}
        self._turn = 0

    @property
    def workers(self) -> Collection[Worker]:
        """Every worker as last published."""
        return self._workers.values()

    def apply(self, table: ClusterTable) -> list[RemoteMember]:
        """Take over a table. Returns connections that may still finish their calls before they are closed.

        That is where one process that serves takes over from another; otherwise connections to what has changed
        are closed at once, so that calls move on.
        """
        published = {(entry.member, entry.worker): entry for entry in table.workers}
        idle_soon = []
        for key in self._workers.keys() - published.keys():
            self._workers.pop(key).member.close()
        for key, entry in published.items():
            known = self._workers.get(key)
            if known is not None and _process(known.entry) == _process(entry):
                known.update(entry)
                continue
            if known is not None:
                if known.entry.state in SERVING and entry.state in SERVING:
                    idle_soon.append(known.member)
                else:
                    known.member.close()
            member = self._connect(entry.member, entry.use_path, entry.pid)
            self._workers[key] = Worker(entry, member, clock=self._clock, jitter=self._jitter)
        return idle_soon

    def has_serving(self) -> bool:
        """Whether at least one member is published as serving."""
        return any(worker.entry.state in SERVING for worker in self._workers.values())

    def choose(self, excluded: Collection[Place]) -> Worker | None:
        """The best worker for a call, but for those excluded."""
        best = self._best(excluded)
        if best is not None and best.is_held_back():
            self._take_turn(best)
            other = self._best({*excluded, best.place})
            if other is not None and self._doubts(other) <= self._doubts(best):
                best = other
        if best is not None:
            self._take_turn(best)
        return best

    def _best(self, excluded: Collection[Place]) -> Worker | None:
        best, best_rank = None, None
        for worker in self._workers.values():
            if worker.entry.state not in SERVING or worker.place in excluded:
                continue
            rank = (
                self._doubts(worker),
                worker.entry.priority,
                worker.member.outstanding,
                worker.last_turn,
            )
            if best_rank is None or rank < best_rank:
                best, best_rank = worker, rank
        return best

    @staticmethod
    def _doubts(worker: Worker) -> tuple[bool, bool, bool, bool]:
        return (not worker.breaker.is_closed, worker.is_degraded, worker.is_busy, worker.late > 0)

    def _take_turn(self, worker: Worker) -> None:
        self._turn += 1
        worker.last_turn = self._turn

    def due_for_probe(self, asked: Worker) -> Worker | None:
        """A worker that is to be sent the same call as the healthy ``asked``, to see how it is; to be asked once a call."""
        if not asked.is_healthy:
            return None
        for worker in self._workers.values():
            if worker is not asked and worker.entry.state in SERVING and worker.begin_probe():
                return worker
        return None

    def healthy_latencies(self, verb_name: str) -> list[Latencies]:
        """What healthy members take for a verb: the measure for all."""
        return [
            worker.latencies[verb_name]
            for worker in self._workers.values()
            if verb_name in worker.latencies and worker.entry.state in SERVING and worker.is_healthy
        ]

    def speed_report(self, worker: Worker, verb_name: str) -> tuple[Speed, str] | None:
        """What main is to be told of a worker's speed after a call, at most once a second for each.

        That it is slow has to be found for half a second: a moment in which it had no processor is no reason.
        """
        now = self._clock.monotonic()
        if now - worker.reported_at < _REPORT_EVERY_S or worker.entry.state not in SERVING:
            return None
        others = (other for other in self._workers.values() if other.entry.state in SERVING)
        found = judge(worker, others, verb_name)
        if found is None or found[0] != "slow":
            worker.slow_since = None
        elif worker.slow_since is None:
            worker.slow_since = now
        if found is None or (worker.slow_since is not None and now - worker.slow_since < _SLOW_FOR_S):
            return None
        worker.reported_at = now
        return found


def _process(entry: WorkerEntry) -> tuple[int, str]:
    """What a connection belongs to: another generation or another socket needs a new one."""
    return entry.generation, entry.use_path
