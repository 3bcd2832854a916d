"""Asking a process of its own that loads a vendor's library: one that hangs or crashes takes that process with it, not who asked.

One JSON document on standard input, the question; one on standard output, the answer. What the library prints goes nowhere.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from strongroom.core import StrongroomError

QuestionT = TypeVar("QuestionT")
AnswerT = TypeVar("AnswerT")

_MAX_QUESTION_BYTES: Final = 64 * 1024
_MAX_ANSWER_BYTES: Final = 1024 * 1024


class AskedProcessError(StrongroomError):
    """The process gave no answer: the library in it hangs, or crashed."""


def ask_process(
    program: str,
    question: object,
    kind: type[AnswerT],
    *,
    library: str,
    limit_s: float,
    env: Mapping[str, str] | None = None,
) -> AnswerT:
    """Run ``python -m program`` and return its answer. ``library``: what errors call the one that it loads.

    ``env`` None: the environment of this process. Raises AskedProcessError when no answer comes.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", program],
            input=msgspec.json.encode(question),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # vendors write there what they like
            env=env,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AskedProcessError(f"{library} hangs: no answer within {limit_s:.0f} s") from error
    try:
        return msgspec.json.decode(done.stdout[-_MAX_ANSWER_BYTES:], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        how = signal.Signals(-done.returncode).name if done.returncode < 0 else f"status {done.returncode}"
        raise AskedProcessError(f"{library} took its process with it ({how})") from error


def answer_one(kind: type[QuestionT], answer: Callable[[QuestionT], object]) -> None:
    """Be that process: answer one question, and end."""
    answer_fd = os.dup(1)
    os.dup2(2, 1)  # what the library prints is no part of the answer
    raw = sys.stdin.buffer.read(_MAX_QUESTION_BYTES)
    given = answer(msgspec.json.decode(raw, type=kind))
    with os.fdopen(answer_fd, "wb") as pipe:
        pipe.write(msgspec.json.encode(given))
    os._exit(0)  # C_Finalize can hang, and there is nothing to save
