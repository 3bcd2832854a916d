"""``TokenProcess``: a ``Token`` in a process of its own, used by tests as if it were here.

    with TokenProcess(started) as process:
        process.open()
        wrapped = process.token.wrap(root_id, key, aad)

So a module that crashes, hangs, keeps globals or must run in a namespace of its own does no harm to the tests.
"""

import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from strongroom.core import Secret
from strongroom.hsm.token import Role, TokenSelector
from tokens.started import StartedToken
from tokens.token_process import rebuilt, receive, send

_TESTS = Path(__file__).parents[1]
CALL_LIMIT_S = 90.0


class _Remote:
    """Something in the other process, by its dotted path: calling it calls it there."""

    def __init__(self, process: "TokenProcess", path: str) -> None:
        self._process = process
        self._path = path

    def __getattr__(self, name: str) -> "_Remote":
        return _Remote(self._process, f"{self._path}.{name}")

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._process.call(self._path, *arguments, **keywords)


class TokenProcess:
    """A process that has loaded a token's module."""

    def __init__(self, started: StartedToken) -> None:
        self.started = started
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(_TESTS)]),
            **{name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
            **started.environment,
        }
        self._process = subprocess.Popen(
            [*started.prefix, "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tokens.token_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )
        self.module, self.token = _Remote(self, "module"), _Remote(self, "token")

    def __enter__(self) -> Self:
        try:
            self.load()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(
        self, *, pin: bytes | None = None, role: Role = Role.USER, selector: TokenSelector | None = None
    ) -> None:
        """Open the token with its PIN, or another one."""
        started = self.started
        right = started.user_pin if role is Role.USER else started.so_pin
        self.call(
            "open",
            selector or TokenSelector(label=started.label),
            Secret(pin if pin is not None else right or b""),
            started.profile,
            role,
        )

    def reopen(self, *, role: Role = Role.USER) -> None:
        """Finalise, load again and open: as another process would find the token."""
        self.call("finalize")
        self.load()
        self.open(role=role)

    def load(self) -> None:
        """Load and initialise the module."""
        self.call("load", str(self.started.module), self.started.library_parameters)

    def send(self, path: str, /, *arguments: Any, **keywords: Any) -> None:
        """Start a call and do not wait for its answer."""
        assert self._process.stdin is not None
        send(self._process.stdin, (path, arguments, keywords))

    def kill(self) -> None:
        """Kill the process, as main does with a worker that hangs."""
        self._process.kill()
        self._process.wait(60)

    def call(self, path: str, /, *arguments: Any, **keywords: Any) -> Any:
        """Call what a dotted path leads to; raises what it raised."""
        assert self._process.stdout is not None
        try:
            self.send(path, *arguments, **keywords)
            if not select.select([self._process.stdout], [], [], CALL_LIMIT_S)[0]:
                raise TimeoutError(f"{path} took longer than {CALL_LIMIT_S} s")
            is_fine, answer = receive(self._process.stdout)
        except (EOFError, BrokenPipeError):
            raise ChildProcessError(f"the process of the token ended: {self._ending()}") from None
        if not is_fine:
            raise rebuilt(answer)
        return answer

    def _ending(self) -> str:
        status = self._process.wait(60)
        self._errors.seek(0)
        return f"status {status}, it said: {self._errors.read()[-2000:].decode(errors='replace')}"

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(60)
        self._errors.close()
