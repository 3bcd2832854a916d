"""Random sequences of operations, faults, losses and returns on a cluster of three real members, as a state machine.

What must hold in each: a key that was acknowledged is there as long as fewer than ``min_copies`` members lost it for
good; a key that was destroyed is nowhere once members were reconciled, also where a token came back from an older
copy; no answer is wrong; no operation takes longer than its deadline and 100 ms; a PIN that was refused is never
sent again. The workers live on from sequence to sequence, but for those that a sequence kills.

Here the members heal by the keepers of main alone; ``test_cluster_state_machine`` tends them step by step.
"""

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from faults.healing_cluster import HealingCluster, impatient_keepers, soon
from faults.shimmed_faults import ENDING, HANGING, PASSING
from faults.shimmed_members import shimmed_members
from faults.shimmed_setup import ROOT, join
from strongroom.core import HsmKeyId, KeySpec, KeyUsage, NoMemberError, Secret, SigningAlgorithm, random_bytes
from strongroom.hsm.cluster import MemberState, TooFewCopiesError
from strongroom.hsm.public_keys import verify_signature
from strongroom.storage import CopyState, HsmKeyRecord

pytestmark = pytest.mark.softhsm

NAMES = ("alpha", "beta", "gamma")
AAD = b"domain 1, version 1"
LATE_BY_S = 0.1
KINDS = {
    KeySpec.AES_256: KeyUsage.ENCRYPT_DECRYPT,
    KeySpec.HMAC_256: KeyUsage.GENERATE_VERIFY_MAC,
    KeySpec.ECC_NIST_P256: KeyUsage.SIGN_VERIFY,
}
names, limits = st.sampled_from(NAMES), st.sampled_from([0.3, 1.0, 2.0])


class Known(NamedTuple):
    """A key that was acknowledged, and what it made for us to compare with: a MAC, or something sealed."""

    record: HsmKeyRecord
    made: object
    message: bytes


class Heartbeat:
    """How late the event loop itself was: what others do on this machine is no fault of the cluster."""

    _EVERY_S = 0.005

    async def __aenter__(self):
        self.late_s = 0.0
        self._task = asyncio.ensure_future(self._beat())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self):
        while True:
            began = time.monotonic()
            await asyncio.sleep(self._EVERY_S)
            self.late_s += max(0.0, time.monotonic() - began - self._EVERY_S - 0.001)


