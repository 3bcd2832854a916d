"""Random operations, faults, losses and returns on a cluster of real workers on SoftHSM behind fault shims.

While fewer members than ``min_copies`` have lost their contents since all were last together: no acknowledged key is
lost, no destroyed key is back, no call gives wrong bytes or ends later than its deadline, and no PIN is tried twice.
"""

import asyncio
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from faults.shimmed_cluster import NAMES, shimmed_cluster, soon
from strongroom.core import (
    HsmError,
    HsmIntegrityError,
    KeySpec,
    KeyUsage,
    Secret,
    SigningAlgorithm,
    random_bytes,
)
from strongroom.hsm.cluster import prove_key
from strongroom.hsm.public_keys import verify_signature
from strongroom.storage import HsmKeyState

__all__ = ["shimmed_cluster"]
pytestmark = pytest.mark.softhsm

USE_LIMIT_S = 2.0
LATE_S = 0.1
SPECS = {
    KeySpec.HMAC_256: KeyUsage.GENERATE_VERIFY_MAC,
    KeySpec.ECC_NIST_P256: KeyUsage.SIGN_VERIFY,
    KeySpec.AES_256: KeyUsage.ENCRYPT_DECRYPT,
}
MESSAGE = bytes(range(32))
FAILING = [
    *((f"C_{verb}{part}", code) for verb in ("Encrypt", "Decrypt", "Sign") for part, code in (
        ("Init", "CKR_KEY_HANDLE_INVALID"), ("Init", "CKR_OPERATION_ACTIVE"), ("", "CKR_SESSION_HANDLE_INVALID"),
        ("", "CKR_GENERAL_ERROR"), ("", "CKR_FUNCTION_FAILED"), ("Init", "CKR_DEVICE_REMOVED"))),
    ("C_OpenSession", "CKR_SESSION_COUNT"),
    ("C_OpenSession", "CKR_DEVICE_MEMORY"),
    ("C_FindObjectsInit", "CKR_DEVICE_ERROR"),
    ("C_FindObjects", "CKR_SESSION_CLOSED"),
    ("C_GetAttributeValue", "CKR_OBJECT_HANDLE_INVALID"),
    ("C_GenerateKey", "CKR_DEVICE_ERROR"),
    ("C_GenerateKeyPair", "CKR_FUNCTION_FAILED"),
    ("C_UnwrapKey", "CKR_GENERAL_ERROR"),
    ("C_WrapKey", 0x8000_0384),
    ("C_DestroyObject", "CKR_DEVICE_ERROR"),
    ("C_DestroyObject", "CKR_OK"),
    ("C_GenerateRandom", 0x8000_001A),
]  # fmt: skip
CHANGES = ("C_GenerateKey", "C_GenerateKeyPair", "C_UnwrapKey", "C_DestroyObject")
STATES = {
    "logged out": lambda shim: shim.log_out(),
    "link cut": lambda shim: shim.cut_link(),
    "token lost": lambda shim: shim.lose_token(),
    "two sessions": lambda shim: shim.cap_sessions(2),
    "idle sessions dropped": lambda shim: shim.drop_idle_sessions(0.05),
    "read-only": lambda shim: shim.protect_from_writes(),
    "throttled": lambda shim: shim.throttle(200, burst=5),
    "slots changed": lambda shim: shim.change_slots(1),
    "slow": lambda shim: shim.delay("*", 0.01, last=40),
}
names, codes = st.sampled_from(NAMES), st.sampled_from(FAILING)


class Lateness:
    """How late the event loop itself is woken: what a busy machine adds to every deadline."""

    def __init__(self):
        self.worst_s = 0.0

    async def watch(self):
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            self.worst_s = max(self.worst_s, time.monotonic() - began - 0.01)


