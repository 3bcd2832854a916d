"""A fake HSM as a member: asynchronous, with deadlines."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from strongroom.core import Deadline, MemberDeadlineError, RootId, Secret, WrappedBytes
from strongroom.testing._hsm import FakeHsm

T = TypeVar("T")
_LOOK_EVERY_S = 0.005


class FakeMember:
    """A ``core.HsmMember`` over a ``FakeHsm``, in this process. Obeys the switches of ``hsm.faults``.

    A call that hangs, or is slower than its deadline, raises MemberDeadlineError at the deadline.
    """

    def __init__(self, hsm: FakeHsm) -> None:
        self.hsm = hsm

    @property
    def name(self) -> str:
        """The member's name."""
        return self.hsm.name

    async def wrap(
        self, root_id: RootId, key_bytes: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt key bytes under a root (``core.HsmUse.wrap``)."""
        return await self._call(lambda: self.hsm.wrap(root_id, key_bytes, aad), deadline)

    async def unwrap(
        self, root_id: RootId, wrapped: WrappedBytes, aad: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt key bytes under a root (``core.HsmUse.unwrap``)."""
        return await self._call(lambda: self.hsm.unwrap(root_id, wrapped, aad), deadline)

    async def random(self, n_bytes: int, *, deadline: Deadline) -> Secret:
        """Return random bytes (``core.HsmUse.random``)."""
        return await self._call(lambda: self.hsm.random(n_bytes), deadline)

    async def _call(self, work: Callable[[], T], deadline: Deadline) -> T:
        faults = self.hsm.faults
        ready = Deadline.after(deadline.clock, faults.slow_s)
        while (faults.hangs or not ready.has_passed()) and not deadline.has_passed():  # noqa: ASYNC110  # threads switch it
            await asyncio.sleep(_LOOK_EVERY_S)
        if deadline.has_passed():
            raise MemberDeadlineError(f"member {self.name} did not answer in time")
        failing = faults.next_failure()
        if failing is None:
            return work()
        if failing.happened:
            work()
        raise failing.error()