class Machine(RuleBasedStateMachine):
    """One sequence. ``harness`` is given to a subclass: the cluster, its loop and the count of sequences."""

    harness = None

    def __init__(self):
        super().__init__()
        self.cluster, self.loop = self.harness.cluster, self.harness.loop
        self.story, self.keys, self.blobs = [], {}, []
        self.copies = {}  # of a token's files: member → folder, keys of then
        self.dropped = {
            name: set() for name in NAMES
        }  # keys that a token lost by going back to an older copy
        self.refused = {}  # member → C_Login calls before the one that was refused

    # --- running -----------------------------------------------------------------------------------------------

    def run(self, work, *, told):
        """Run to its end, with what holds at every moment."""
        self.story.append(told)
        try:
            result = self.loop.run_until_complete(work)
            self.check_logins()
            return result
        except BaseException as error:
            self.harness.failed(self, error)
            raise

    async def timed(self, work, seconds, *, may_fail=(NoMemberError,)):
        """An operation before a deadline; returns None where it failed as it may."""
        wrote_s = self.cluster.store.took_s
        async with Heartbeat() as heart:
            began = time.monotonic()
            try:
                result = await work
            except may_fail as error:
                self.story.append(f"   -> {type(error).__name__}: {error}"[:300])
                self.harness.seen[type(error).__name__] += 1
                result = None
            took_s = time.monotonic() - began
        excused_s = heart.late_s + self.cluster.store.took_s - wrote_s
        assert took_s <= seconds + LATE_BY_S + excused_s, f"{took_s:.3f} s of {seconds} s ({excused_s:.3f} s)"
        return result

    def check_logins(self):
        for name, member in self.cluster.members.items():
            assert not member.shim.repeated_pins
            if name in self.refused:
                assert member.shim.calls("C_Login") <= self.refused[name] + 1, f"{name} tried the PIN again"

    def shim(self, name):
        return self.cluster.members[name].shim

    # --- operations --------------------------------------------------------------------------------------------

    @initialize()
    def begin(self):
        async def work():
            await self.cluster.begin()
            for spec in (KeySpec.HMAC_256, KeySpec.AES_256):
                await self.created(spec, 10, may_fail=())

        self.run(work(), told="begin")

    @rule(seconds=limits)
    def wrap(self, seconds):
        async def work():
            key = Secret(random_bytes(32))
            call = self.cluster.cluster.wrap(ROOT, key, AAD, deadline=soon(seconds))
            blob = await self.timed(call, seconds)
            if blob is not None:
                self.blobs.append((blob, key))

        self.run(work(), told=f"wrap within {seconds} s")

    @precondition(lambda self: self.blobs)
    @rule(data=st.data(), seconds=limits)
    def unwrap(self, data, seconds):
        blob, key = self.blobs[data.draw(st.integers(0, len(self.blobs) - 1))]

        async def work():
            call = self.cluster.cluster.unwrap(ROOT, blob, AAD, deadline=soon(seconds))
            opened = await self.timed(call, seconds)
            assert opened is None or opened.matches(key)

        self.run(work(), told=f"unwrap within {seconds} s")

    @rule(n_calls=st.integers(2, 24))
    def many_at_once(self, n_calls):
        async def one():
            key = Secret(random_bytes(16))
            blob = await self.cluster.cluster.wrap(ROOT, key, AAD, deadline=soon(2))
            assert (await self.cluster.cluster.unwrap(ROOT, blob, AAD, deadline=soon(2))).matches(key)

        async def work():
            outcomes = await asyncio.gather(*(one() for _ in range(n_calls)), return_exceptions=True)
            wrong = [o for o in outcomes if o is not None and not isinstance(o, NoMemberError)]
            assert not wrong, wrong

        self.run(self.timed(work(), 4), told=f"{n_calls} wraps and unwraps at once")

    @rule(spec=st.sampled_from(list(KINDS)), seconds=limits)
    def create(self, spec, seconds):
        self.run(self.created(spec, seconds), told=f"create {spec} within {seconds} s")

    async def created(self, spec, seconds, *, may_fail=(NoMemberError, TooFewCopiesError)):
        usage, deadline = KINDS[spec], soon(seconds)
        call = self.cluster.replication.create(spec, usage, "a key", may_leave=True, deadline=deadline)
        record = await self.timed(call, seconds, may_fail=may_fail)
        if record is not None:
            held = self.cluster.store.list_hsm_key_copies(record.key_id)
            assert sum(copy.state is CopyState.HELD for copy in held) >= 2
            self.keys[record.key_id] = Known(record, None, random_bytes(32))

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), seconds=limits)
    def use_key(self, data, seconds):
        key_id = self.drawn(data)
        told = f"use {self.keys[key_id].record.spec} within {seconds} s"
        self.run(self.timed(self.used(key_id, self.cluster.cluster, seconds), seconds), told=told)

    def drawn(self, data):
        return list(self.keys)[data.draw(st.integers(0, len(self.keys) - 1))]

    async def used(self, key_id, use, seconds):
        """Use a key and compare with what it made before."""
        known, deadline = self.keys[key_id], soon(seconds)
        key = known.record.key
        if key.spec is KeySpec.HMAC_256:
            made = await use.mac(key, known.message, deadline=deadline)
            assert self.keys[key_id].made in (None, made), "another MAC than before"
        elif key.spec is KeySpec.AES_256:
            made = known.made or await use.encrypt(key, Secret(known.message), AAD, deadline=deadline)
            opened = await use.decrypt(key, made, AAD, deadline=deadline)
            assert opened.matches(Secret(known.message))
        else:
            algorithm, made = SigningAlgorithm.ECDSA_SHA_256, True
            signature = await use.sign(key, algorithm, known.message, deadline=deadline)
            verify_signature(key.spec, known.record.public_key, algorithm, known.message, signature)
        if self.keys[key_id].made is None:
            self.keys[key_id] = known._replace(made=made)

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), seconds=limits)
    def destroy(self, data, seconds):
        self.destroy_one(self.drawn(data), seconds)

    def destroy_one(self, key_id, seconds):
        record = self.keys.pop(key_id).record
        call = self.cluster.replication.destroy(HsmKeyId(key_id), deadline=soon(seconds))
        self.run(self.timed(call, seconds, may_fail=()), told=f"destroy {record.spec} within {seconds} s")

    # --- faults ------------------------------------------------------------------------------------------------

    @rule(
        name=names, fault=st.sampled_from(sorted(PASSING)), then=st.sampled_from(["use", "create", "destroy"])
    )
    def fault(self, name, fault, then):
        """Something goes wrong, and somebody is about to notice."""
        self.story.append(f"{name}: {fault}")
        PASSING[fault](self.shim(name))
        if then == "use":
            self.use_all()
        elif then == "create":
            self.create(next(spec for spec in KINDS if spec.is_pair == (len(self.story) % 2 == 0)), 2.0)
        elif self.keys:
            self.destroy_one(next(iter(self.keys)), 1.0)

    @rule()
    def use_all(self):
        """Use every key several times at once, and the root."""

        async def one(key_id):
            with suppress(NoMemberError):
                await self.used(key_id, self.cluster.cluster, 2)

        async def work():
            await asyncio.gather(*(one(key_id) for key_id in self.keys for _ in range(4)))

        self.run(self.timed(work(), 4), told="use every key")
        self.many_at_once(6)

    @precondition(lambda self: len(self.story) % 3 == 0)  # each may cost a worker
    @rule(name=names, fault=st.sampled_from(sorted(HANGING | ENDING)))
    def grave_fault(self, name, fault):
        self.story.append(f"{name}: {fault}")
        (HANGING | ENDING)[fault](self.shim(name))

    @rule(name=names)
    def heal(self, name):
        self.story.append(f"{name}: healed")
        self.shim(name).heal()

    @precondition(lambda self: not self.refused and len(self.story) % 3 == 1)
    @rule(name=names)
    def refuse_pin(self, name):
        """As if somebody had changed the PIN: the next login is refused, once, so that a second one would show."""
        self.story.append(f"{name}: the PIN is changed")
        self.refused[name] = self.shim(name).calls("C_Login")
        self.shim(name).fail("C_Login", "CKR_PIN_INCORRECT", last=1)
        self.shim(name).log_out()

    @rule(name=names)
    def copy_token(self, name):
        """Copy a token's files for later."""
        if name in self.copies or not self.cluster.is_serving(name):
            return
        folder = self.harness.folder / f"{name}-{random_bytes(4).hex()}"
        shutil.copytree(self.cluster.members[name].token_folder, folder)
        self.copies[name] = folder, set(self.keys)
        self.story.append(f"{name}: copied")

    @precondition(lambda self: len(self.cluster.away) < 2 and len(self.story) % 2)
    @rule(name=names)
    def lose(self, name):
        self.run(self.cluster.lose(name), told=f"{name}: lost")

    @precondition(lambda self: self.cluster.away)
    @rule()
    def bring_back(self):
        name = min(self.cluster.away)
        if name in self.copies and self.may_lose_its_keys(name):
            folder, then = self.copies.pop(name)
            self.cluster.restore_token(name, folder)
            shutil.rmtree(folder)
            self.dropped[name] |= set(self.keys) - then
            self.story.append(f"{name}: an older copy in place")
            self.harness.seen["an older copy in place"] += 1
        self.cluster.away.discard(name)
        self.story.append(f"{name}: back")

    @rule(seconds=st.sampled_from([0.05, 0.5]))
    def wait(self, seconds):
        self.run(asyncio.sleep(seconds), told=f"{seconds} s pass")

    def may_lose_its_keys(self, name):
        """Whether each acknowledged key is on another member too: else ``min_copies`` members would have lost it."""
        return all(self.holders(key_id) - {name} for key_id in self.keys)

    def holders(self, key_id):
        copies = self.cluster.store.list_hsm_key_copies(HsmKeyId(key_id))
        held = {copy.member for copy in copies if copy.state is CopyState.HELD}
        return {name for name in held if key_id not in self.dropped[name]}

    @rule(name=names)
    def reconcile(self, name):
        if self.cluster.is_serving(name):
            self.run(self.reconciled(name), told=f"{name}: reconciled")

    async def reconciled(self, name):
        report = await self.cluster.reconcile(name)
        if report is not None:
            is_open = {drift.object_id for drift in report.drifts if drift.is_open}
            self.dropped[name] = {key for key in self.dropped[name] if key.hex() in is_open}
        return report

    # --- the end -----------------------------------------------------------------------------------------------

    def teardown(self):
        if self.story and not self.harness.is_broken:
            self.harness.n_sequences += 1
            self.run(self.ended(), told="the end")

    async def ended(self):
        """Everything is healed and every member reconciled: all that must be there is there, and nothing else."""
        for member in self.cluster.members.values():
            member.shim.heal()
        self.cluster.away.clear()
        for name in NAMES:
            await self.put_right(name)
        self.check_logins()
        self.refused.clear()
        for name in NAMES:
            await self.require_clean(name)
        for key_id in list(self.keys):
            self.keys.pop(key_id)
            left = await self.cluster.replication.destroy(HsmKeyId(key_id), deadline=soon(20))
            assert not left.left_on, left
        for name in NAMES:
            await self.require_clean(name)
        for folder, _ in self.copies.values():
            shutil.rmtree(folder)
        self.harness.seen.update(event.name for event in self.cluster.events.events)
        self.cluster.end()

    async def put_right(self, name):
        """Have the member serve; where its PIN was refused, a person looks at it and lets it be tried again."""
        until = soon(60)
        while not await self.cluster.serves(name):
            assert not until.has_passed(), f"{name} does not serve: {self.cluster.entry(name)}"
            if self.cluster.state(name) is MemberState.STOPPED:
                self.check_logins()
                self.refused.pop(name)
                self.cluster.members[name].refusal_marker.unlink()
                self.cluster.keep(name)

    async def require_clean(self, name):
        """One member holds every acknowledged key, the same as ever, and none that was destroyed or undone."""
        for _ in range(20):  # one that is busy recovering is looked at again
            report = await self.reconciled(name)
            if report is not None and report.is_clean:
                break
            await self.put_right(name)
        assert report is not None, f"{name} does not answer"
        assert not [drift for drift in report.drifts if not drift.repair], report.in_words()
        replica = self.cluster.replica(name)
        held = {entry.cka_id for entry in await replica.keys.list_objects(deadline=soon(20))}
        expected = {ROOT, *(record.transport_id for record in self.cluster.joined.transports), *self.keys}
        assert held == expected, (name, held - expected, expected - held)
        for key_id in self.keys:
            await self.used(key_id, replica.use, 20)
        for blob, key in self.blobs:
            assert (await replica.use.unwrap(ROOT, blob, AAD, deadline=soon(20))).matches(key)


