"""A ceremony at a terminal, driven as a person would: a pseudo-terminal, prompts that are read, lines that are typed."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TESTS = Path(__file__).parent
_PROMPT = re.compile(r" ▶ (?P<question>[^▶]*?)\n   (?:Word 1 of 33: )?$", re.DOTALL)
_PASSPHRASE = re.compile(r"Passphrase[^\n]*: $")
_LIMIT_S = 40.0


class TerminalProcess:
    """A process of the command line at a terminal of its own. ``screen`` is all that it wrote."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.screen = ""
        self.passphrase = "a long enough passphrase"
        """What is typed where one is asked for."""
        self._answered = 0

    def question(self) -> str | None:
        """Wait for the next prompt and return what it asks; None when the process has ended."""
        until = time.monotonic() + _LIMIT_S
        while time.monotonic() < until:
            found = _PROMPT.search(self._plain()[self._answered :])
            if found is not None:
                return " ".join(found["question"].split())
            if _PASSPHRASE.search(self._plain()[self._answered :]):
                self._answered = len(self._plain())
                os.write(self._descriptor, f"{self.passphrase}\n".encode())
            if not self._read():
                return None
        raise AssertionError(f"no prompt within {_LIMIT_S} s; last on the screen: {self.screen[-400:]!r}")

    def type(self, text: str) -> None:
        """Answer the prompt: a line, or a control character as it is."""
        self._answered = len(self._plain())
        os.write(self._descriptor, text.encode() if text in {"\x03", "\x04"} else f"{text}\n".encode())

    def run(self, answer: Callable[[str], str | None]) -> int:
        """Answer every question until the process ends; None leaves it. Returns its exit status."""
        while (question := self.question()) is not None:
            text = answer(question)
            if text is None:
                return -1
            self.type(text)
        return self.process.wait(_LIMIT_S)

    def end_by(self, ending: signal.Signals) -> int:
        """Send the process a signal, and read until it has ended. Returns its exit status."""
        self.process.send_signal(ending)
        until = time.monotonic() + _LIMIT_S
        while self._read() and time.monotonic() < until:
            pass
        return self.process.wait(_LIMIT_S)

    def _plain(self) -> str:
        return without_controls(self.screen)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], 1.0)
        if not ready:
            return True
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # the other side is closed
            return False
        self.screen += data.decode("utf-8", "replace")
        return bool(data)


def without_controls(text: str) -> str:
    """Return what was written to a terminal without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.replace("\r\n", "\n"))


@contextmanager
def ceremony_at_terminal(
    world: Path, *arguments: str, rows: int = 50, columns: int = 110
) -> Iterator[TerminalProcess]:
    """Start ``strongroom ceremony`` with effects in memory; ended with the block, whatever happens."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "ceremony_in_memory", str(world), "--", "ceremony", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": f"{_TESTS}:{_TESTS.parent / 'src'}", "TERM": "xterm-256color"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # so that control-C reaches it
    )
    os.close(theirs)
    try:
        yield TerminalProcess(process, ours)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(_LIMIT_S)
        os.close(ours)
