"""Memory and handles of a worker and of its caller stay flat over a million operations with faults on.

A real worker process on SoftHSM behind the fault shim does wraps and unwraps for ``HsmCluster``, in batches, while
one call in hundreds gets a bad return value, and now and then the login, every session, the link or the token is
lost, sessions are short, or the HSM is slow or busy. Every answer is compared. The short lane does a two hundredth.
"""

import asyncio
import gc
import os
import random
import time
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial

import pytest

from faults.million_troubles import Trouble
from faults.shimmed_members import PIN, Footprint, footprint, shimmed_members
from strongroom.core import (
    Deadline,
    NoMemberError,
    PinRefusedError,
    RootId,
    Secret,
    SystemClock,
    random_bytes,
)
from strongroom.hsm.cluster import (
    ClusterTable,
    HsmCluster,
    MemberState,
    RemoteAdmin,
    RemoteMember,
    WorkerEntry,
)
from strongroom.hsm.wire import WireClient
from strongroom.wiring.pin_refusals import refuse_known_pin

pytestmark = pytest.mark.softhsm

ROOT, AAD = RootId(b"the root's name."), b"domain 1, version 1"
CLOCK = SystemClock()
BATCH = 256
CALL_LIMIT_S = 30.0
ATTEMPT_S = 5.0
WARM_UP = 0.2
FLAT_KIB = {"worker": 2 * 1024, "caller": 12 * 1024}
"""Growth after the warm-up that counts as flat. Batches of changing sizes spread the caller's heap out for a while, so
there the number of Python objects tells more."""
FLAT_OBJECTS = 2_000
NO_MEMBER_AT_MOST = 0.001


def soon(seconds=CALL_LIMIT_S):
    return Deadline.after(CLOCK, seconds)


class Unheard:
    """A ``core.EventSink`` that keeps nothing, since it would grow."""

    def emit(self, event, **fields):
        pass


@asynccontextmanager
async def serving(member):
    """A worker that serves with a root, and the cluster of it alone."""
    administer = member.bootstrap("administer")
    child = await member.start(administer)
    try:
        admin = RemoteAdmin(member.name, await WireClient.connect(administer.admin_path), timeout_s=30)
        await admin.generate_root(ROOT, "root")
        admin.close()
    finally:
        await child.end()
    bootstrap = member.bootstrap("serve", 1)
    child = await member.start(bootstrap)
    cluster = HsmCluster(clock=CLOCK, events=Unheard(), attempt_s=ATTEMPT_S, report=lambda suspicion: None)
    entry = WorkerEntry(member.name, 0, 1, MemberState.ACTIVE, bootstrap.use_path)
    cluster.apply(ClusterTable(1, [entry]))
    try:
        yield child, cluster, bootstrap.use_path
    finally:
        cluster.close()
        await child.kill()


async def settled(cluster, use_path):
    """Health of the worker, after one call without faults."""
    await cluster.random(8, deadline=soon())
    member = RemoteMember("alpha", use_path)
    try:
        return await member.ping(deadline=soon(10))
    finally:
        member.close()


async def one_wrap(cluster):
    await cluster.wrap(ROOT, Secret(bytes(32)), AAD, deadline=soon())


async def one(cluster, wrapped, key, outcomes, *, is_wrap):
    """A wrap or an unwrap; a wrapped key is kept, and opened by a later call."""
    try:
        if is_wrap:
            return await cluster.wrap(ROOT, key, AAD, deadline=soon())
        opened = await cluster.unwrap(ROOT, wrapped, AAD, deadline=soon())
    except NoMemberError:
        outcomes["no member"] += 1
        return wrapped
    outcomes["right" if opened.matches(key) else "wrong"] += 1
    return wrapped


async def batch_of(cluster, blobs, outcomes, *, n_wraps):
    """One batch: ``n_wraps`` places of the list are wrapped anew, the others opened."""
    places = range(len(blobs))
    made = await asyncio.gather(
        *(
            one(cluster, blobs[place][0], blobs[place][1], outcomes, is_wrap=place < n_wraps)
            for place in places
        )
    )
    outcomes["wrapped"] += n_wraps
    for place in range(n_wraps):
        blobs[place] = made[place], blobs[place][1]
    blobs.append(blobs.pop(0))  # so that each place is wrapped anew in its turn