class Harness:
    """What outlives a sequence: the members with their workers, the loop, and the seed."""

    def __init__(self, cluster, loop, folder):
        self.cluster, self.loop, self.folder = cluster, loop, folder
        self.n_sequences = 0
        self.seen = Counter()  # events and failures by name
        self.seed = 0
        self.is_broken = False

    def failed(self, machine, error):
        """Print what led to a failure, once: chance is a part of it, so that a second run may not show it."""
        if not self.is_broken:
            self.is_broken = True
            print(f"\nseed {self.seed}, sequence {self.n_sequences}: {error!r}")
            print("\n".join(machine.story))
            for event in self.cluster.events.events[-60:]:
                print("   ", event.name, event.fields)

    def run(self, n_sequences, n_steps):
        """Run so many and some more; each ten have a seed of their own, since later ones would repeat parts of them."""
        began, until = time.monotonic(), self.n_sequences + n_sequences
        while self.n_sequences < until:
            self.seed = random.randrange(2**32)
            machine = seed(self.seed)(type("Sequence", (Machine,), {"harness": self}))
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=10,
                    stateful_step_count=n_steps,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],  # real faults are not made simpler by trying parts of a sequence
                    suppress_health_check=list(HealthCheck),
                ),
            )
        took_s = time.monotonic() - began
        print(
            f"{self.n_sequences} sequences so far, {self.cluster.n_starts} workers, {took_s:.0f} s for these"
        )
        print(dict(self.seen))


def memory_folder():
    """Where files are in memory, if there is such a place: what a disk takes is no subject here."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) else None


@contextmanager
def harness_in(folder):
    with (
        tempfile.TemporaryDirectory(dir=memory_folder()) as databases,
        shimmed_members(folder / "home", NAMES) as members,
        impatient_keepers(),
        asyncio.Runner() as runner,
    ):
        joined = runner.run(join(members))
        cluster = HealingCluster(members, joined, Path(databases))
        try:
            yield Harness(cluster, runner.get_loop(), Path(databases))
        finally:
            runner.run(cluster.stop())


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    with harness_in(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.fixture
def fit_harness(harness):
    if harness.is_broken:
        pytest.skip("an earlier sequence failed, and left the cluster as it was then")
    return harness


def test_twenty_sequences_of_operations_faults_losses_and_returns(fit_harness):
    fit_harness.run(20, 8)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(40))
def test_two_thousand_sequences_of_operations_faults_losses_and_returns(fit_harness, part):
    fit_harness.run(50, 14)
