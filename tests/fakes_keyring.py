"""Fakes that really work: a clock that a test moves, an HSM in memory, and a sink that keeps events."""

import asyncio

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import (
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    NoMemberError,
    Secret,
    WrapAlgorithm,
    WrappedBytes,
    random_bytes,
)


class FakeClock:
    """Stands still until ``advance``; a wall clock and a monotonic clock that agree."""

    def __init__(self, now: float = 1_800_000_000.0, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds


class FakeMember:
    """An HSM in memory with AES-GCM roots (``core.HsmMember``).

    ``fail_with`` is raised instead of any answer. While ``hold`` is set to an event, calls wait for it after
    they have arrived. ``unwraps`` counts the unwraps that arrived.
    """

    def __init__(self, name: str = "hsm-a") -> None:
        self.name = name
        self.roots: dict[bytes, AESGCM] = {}
        self.fail_with: HsmError | None = None
        self.hold: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.unwraps = 0

    def add_root(self, root_id: bytes, key: bytes | None = None) -> None:
        self.roots[bytes(root_id)] = AESGCM(key or random_bytes(32))

    def go_down(self) -> None:
        self.fail_with = NoMemberError("no member is active")

    def come_back(self) -> None:
        self.fail_with = None

    async def wrap(self, root_id, key_bytes, aad, *, deadline):
        root = await self._root(root_id, deadline)
        iv = random_bytes(12)
        sealed = root.encrypt(iv, key_bytes.reveal(), aad)
        return WrappedBytes(WrapAlgorithm.HSM_AES_GCM, iv, sealed[:-16], sealed[-16:])

    async def unwrap(self, root_id, wrapped, aad, *, deadline):
        self.unwraps += 1
        root = await self._root(root_id, deadline)
        try:
            return Secret(root.decrypt(wrapped.iv, wrapped.ciphertext + wrapped.tag, aad))
        except InvalidTag:
            raise HsmIntegrityError("the wrapped key does not authenticate") from None

    async def random(self, n_bytes, *, deadline):
        await self._answer(deadline)
        return Secret(random_bytes(n_bytes))

    async def _root(self, root_id, deadline):
        await self._answer(deadline)
        root = self.roots.get(bytes(root_id))
        if root is None:
            raise HsmKeyNotFoundError(f"{self.name} has no root {root_id.hex()}")
        return root

    async def _answer(self, deadline):
        assert not deadline.has_passed()
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.fail_with is not None:
            raise self.fail_with


class RecordingEvents:
    """An ``EventSink`` that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]
