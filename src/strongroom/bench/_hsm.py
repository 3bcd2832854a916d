"""How fast a member answers: by so many callers at once, one call after the other or in batches."""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import quantiles
from typing import NamedTuple, Protocol

import msgspec

from strongroom.core import (
    BatchItem,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    Clock,
    Deadline,
    HsmBatchUse,
    HsmDirectUse,
    HsmError,
    HsmKey,
    HsmUse,
    RootId,
    Secret,
    SigningAlgorithm,
    random_bytes,
)

Call = Callable[[int], Awaitable[int]]
"""Has a member do the same so many times and waits for the answers; returns how many of a batch failed. Raises HsmError."""

WRAPPED_BYTES = 32
AAD_BYTES = 32
_CALL_LIMIT_S = 30.0


class MeasuredMember(HsmUse, HsmDirectUse, HsmBatchUse, Protocol):
    """What is measured."""

    async def ping(self, *, deadline: Deadline) -> object:
        """Have the worker answer without any HSM call: an empty round trip."""
        ...


class BenchKeys(NamedTuple):
    """The keys on the member that calls use."""

    root_id: RootId
    rsa: HsmKey
    """RSA_2048, for signing."""
    p256: HsmKey
    """ECC_NIST_P256, for signing."""


async def member_calls(member: MeasuredMember, keys: BenchKeys, *, clock: Clock) -> dict[str, Call]:
    """Return the calls that are measured, by name; makes what ``unwrap`` opens. Raises HsmError.

    A single one is the verb by itself, several are a batch; round trips, which no batch has, are sent together.
    """

    def in_time() -> Deadline:
        return Deadline.after(clock, _CALL_LIMIT_S)

    def call(one: Callable[[], Awaitable[object]], item: BatchItem) -> Call:
        async def make(n: int) -> int:
            if n == 1:
                await one()
                return 0
            answers = await member.batch([item] * n, deadline=in_time())
            return sum(isinstance(answer, HsmError) for answer in answers)

        return make

    key_bytes, aad, digest = Secret(random_bytes(WRAPPED_BYTES)), random_bytes(AAD_BYTES), random_bytes(32)
    wrapped = await member.wrap(keys.root_id, key_bytes, aad, deadline=in_time())
    pkcs1, ecdsa = SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256, SigningAlgorithm.ECDSA_SHA_256

    async def round_trips(n: int) -> int:
        if n == 1:
            await member.ping(deadline=in_time())
        else:
            await asyncio.gather(*(member.ping(deadline=in_time()) for _ in range(n)))
        return 0

    return {
        "round-trip": round_trips,
        "wrap": call(
            lambda: member.wrap(keys.root_id, key_bytes, aad, deadline=in_time()),
            BatchWrap(keys.root_id, key_bytes, aad),
        ),
        "unwrap": call(
            lambda: member.unwrap(keys.root_id, wrapped, aad, deadline=in_time()),
            BatchUnwrap(keys.root_id, wrapped, aad),
        ),
        "rsa-sign": call(
            lambda: member.sign(keys.rsa, pkcs1, digest, deadline=in_time()),
            BatchSign(keys.rsa, pkcs1, digest),
        ),
        "p256-sign": call(
            lambda: member.sign(keys.p256, ecdsa, digest, deadline=in_time()),
            BatchSign(keys.p256, ecdsa, digest),
        ),
    }


class CallCell(msgspec.Struct, frozen=True):
    """One kind of call at one number of callers and one size of batch."""

    call: str
    callers: int
    batch: int
    """Items of the batch that each caller sends (1: the verb by itself); it waits for all answers before the next."""
    rate: float
    """Calls per second."""
    p50_us: float
    """Of a whole batch, from its sending to its last answer, in microseconds; so the next."""
    p99_us: float
    failed: int


class _Tally:
    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self.took_s: list[float] = []


async def measure_calls(
    name: str, call: Call, *, callers: int, batch: int, seconds: float, clock: Clock
) -> CallCell:
    """Have ``callers`` make batches of a call for so many seconds. Calls that raise HsmError count as failed."""
    await call(1)  # the connection is made, and the key's handle found, before the clock starts
    tally = _Tally()
    began = clock.monotonic()
    until = began + seconds
    await asyncio.gather(*(_keep_calling(call, batch, until, tally, clock) for _ in range(callers)))
    lasted_s = clock.monotonic() - began
    cuts = quantiles([*tally.took_s, tally.took_s[-1]], n=100)
    return CallCell(
        call=name,
        callers=callers,
        batch=batch,
        rate=(tally.calls - tally.failed) / lasted_s,
        p50_us=cuts[49] * 1e6,
        p99_us=cuts[98] * 1e6,
        failed=tally.failed,
    )


async def _keep_calling(call: Call, batch: int, until: float, tally: _Tally, clock: Clock) -> None:
    while True:
        began = clock.monotonic()
        try:
            failed = await call(batch)
        except HsmError:
            failed = batch
        ended = clock.monotonic()
        tally.calls += batch
        tally.failed += failed
        tally.took_s.append(ended - began)
        if ended >= until:
            return
