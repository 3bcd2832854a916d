"""What is asked of a cluster in a random sequence, and what must hold of each answer (``test_sequences_of_trouble``)."""

import asyncio
import time
from contextlib import suppress
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from faults.healing_cluster import soon
from faults.shimmed_setup import ROOT
from strongroom.core import (
    HsmIntegrityError,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    NoMemberError,
    Secret,
    SigningAlgorithm,
    random_bytes,
)
from strongroom.hsm.cluster import TooFewCopiesError
from strongroom.hsm.public_keys import verify_signature
from strongroom.storage import CopyState, HsmKeyRecord

NAMES = ("alpha", "beta", "gamma")
AAD = b"domain 1, version 1"
LATE_BY_S = 0.1
ANSWERED = "answered"
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
        self._late_s, self._slept_at = 0.0, time.monotonic()
        self._task = asyncio.ensure_future(self._beat())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def late_s(self):
        """Until now: also what the beat that is due by now is late."""
        return self._late_s + max(0.0, time.monotonic() - self._slept_at - self._EVERY_S - 0.001)

    async def _beat(self):
        while True:
            self._slept_at = time.monotonic()
            await asyncio.sleep(self._EVERY_S)
            self._late_s = self.late_s


class Operations(RuleBasedStateMachine):
    """One sequence. ``harness`` is given to a subclass: the cluster, its loop and the count of sequences."""

    harness = None

    def __init__(self):
        super().__init__()
        self.cluster, self.loop = self.harness.cluster, self.harness.loop
        self.story, self.keys, self.blobs = [], {}, []
        self.destroyed = []
        self.copies = {}  # of a token's files: member → folder, keys of then
        self.dropped = {
            name: set() for name in NAMES
        }  # keys that a token lost by going back to an older copy
        self.refused = {}  # member → C_Login calls before the one that is to be refused, and the fault that does it

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
                self.harness.seen[ANSWERED] += 1
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
                before, fault = self.refused[name]
                if fault.hits:
                    assert member.shim.calls("C_Login") <= before + 1, f"{name} tried the PIN again"

    def shim(self, name):
        return self.cluster.members[name].shim

    # --- operations --------------------------------------------------------------------------------------------

    @initialize()
    def begin(self):
        assert not self.harness.is_broken, "an earlier sequence failed, and left the cluster as it was then"

        async def work():
            await self.cluster.begin()
            await self.created(KeySpec.HMAC_256, 10, may_fail=())
            self.between_the_first_keys()
            await self.created(KeySpec.AES_256, 10, may_fail=())

        self.run(work(), told="begin")

    def between_the_first_keys(self):
        """When every member holds one key and serves."""

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
        blob, key = self.a_blob(data)

        async def work():
            call = self.cluster.cluster.unwrap(ROOT, blob, AAD, deadline=soon(seconds))
            opened = await self.timed(call, seconds)
            assert opened is None or opened.matches(key)

        self.run(work(), told=f"unwrap within {seconds} s")

    @precondition(lambda self: self.blobs)
    @rule(data=st.data(), seconds=limits)
    def unwrap_what_was_spoilt(self, data, seconds):
        """Whatever else goes wrong at a member, nobody opens what is not what was sealed."""
        blob, _ = self.a_blob(data)
        spoilt = blob._replace(tag=bytes(len(blob.tag)))
        call = self.cluster.cluster.unwrap(ROOT, spoilt, AAD, deadline=soon(seconds))

        async def work():
            opened = await self.timed(call, seconds, may_fail=(HsmIntegrityError, NoMemberError))
            assert opened is None, "a spoilt blob was opened"

        self.run(work(), told=f"unwrap what was spoilt within {seconds} s")

    def a_blob(self, data):
        return self.blobs[data.draw(st.integers(0, len(self.blobs) - 1))]

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
        self.destroyed.append(key_id)
        call = self.cluster.replication.destroy(HsmKeyId(key_id), deadline=soon(seconds))
        self.run(self.timed(call, seconds, may_fail=()), told=f"destroy {record.spec} within {seconds} s")

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