class Machine(RuleBasedStateMachine):
    """One sequence. The cluster lives on from one to the next."""

    world = None
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self):
        super().__init__()
        self.acknowledged, self.destroyed, self.wrapped, self.timers = {}, [], [], []
        self.is_lost_since_together = False
        self.contents = dict(self.world.first_contents)

    def run(self, work):
        return self.world.run(work)

    def use(self, make_call):
        """Make one call of the cluster within its deadline; returns its answer, or None where no member could."""
        return self.run(self._used(make_call))

    async def _used(self, make_call):
        lateness = Lateness()
        watching = asyncio.ensure_future(lateness.watch())
        began = time.monotonic()
        try:
            answer = await make_call(self.world.cluster, soon(USE_LIMIT_S))
            self.seen["right"] += 1
            return answer
        except HsmIntegrityError:
            raise
        except HsmError:
            self.seen["no member"] += 1
            return None
        finally:
            took_s = time.monotonic() - began
            watching.cancel()
            assert took_s <= USE_LIMIT_S + LATE_S + lateness.worst_s, (
                f"{took_s:.3f} s, {lateness.worst_s:.3f} s late"
            )

    # --- work ------------------------------------------------------------------------------------------------------

    @rule(n_bytes=st.integers(1, 100))
    def wrap(self, n_bytes):
        key, aad = Secret(random_bytes(n_bytes)), random_bytes(n_bytes % 7)
        root_id = self.world.root.root_id
        wrapped = self.use(lambda cluster, deadline: cluster.wrap(root_id, key, aad, deadline=deadline))
        if wrapped is not None:
            self.wrapped.append((wrapped, key, aad))

    @precondition(lambda self: self.wrapped)
    @rule(data=st.data(), is_spoilt=st.booleans())
    def unwrap(self, data, is_spoilt):
        wrapped, key, aad = data.draw(st.sampled_from(self.wrapped))
        root_id = self.world.root.root_id
        if is_spoilt:
            wrapped = wrapped._replace(tag=bytes(16))
            with suppress(HsmIntegrityError):
                opened = self.use(lambda cluster, d: cluster.unwrap(root_id, wrapped, aad, deadline=d))
                assert opened is None
            return
        opened = self.use(lambda cluster, d: cluster.unwrap(root_id, wrapped, aad, deadline=d))
        assert opened is None or opened.matches(key)

    @precondition(lambda self: self.wrapped)
    @rule(n_calls=st.integers(2, 16))
    def unwrap_many_at_once(self, n_calls):
        async def one(number):
            wrapped, key, aad = self.wrapped[number % len(self.wrapped)]
            root_id = self.world.root.root_id
            opened = await self._used(lambda cluster, d: cluster.unwrap(root_id, wrapped, aad, deadline=d))
            assert opened is None or opened.matches(key)

        async def all_of_them():
            await asyncio.gather(*map(one, range(n_calls)))

        self.run(all_of_them())

    @rule(spec=st.sampled_from(sorted(SPECS)))
    def create(self, spec):
        made = self.world.replication.create(spec, SPECS[spec], "sequence", may_leave=True, deadline=soon(5))
        with suppress(HsmError):
            record = self.run(made)
            self.acknowledged[record.key_id] = (record, [])
            self.seen["created"] += 1

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def use_key(self, data):
        record, answers = self.acknowledged[data.draw(st.sampled_from(sorted(self.acknowledged)))]
        key, message = record.key, Secret(MESSAGE)
        if record.usage is KeyUsage.GENERATE_VERIFY_MAC:
            mac = self.use(lambda cluster, d: cluster.mac(key, MESSAGE, deadline=d))
            answers += [] if mac is None else [mac]
            assert len(set(answers)) <= 1
        elif record.usage is KeyUsage.SIGN_VERIFY:
            how = SigningAlgorithm.ECDSA_SHA_256
            signature = self.use(lambda cluster, d: cluster.sign(key, how, MESSAGE, deadline=d))
            if signature is not None:
                verify_signature(record.spec, record.public_key, how, MESSAGE, signature)
        else:
            sealed = self.use(lambda cluster, d: cluster.encrypt(key, message, b"", deadline=d))
            answers += [] if sealed is None else [sealed]
            for blob in answers[-3:]:
                opened = self.use(lambda cluster, d, blob=blob: cluster.decrypt(key, blob, b"", deadline=d))
                assert opened is None or opened.matches(message)

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def destroy(self, data):
        key_id = data.draw(st.sampled_from(sorted(self.acknowledged)))
        record, _ = self.acknowledged.pop(key_id)
        self.run(self.world.replication.destroy(key_id, deadline=soon(5)))
        self.destroyed.append(record)
        self.seen["destroyed"] += 1

    # --- trouble ---------------------------------------------------------------------------------------------------

    def shim(self, name):
        return self.world.members[name].shim

    @rule(name=names, failing=codes, n_calls=st.integers(1, 3))
    def fail(self, name, failing, n_calls):
        self.shim(name).fail(*failing, last=n_calls)

    @rule(name=names, failing=codes, chance=st.sampled_from([0.05, 0.3]))
    def fail_by_chance(self, name, failing, chance):
        self.shim(name).fail(*failing, chance=chance)

    @rule(name=names, change=st.sampled_from(CHANGES))
    def lose_an_answer(self, name, change):
        self.shim(name).fail(change, "CKR_DEVICE_ERROR", last=1, after=True)

    @rule(name=names, state=st.sampled_from(sorted(STATES)))
    def bring_into(self, name, state):
        STATES[state](self.shim(name))

    @rule(name=names, function=st.sampled_from(["C_Decrypt", "C_Encrypt", "C_Sign", "C_FindObjectsInit"]))
    def hang_for_a_while(self, name, function):
        timer = threading.Timer(0.5, self.shim(name).hang(function, last=1).lift)
        timer.start()
        self.timers.append(timer)

    @rule(name=names)
    def heal(self, name):
        self.shim(name).heal()

    @rule()
    def tend(self):
        self.run(self.world.tend())

    @initialize(is_violent=st.sampled_from([True, False, False, False]))
    def begin(self, is_violent):
        self.is_violent = is_violent

    @precondition(lambda self: self.is_violent)
    @rule(name=names, is_noticed=st.booleans())
    def kill(self, name, is_noticed):
        self.world.kill(name)
        if is_noticed:
            self.tend()

    @precondition(lambda self: self.is_violent)
    @rule(name=names)
    def crash_in_the_next_call(self, name):
        self.shim(name).crash("C_EncryptInit")

    @precondition(lambda self: self.is_violent)
    @rule(name=names)
    def leave(self, name):
        self.run(self.world.leave(name))

    @precondition(lambda self: self.world.away)
    @rule(data=st.data())
    def come_back(self, data):
        self.world.away.discard(data.draw(st.sampled_from(sorted(self.world.away))))
        self.tend()

    @rule(name=names)
    def remember_contents(self, name):
        self.contents[name] = self.world.contents_of(name)

    @precondition(lambda self: self.is_violent and not self.is_lost_since_together)
    @rule(name=names)
    def lose_what_is_newer(self, name):
        self.run(self.world.leave(name))
        self.world.bring_back(name, self.contents[name])
        self.is_lost_since_together = True
        self.seen["contents lost"] += 1

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def no_pin_is_refused_or_tried_twice(self):
        for member in self.world.members.values():
            assert member.shim.repeated_pins == 0
            assert member.shim.count("refused_logins") == 0

    @invariant()
    def what_was_destroyed_stays_so(self):
        for record in self.destroyed:
            assert self.world.store.get_hsm_key(record.key_id).state is HsmKeyState.DESTROYED

    @precondition(lambda self: self.is_violent)
    @rule()
    def be_together(self):
        for timer in self.timers:
            timer.join()
        self.run(self.world.all_serve())
        # Twice: who came first gets what who came last brought, and what could not be destroyed then is.
        for _ in range(2):
            for replica in self.world.replicas():
                self.run(self.world.reconciler.reconcile(replica))
        for record, _ in self.acknowledged.values():
            self.check_key(record)
        self.is_lost_since_together = False

    def check_key(self, record):
        first, *_ = members = self.world.replicas()
        for member in members:
            proof = prove_key(record, member.use, first.use, deadline=soon())
            self.run(proof)

    def teardown(self):
        if self.world is None:
            return
        self.seen["sequences"] += 1
        self.be_together()
        for wrapped, key, aad in self.wrapped:
            for replica in self.world.replicas():
                opened = self.run(replica.use.unwrap(self.world.root.root_id, wrapped, aad, deadline=soon()))
                assert opened.matches(key)
        assert self.run(self.world.held()) == {name: set(self.acknowledged) for name in NAMES}
        for key_id in self.acknowledged:
            self.run(self.world.replication.destroy(key_id, deadline=soon()))
        assert self.run(self.world.held()) == {name: set() for name in NAMES}


def run_sequences(world, n_sequences, n_steps):
    Machine.world, Machine.seen = world, Counter()
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=n_sequences,
                stateful_step_count=n_steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
                phases=[Phase.generate],  # the cluster lives on, so a shorter sequence would not be the same
            ),
        )
    finally:
        Machine.world = None
    return {**Machine.seen, "respawns": world.respawns}


@pytest.mark.slow
def test_a_few_sequences_of_trouble_lose_no_key_and_bring_none_back(shimmed_cluster):
    seen = run_sequences(shimmed_cluster, 6, 12)
    assert seen["sequences"] >= 6


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_two_thousand_sequences_of_trouble_lose_no_key_and_bring_none_back(shimmed_cluster, record_property):
    seen = run_sequences(shimmed_cluster, 2_000, 20)
    for name, count in seen.items():
        record_property(name, count)
    print(seen)
    assert seen["sequences"] >= 2_000
    assert seen["right"] > 10 * seen["no member"]
