"""Bare servers that answer with what they are sent: the ceiling that HTTP in Python sets on this machine."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.processes import OwnedProcess, answers, free_port
from strongroom.bench import Connection, HttpRequest
from strongroom.client import Endpoint
from strongroom.config import worker_environment

OPERATION = "Echo"


class EchoSubject:
    """So many processes of ``echo_program`` on one port; they get the signed requests of ``sample``."""

    operations = (OPERATION,)

    def __init__(
        self, kind: str, processes: int, folder: Path, *, python: str, sample: Callable[[], list[HttpRequest]]
    ) -> None:
        self.name = f"echo: {kind}, processes: {processes}"
        self.endpoint = Endpoint("http", "127.0.0.1", free_port(), None)
        self._sample = sample
        here = str(Path(__file__).parents[1])
        environment = worker_environment({})
        environment["PYTHONPATH"] = ":".join(filter(None, (here, environment.get("PYTHONPATH", ""))))
        self.processes = [
            OwnedProcess(
                [python, "-m", "bench.echo_program", kind, str(self.endpoint.port)],
                environment=environment,
                log=folder / f"echo-{kind}-{number}.log",
            )
            for number in range(processes)
        ]

    @property
    def pids(self) -> Sequence[int]:
        """Its processes."""
        return [process.pid for process in self.processes]

    def wait_ready(self) -> None:
        """Wait until somebody answers. Raises BenchError."""
        self.processes[0].wait_until(lambda: answers(self.endpoint, "/"))

    def requests(self, operation: str) -> list[HttpRequest]:
        """Return the requests that the others get too."""
        made = self._sample()
        with Connection(self.endpoint) as connection:
            if connection.send(made[0]) != made[0].body:
                raise AssertionError("the echo is another")
        return made
