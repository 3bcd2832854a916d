"""The generation of an initialised module: calls share it, a reinitialisation has it alone and ends it.

C_Finalize under another thread's call crashes modules, and every session and handle of before is void after it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.core import Deadline, MemberBusyError


class _Thread(threading.local):
    """What is known of each thread."""

    is_inside = False
    """Whether it shares the generation."""


class GenerationLock:
    """Readers are calls into the module, the one writer reinitialises it; who waits to write holds up new readers."""

    def __init__(self) -> None:
        self._lock = (
            threading.Lock()
        )  # guards the four below; itself quicker to take than through the condition
        self._condition = threading.Condition(self._lock)
        self._sharing = 0
        self._waiting = 0
        self._is_alone = False
        self._number = 1
        self._thread = _Thread()

    @property
    def number(self) -> int:
        """The generation; handles of an earlier one are void."""
        return self._number

    def enter(self, deadline: Deadline) -> int:
        """Keep the generation from ending until ``leave``; returns its number.

        Raises MemberBusyError when it is not to be had before the deadline, and RuntimeError inside another such
        call of this thread, which would wait for itself.
        """
        thread = self._thread
        if thread.is_inside:
            raise RuntimeError("work on a token must not start other work on it")
        with self._lock:
            if (self._is_alone or self._waiting) and not self._condition.wait_for(
                lambda: not (self._is_alone or self._waiting), max(deadline.remaining_s(), 0)
            ):
                raise MemberBusyError("the module of this member is being initialised anew")
            self._sharing += 1
            thread.is_inside = True
            return self._number

    def leave(self) -> None:
        """End what ``enter`` began in this thread."""
        self._thread.is_inside = False
        with self._lock:
            self._sharing -= 1
            if not self._sharing and self._waiting:
                self._condition.notify_all()

    @contextmanager
    def shared(self, deadline: Deadline) -> Iterator[int]:
        """Do both around a block; gives the number of the generation."""
        number = self.enter(deadline)
        try:
            yield number
        finally:
            self.leave()

    @contextmanager
    def alone(self, deadline: Deadline) -> Iterator[None]:
        """Wait until no call is under way, keep others out, and begin a new generation at the end.

        Raises MemberBusyError when the calls under way do not end before the deadline.
        """
        with self._condition:
            self._waiting += 1
            try:
                if not self._condition.wait_for(
                    lambda: not (self._is_alone or self._sharing), max(deadline.remaining_s(), 0)
                ):
                    raise MemberBusyError(
                        f"the module must be initialised anew, and {self._sharing} calls are still in it"
                    )
                self._is_alone = True
            finally:
                self._waiting -= 1
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._number += 1
                self._is_alone = False
                self._condition.notify_all()
