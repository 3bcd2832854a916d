"""Run as ``python -m tokens.token_process``: one PKCS#11 module in a process of its own, worked from outside.

Requests and answers are pickles with their length in 4 bytes before them, on standard input and output. They come from
the test that started this process and from nobody else. What the module prints goes to standard error.
"""

import functools
import importlib
import io
import os
import pickle
import struct
import sys
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any, BinaryIO

from strongroom.core import Secret
from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token import Profile, Role, Token, TokenSelector, initialise_token


class _Pickler(pickle.Pickler):
    """``Secret`` pickles only here: test keys may cross a pipe."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Secret):
            return Secret, (obj.reveal(),)
        return NotImplemented


def send(pipe: BinaryIO, value: Any) -> None:
    """Write one value."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    pipe.write(struct.pack("<I", buffer.tell()) + buffer.getvalue())
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """Read one value. Raises EOFError."""
    head = pipe.read(4)
    if len(head) < 4:
        raise EOFError
    return pickle.loads(pipe.read(struct.unpack("<I", head)[0]))  # noqa: S301  # from our own parent or child


def described(error: BaseException) -> tuple[str, str, str, dict[str, Any]]:
    """What is needed to raise an error again on the other side."""
    kind = type(error)
    found = {name: getattr(error, name) for name in ("ckr", "next_step") if hasattr(error, name)}
    return kind.__module__, kind.__qualname__, getattr(error, "message", str(error)), found


def rebuilt(description: tuple[str, str, str, dict[str, Any]]) -> BaseException:
    """The error that ``described`` described, or a RuntimeError that names it."""
    module, name, message, fields = description
    kind = getattr(importlib.import_module(module), name, None)
    if module.startswith("strongroom.") and isinstance(kind, type):
        made: BaseException = kind(message, **fields)
        return made
    return RuntimeError(f"{module}.{name}: {message}")


class Inside:
    """The state of the process; methods and what they hold are reached by dotted paths."""

    def __init__(self) -> None:
        self.module: Module | None = None
        self.token: Token | None = None
        self.os = SimpleNamespace(getpid=os.getpid)

    def load(self, path: str, library_parameters: str | None) -> None:
        """Load and initialise the module."""
        self.module = Module.load(path, library_parameters=library_parameters)

    def open(self, selector: TokenSelector, pin: Secret, profile: Profile, role: Role) -> None:
        """Open the token as ``hsm.token`` does."""
        assert self.module is not None
        self.token = Token.open(self.module, selector, pin, profile=profile, role=role)

    def initialise(self, *, label: str, so_pin: Secret, user_pin: Secret) -> None:
        """Initialise the first blank token, and finalise the module."""
        assert self.module is not None
        initialise_token(self.module, label=label, so_pin=so_pin, user_pin=user_pin)
        self.finalize()

    def finalize(self) -> None:
        """Close the token and finalise the module."""
        if self.token is not None:
            self.token.close()
        if self.module is not None:
            self.module.finalize()
        self.module = self.token = None

    def storm(
        self, path: str, *arguments: Any, n_threads: int, n_calls: int
    ) -> tuple[set[Any], Counter[str]]:
        """Call something in many threads; return what came back (secrets as bytes) and how often each error did."""
        answers: set[Any] = set()
        errors: Counter[str] = Counter()

        def work() -> None:
            for _ in range(n_calls):
                try:
                    answer = self.reach(path, arguments, {})
                    answers.add(answer.reveal() if isinstance(answer, Secret) else answer)
                except Exception as error:
                    errors[type(error).__name__] += 1

        threads = [threading.Thread(target=work) for _ in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers, errors

    def wrap_in_forked_child(self, *arguments: Any) -> str:
        """Wrap in a child made by fork: ``served``, ``refused`` or how the child ended."""
        child = os.fork()
        if not child:
            try:
                self.reach("token.wrap", arguments, {})
            except Exception:
                os._exit(7)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return {0: "served", 7: "refused"}.get(status, f"ended with {status}")

    def reach(self, path: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Follow the path, and call what is there unless it is a plain value."""
        found = functools.reduce(getattr, path.split("."), self)
        return found(*arguments, **keywords) if callable(found) else found


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the module prints must not get among the answers
    inside = Inside()
    while True:
        try:
            path, arguments, keywords = receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = True, inside.reach(path, arguments, keywords)
        except Exception as error:
            answer = False, described(error)
        send(answers, answer)


if __name__ == "__main__":
    main()
