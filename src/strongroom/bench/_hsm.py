"""How fast a member answers: calls by so many callers at once, one by one or in batches."""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import quantiles
from typing import NamedTuple, Protocol

import msgspec

from strongroom.core import (
    Clock,
    Deadline,
    HsmDirectUse,
    HsmError,
    HsmKey,
    HsmUse,
    RootId,
    Secret,
    SigningAlgorithm,
    random_bytes,
)

Call = Callable[[], Awaitable[object]]
"""Makes one call to a member and waits for its answer."""

WRAPPED_BYTES = 32
AAD_BYTES = 32
_CALL_LIMIT_S = 30.0


class MeasuredMember(HsmUse, HsmDirectUse, Protocol):
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
    """Return the calls that are measured, by name; makes what ``unwrap`` opens. Raises HsmError."""

    def in_time() -> Deadline:
        return Deadline.after(clock, _CALL_LIMIT_S)

    key_bytes, aad, digest = Secret(random_bytes(WRAPPED_BYTES)), random_bytes(AAD_BYTES), random_bytes(32)
    wrapped = await member.wrap(keys.root_id, key_bytes, aad, deadline=in_time())
    pkcs1, ecdsa = SigningAlgorithm.RSASSA_PKCS1_V1_5_SHA_256, SigningAlgorithm.ECDSA_SHA_256
    return {
        "round-trip": lambda: member.ping(deadline=in_time()),
        "wrap": lambda: member.wrap(keys.root_id, key_bytes, aad, deadline=in_time()),
        "unwrap": lambda: member.unwrap(keys.root_id, wrapped, aad, deadline=in_time()),
        "rsa-sign": lambda: member.sign(keys.rsa, pkcs1, digest, deadline=in_time()),
        "p256-sign": lambda: member.sign(keys.p256, ecdsa, digest, deadline=in_time()),
    }


class CallCell(msgspec.Struct, frozen=True):
    """One kind of call at one number of callers and one size of batch."""

    call: str
    callers: int
    batch: int
    """Calls that each caller sends together; it waits for the answers to all before it sends again."""
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
    await call()  # the connection is made, and the key's handle found, before the clock starts
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
        if batch == 1:
            outcomes = [await _outcome(call)]
        else:
            outcomes = await asyncio.gather(*(_outcome(call) for _ in range(batch)))
        ended = clock.monotonic()
        tally.calls += batch
        tally.failed += outcomes.count(False)
        tally.took_s.append(ended - began)
        if ended >= until:
            return


async def _outcome(call: Call) -> bool:
    try:
        await call()
    except HsmError:
        return False
    return True
