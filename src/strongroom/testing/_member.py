"""A fake HSM as a member: asynchronous, with deadlines."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from strongroom.core import (
    BatchAnswer,
    BatchDecrypt,
    BatchEncrypt,
    BatchItem,
    BatchMac,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    Deadline,
    HsmError,
    HsmKey,
    MemberDeadlineError,
    OaepAlgorithm,
    RootId,
    Secret,
    SigningAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.wire import check_batch_len
from strongroom.testing._hsm import FakeHsm

T = TypeVar("T")
_VERBS: Final[Mapping[type, Callable[..., Any]]] = {
    BatchWrap: lambda hsm, *item: hsm.wrap(*item),
    BatchUnwrap: lambda hsm, *item: hsm.unwrap(*item),
    BatchSign: lambda hsm, *item: hsm.direct.sign(*item),
    BatchMac: lambda hsm, *item: hsm.direct.mac(*item),
    BatchEncrypt: lambda hsm, *item: hsm.direct.encrypt(*item),
    BatchDecrypt: lambda hsm, *item: hsm.direct.decrypt(*item),
}
_LOOK_EVERY_S = 0.005


class FakeMember:
    """A ``core.HsmMember``, ``core.HsmDirectUse`` and ``core.HsmBatchUse`` over a ``FakeHsm``, in this process. Obeys the switches of ``hsm.faults``.

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

    async def sign(
        self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes, *, deadline: Deadline
    ) -> bytes:
        """Sign (``core.HsmDirectUse.sign``)."""
        return await self._call(lambda: self.hsm.direct.sign(key, algorithm, signed), deadline)

    async def mac(self, key: HsmKey, message: bytes, *, deadline: Deadline) -> bytes:
        """Make a MAC (``core.HsmDirectUse.mac``)."""
        return await self._call(lambda: self.hsm.direct.mac(key, message), deadline)

    async def encrypt(
        self, key: HsmKey, plaintext: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt under an AES key (``core.HsmDirectUse.encrypt``)."""
        return await self._call(lambda: self.hsm.direct.encrypt(key, plaintext, aad), deadline)

    async def decrypt(self, key: HsmKey, sealed: WrappedBytes, aad: bytes, *, deadline: Deadline) -> Secret:
        """Decrypt under an AES key (``core.HsmDirectUse.decrypt``)."""
        return await self._call(lambda: self.hsm.direct.decrypt(key, sealed, aad), deadline)

    async def decrypt_oaep(
        self, key: HsmKey, algorithm: OaepAlgorithm, ciphertext: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt under an RSA key (``core.HsmDirectUse.decrypt_oaep``)."""
        return await self._call(lambda: self.hsm.direct.decrypt_oaep(key, algorithm, ciphertext), deadline)

    async def derive(self, key: HsmKey, peer_spki_der: bytes, *, deadline: Deadline) -> Secret:
        """Agree on a secret by ECDH (``core.HsmDirectUse.derive``)."""
        return await self._call(lambda: self.hsm.direct.derive(key, peer_spki_der), deadline)

    async def public_key(self, key: HsmKey, *, deadline: Deadline) -> bytes:
        """Return the public half (``core.HsmDirectUse.public_key``)."""
        return await self._call(lambda: self.hsm.direct.public_key(key), deadline)

    async def batch(self, items: Sequence[BatchItem], *, deadline: Deadline) -> list[BatchAnswer]:
        """Do many things, one after the other (``core.HsmBatchUse.batch``)."""
        check_batch_len(len(items))
        return [await self._one(item, deadline) for item in items]

    async def _one(self, item: BatchItem, deadline: Deadline) -> BatchAnswer:
        try:
            answer: BatchAnswer = await self._call(lambda: _VERBS[type(item)](self.hsm, *item), deadline)
        except HsmError as error:
            return error
        return answer

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