async def worked(child, cluster, n_operations, trouble, outcomes, *, every):
    """Do so many operations, with something new going wrong ``every`` so many; gives how many are done."""
    keys = [Secret(random_bytes(32)) for _ in range(BATCH)]
    blobs = [(await cluster.wrap(ROOT, key, AAD, deadline=soon()), key) for key in keys]
    trouble_at = every
    for done in range(BATCH, n_operations + BATCH, BATCH):
        await batch_of(cluster, blobs, outcomes, n_wraps=BATCH // 8)
        if done >= trouble_at:
            trouble_at += every
            await trouble.next()
        assert not child.has_ended, f"the worker ended after {done} operations and {trouble.had}"
        yield done


class Samples:
    """Footprints of worker and caller over the run."""

    def __init__(self, pids, shim):
        self._pids, self._shim = pids, shim
        self.taken: dict[str, list[Footprint]] = {name: [] for name in pids}
        self.sessions: list[int] = []
        self.objects: list[int] = []  # of the caller

    def take(self):
        gc.collect()
        self.objects.append(len(gc.get_objects()))
        for name, pid in self._pids.items():
            self.taken[name].append(footprint(pid))
        self.sessions.append(self._shim.count("open_sessions"))

    def require_flat(self):
        for name, samples in self.taken.items():
            first, last = samples[0], samples[-1]
            assert last.resident_kib - first.resident_kib <= FLAT_KIB[name], (name, samples)
            assert last.threads <= first.threads + 1, (name, samples)
            if first.descriptors is not None:
                assert last.descriptors <= first.descriptors + 2, (name, samples)
        assert self.objects[-1] - self.objects[0] <= FLAT_OBJECTS, self.objects
        assert max(self.sessions) <= 1 + 4, "the pinned session, and as many as the profile allows"


async def run(member, n_operations, *, every, seed):
    """The whole of it; returns what is worth telling."""
    async with serving(member) as (child, cluster, use_path):
        shim, outcomes = member.shim, Counter()
        trouble = Trouble(shim, random.Random(seed), partial(one_wrap, cluster))
        samples = Samples({"worker": child.pid, "caller": os.getpid()}, shim)
        logins, began, sample_at = shim.calls("C_Login"), time.monotonic(), WARM_UP * n_operations
        trouble.start()
        async for done in worked(child, cluster, n_operations, trouble, outcomes, every=every):
            if done >= sample_at:
                samples.take()
                sample_at += 0.1 * n_operations
        took_s = time.monotonic() - began
        shim.heal()
        pong = await settled(cluster, use_path)
        samples.take()
        told = {
            "seed": seed,
            "seconds": round(took_s, 1),
            "a second": round(n_operations / took_s),
            "outcomes": dict(outcomes),
            "troubles": dict(trouble.had),
            "recoveries": pong.recoveries,
            "logins": shim.calls("C_Login") - logins,
            "KiB": {name: [s.resident_kib for s in taken] for name, taken in samples.taken.items()},
            "last": {name: taken[-1] for name, taken in samples.taken.items()},
            "objects": samples.objects,
            "sessions": samples.sessions,
        }
        print(told)
        require_health(child, told, trouble, outcomes, n_operations)
        samples.require_flat()
        await never_again_after_a_refusal(member, child, cluster)


def require_health(child, told, trouble, outcomes, n_operations):
    assert not outcomes["wrong"], told
    assert outcomes["no member"] <= max(10, NO_MEMBER_AT_MOST * n_operations), told
    assert outcomes["right"] >= 0.85 * n_operations, told
    assert not child.has_ended, told
    recoveries = told["recoveries"]
    assert not recoveries["given_up"], told
    assert recoveries["found_again"], told
    # Each time that the module is initialised anew costs the login too, also where a return value was the reason.
    assert told["logins"] <= recoveries["logins"] + recoveries["reinitialisations"], told
    assert recoveries["logins"] <= trouble.lost_logins, told


async def never_again_after_a_refusal(member, child, cluster):
    """A PIN that is refused once, as after somebody changed it, ends the worker, and nobody sends it again."""
    shim = member.shim
    logins = shim.calls("C_Login")
    shim.fail("C_Login", "CKR_PIN_INCORRECT", last=1)
    shim.log_out()
    calls = (cluster.wrap(ROOT, Secret(bytes(32)), AAD, deadline=soon(1.0)) for _ in range(8))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, NoMemberError) for outcome in outcomes), outcomes
    async with asyncio.timeout(60):
        await child.wait()
    assert shim.calls("C_Login") - logins == 1
    with pytest.raises(PinRefusedError, match="refused this PIN before"):
        refuse_known_pin(member.home, member.config, Secret(PIN))


@pytest.fixture
def member(tmp_path):
    with shimmed_members(tmp_path / "home", ("alpha",)) as (made,):
        yield made


def test_memory_and_handles_stay_flat_over_five_thousand_operations_with_faults_on(member):
    asyncio.run(run(member, 5_000, every=500, seed=random.randrange(2**32)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_and_handles_stay_flat_over_a_million_operations_with_faults_on(member):
    asyncio.run(run(member, 1_000_000, every=20_000, seed=random.randrange(2**32)))
