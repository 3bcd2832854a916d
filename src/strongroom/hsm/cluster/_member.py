"""A member as reached through its worker's socket."""

from strongroom.core import Deadline, MemberFailedError, RootId, Secret, WrapAlgorithm, WrappedBytes
from strongroom.hsm.wire import Ping, Pong, Random, Unwrap, WireClient, Wrap


class RemoteMember:
    """One worker of one member (``core.HsmMember``). Connects at the first call, and again after a loss.

    A call that the deadline cuts short is a MemberDeadlineError; the caller decides what that means.
    """

    def __init__(self, name: str, use_path: str) -> None:
        self._name = name
        self._use_path = use_path
        self._client: WireClient | None = None

    @property
    def name(self) -> str:
        """The member's name in the configuration."""
        return self._name

    @property
    def outstanding(self) -> int:
        """Calls that wait for an answer."""
        return 0 if self._client is None else self._client.outstanding

    async def wrap(
        self, root_id: RootId, key_bytes: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt key bytes under a root KEK (``core.HsmUse.wrap``)."""
        client = await self._connected()
        call = Wrap(root_id, key_bytes.reveal(), aad)
        made = await client.call(call, timeout_s=_left(deadline))
        return WrappedBytes(_algorithm(made.algorithm), made.iv, made.ciphertext, made.wrap_tag)

    async def unwrap(
        self, root_id: RootId, wrapped: WrappedBytes, aad: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt key bytes under a root KEK (``core.HsmUse.unwrap``)."""
        client = await self._connected()
        algorithm, iv, ciphertext, tag = wrapped
        call = Unwrap(root_id, int(algorithm), iv, ciphertext, tag, aad)
        return Secret(await client.call(call, timeout_s=_left(deadline)))

    async def random(self, n_bytes: int, *, deadline: Deadline) -> Secret:
        """Return bytes of the HSM's generator (``core.HsmUse.random``)."""
        client = await self._connected()
        return Secret(await client.call(Random(n_bytes), timeout_s=_left(deadline)))

    async def ping(self, *, deadline: Deadline) -> Pong:
        """Ask the worker what it is at. Not an HSM call."""
        client = await self._connected()
        return await client.call(Ping(), timeout_s=_left(deadline))

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self) -> WireClient:
        if self._client is None or self._client.is_lost:
            fresh = await WireClient.connect(self._use_path)
            if self._client is None or self._client.is_lost:
                self._client = fresh
            else:  # another call connected meanwhile
                fresh.close()
        return self._client


def _left(deadline: Deadline) -> float:
    return max(deadline.remaining_s(), 0.0)


def _algorithm(number: int) -> WrapAlgorithm:
    try:
        return WrapAlgorithm(number)
    except ValueError:
        raise MemberFailedError(f"the member used wrap algorithm {number}, which is not known") from None
