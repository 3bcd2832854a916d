"""What is measured: a Strongroom service in three forms, and what every subject has in common."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from bench.processes import OwnedProcess, answers, command_line, free_port, processes_below
from strongroom.bench import HttpRequest, KmsCaller, RequestMaker
from strongroom.client import Endpoint, Service, development_access_key
from strongroom.config import Home, load_config, render_config, worker_environment
from strongroom.core import SystemClock
from strongroom.hsm.token import write_softhsm_config
from strongroom.wiring.initialise import initialise_development

_PYTHON_MODULE = ("-m", "strongroom.runtime.main")
API_PROGRAM = "strongroom.runtime.api"
_REGION = "us-east-1"


class Subject(Protocol):
    """Something that answers requests."""

    @property
    def name(self) -> str:
        """How results call it."""
        ...

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        ...

    @property
    def operations(self) -> Sequence[str]:
        """What it can be measured at."""
        ...

    @property
    def pids(self) -> Sequence[int]:
        """Its processes, those below them not named."""
        ...

    def requests(self, operation: str) -> list[HttpRequest]:
        """Return requests made now, after a first one was answered with 200. Raises BenchError."""
        ...


def make_home(root: Path, *, tls: bool = True) -> Home:
    """Make a development home; it is the template of those that are served."""
    asyncio.run(
        initialise_development(root, port=free_port(), clock=SystemClock(), progress=lambda _step: None)
    )
    home = Home(root)
    if not tls:
        config = load_config(root)
        service = msgspec.structs.replace(config.service, tls=False)
        home.config_file.write_text(render_config(msgspec.structs.replace(config, service=service)))
    return home


def set_cache(home: Home, *, ttl_s: float, max_keks: int, max_domains: int) -> None:
    """Configure how many keys the service keeps in memory, and how long."""
    config = load_config(home.root)
    cache = msgspec.structs.replace(config.cache, ttl_s=ttl_s, max_keks=max_keks, max_domains=max_domains)
    home.config_file.write_text(render_config(msgspec.structs.replace(config, cache=cache)))


def copy_home(template: Home, root: Path, *, tls: bool) -> Home:
    """Copy a home to another place and port; without ``tls`` it serves plain HTTP, which is for loopback only."""
    home = Home(root)
    shutil.copytree(template.root, root)
    for configuration in home.tokens.glob("*.conf"):
        write_softhsm_config(configuration, home.tokens / configuration.stem)
    config = load_config(root)
    service = msgspec.structs.replace(config.service, port=free_port(), tls=tls)
    home.config_file.write_text(render_config(msgspec.structs.replace(config, service=service)))
    return home


class StrongroomSubject:
    """A whole service on a home of its own: main, API processes, two SoftHSM members. A context manager by ``process``."""

    def __init__(
        self,
        name: str,
        home: Home,
        *,
        python: str,
        operations: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.home = home
        self.operations = operations
        service = load_config(home.root).service
        scheme, host = ("https", "localhost") if service.tls else ("http", "127.0.0.1")
        self.endpoint = Endpoint(scheme, host, service.port, home.tls / "ca.pem")
        variables = {
            "STRONGROOM_HOME": str(home.root),
            "STRONGROOM_PORT": str(service.port),
            **(environment or {}),
        }
        self.process = OwnedProcess(
            [python, *_PYTHON_MODULE],
            environment=worker_environment(variables),
            log=home.root.with_name(f"{home.root.name}.log"),
        )
        as_developer = Service(self.endpoint, development_access_key(home), _REGION)
        self.caller = KmsCaller(as_developer, clock=SystemClock())
        self._maker = RequestMaker(self.caller)

    @property
    def pids(self) -> Sequence[int]:
        """The main process."""
        return [self.process.pid]

    def wait_ready(self) -> None:
        """Wait until it serves. Raises BenchError."""
        self.process.wait_until(lambda: answers(self.endpoint, "/readyz"))

    def requests(self, operation: str) -> list[HttpRequest]:
        """Return requests signed now."""
        return self._maker.requests(operation)

    def api_processes(self) -> int:
        """How many processes answer HTTP."""
        below = processes_below(self.pids)
        return max(1, sum(API_PROGRAM in command_line(pid) for pid in below))
