"""Any sequence of calls, suspensions, outages and waits gives what a simple model says."""

import asyncio
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import strongroom.keyring._creation as creation_module
from fakes_keyring import HsmAndDatabase, KeyringBench
from strongroom.core import KeyState, NoMemberError, Secret
from strongroom.keyring import (
    DestructionScheduledError,
    InvalidCiphertextError,
    KeyById,
    KeyDestroyedError,
    KeyStateError,
)

TTL_S = 10.0
DAY_S = 86_400.0
KEYS_IN_DOMAIN = 3
contexts = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)


class ModelKey(NamedTuple):
    key_id: str
    domain: int


class Made(NamedTuple):
    key: ModelKey
    plaintext: bytes
    context: dict
    ciphertext: bytes


async def settled(keyring):
    """Let end what was begun in an outage and is waited for by nobody."""
    while len(keyring.ciphers.keks._fills) + len(keyring.ciphers.domains._fills):
        await asyncio.sleep(0)


class KeyringMachine(RuleBasedStateMachine):
    """Two processes (keyrings) on one database. The model knows, for each, until when each domain serves."""

    made_once: HsmAndDatabase
    folder = None
    runs = 0

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        KeyringMachine.runs += 1
        self.bench = KeyringBench(self.made_once, self.folder / f"{KeyringMachine.runs}.db")
        self.keys, self.made, self.suspended, self.n_domains = [], [], set(), 0
        self.dates, self.destroyed = {}, set()

    @initialize(grace_s=st.sampled_from([0.0, 4.0]))
    def open_keyrings(self, grace_s):
        self.grace_s = grace_s
        self.keyrings = [self.bench.open_keyring(ttl_s=TTL_S, outage_grace_s=grace_s) for _ in range(2)]
        self.serves_until = [{}, {}]  # per process: domain → end of its life

    def teardown(self):
        self.runner.close()
        self.bench.close()

    # The model: what must happen when a process needs a domain's KEK.

    def domain_serves(self, process, domain):
        """Whether the domain's KEK is to be had; an unwrap that works begins a new life of it."""
        now, until = self.bench.clock.monotonic(), self.serves_until[process].get(domain, 0.0)
        if now < until:
            return True
        if self.bench.cluster.is_down:
            return domain in self.serves_until[process] and now < until + self.grace_s
        self.serves_until[process][domain] = now + TTL_S
        return True

    def call(self, process, key, act, error=None):
        """Make a call and hold its end against the model's; ``error`` is what it ends with when it gets so far."""
        if key.key_id in self.destroyed:
            error = KeyDestroyedError
        elif key.key_id in self.dates:
            error = DestructionScheduledError
        elif key.key_id in self.suspended:
            error = KeyStateError
        elif not self.domain_serves(process, key.domain):
            error = NoMemberError
        try:
            if error is None:
                return self.runner.run(act())
            with pytest.raises(error):
                self.runner.run(act())
            return None
        finally:
            self.runner.run(settled(self.keyrings[process]))

    # The rules.

    processes = st.integers(0, 1)

    @rule(process=processes)
    def create_key(self, process):
        needs_domain = len(self.keys) == KEYS_IN_DOMAIN * self.n_domains
        act = self.keyrings[process].create_key
        if needs_domain and self.bench.cluster.is_down:
            with pytest.raises(NoMemberError):
                self.runner.run(act("a key"))
            return
        self.n_domains += needs_domain
        if not self.domain_serves(process, self.n_domains - 1):
            with pytest.raises(NoMemberError):
                self.runner.run(act("a key"))
            return
        made = self.runner.run(act("a key"))
        self.runner.run(settled(self.keyrings[process]))
        assert made.state is KeyState.ACTIVE
        self.keys.append(ModelKey(made.key_id, self.n_domains - 1))

    @precondition(lambda self: self.keys)
    @rule(process=processes, data=st.data(), plaintext=st.binary(min_size=1, max_size=20), context=contexts)
    def encrypt(self, process, data, plaintext, context):
        key = data.draw(st.sampled_from(self.keys))
        made = self.call(
            process,
            key,
            lambda: self.keyrings[process].encrypt(KeyById(key.key_id), Secret(plaintext), context),
        )
        if made is not None:
            self.made.append(Made(key, plaintext, context, made.ciphertext))

    @precondition(lambda self: self.keys)
    @rule(process=processes, data=st.data(), context=contexts)
    def generate_data_key(self, process, data, context):
        key = data.draw(st.sampled_from(self.keys))
        act = self.keyrings[process].generate_data_key
        made = self.call(process, key, lambda: act(KeyById(key.key_id), 16, context))
        if made is not None:
            self.made.append(Made(key, made.plaintext.reveal(), context, made.ciphertext))

    @precondition(lambda self: self.made)
    @rule(process=processes, data=st.data(), names_key=st.booleans())
    def decrypt(self, process, data, names_key):
        made = data.draw(st.sampled_from(self.made))
        named = KeyById(made.key.key_id) if names_key else None
        act = self.keyrings[process].decrypt
        opened = self.call(process, made.key, lambda: act(made.ciphertext, made.context, key=named))
        if opened is not None:
            assert opened.plaintext.reveal() == made.plaintext
            assert opened.key_id == made.key.key_id

    @precondition(lambda self: self.made)
    @rule(process=processes, data=st.data(), context=contexts)
    def decrypt_with_another_context(self, process, data, context):
        made = data.draw(st.sampled_from(self.made))
        error = None if context == made.context else InvalidCiphertextError
        act = self.keyrings[process].decrypt
        self.call(process, made.key, lambda: act(made.ciphertext, context, key=None), error)

    @precondition(lambda self: self.keys)
    @rule(process=processes, data=st.data(), state=st.sampled_from([KeyState.ACTIVE, KeyState.SUSPENDED]))
    def set_state(self, process, data, state):
        key = data.draw(st.sampled_from(self.keys))
        act = self.keyrings[process].set_state
        if self.change(key, lambda: act(key.key_id, state)):
            (self.suspended.add if state is KeyState.SUSPENDED else self.suspended.discard)(key.key_id)

    @precondition(lambda self: self.keys)
    @rule(process=processes, data=st.data(), days=st.integers(7, 30))
    def schedule_destruction(self, process, data, days):
        key = data.draw(st.sampled_from(self.keys))
        act = self.keyrings[process].lifecycle.schedule_destruction
        if self.change(key, lambda: act(key.key_id, days=days)):
            self.suspended.add(key.key_id)
            self.dates[key.key_id] = self.bench.clock.now() + days * DAY_S

    @precondition(lambda self: self.dates)
    @rule(process=processes, data=st.data())
    def cancel_destruction(self, process, data):
        key_id = data.draw(st.sampled_from(list(self.dates)))  # in the order of scheduling, not of random ids
        self.runner.run(self.keyrings[process].lifecycle.cancel_destruction(key_id))
        del self.dates[key_id]

    @rule(process=processes)
    def destroy_what_is_due(self, process):
        lifecycle = self.keyrings[process].lifecycle
        due = {key_id for key_id, date in self.dates.items() if date <= self.bench.clock.now()}
        assert set(lifecycle.list_due(limit=1000)) == due
        for key_id in due:
            assert self.runner.run(lifecycle.destroy_due(key_id)) is not None
            del self.dates[key_id]
        self.destroyed |= due

    @rule(days=st.sampled_from([6.9, 7.0, 30.0]))
    def wait_for_days(self, days):
        self.bench.clock.advance(days * DAY_S)

    def change(self, key, act):
        """Make a change, which only a key that is neither scheduled nor destroyed takes; tell whether it did."""
        if key.key_id in self.destroyed or key.key_id in self.dates:
            error = KeyDestroyedError if key.key_id in self.destroyed else DestructionScheduledError
            with pytest.raises(error):
                self.runner.run(act())
            return False
        self.runner.run(act())
        return True

    @rule(seconds=st.sampled_from([0.5, TTL_S / 2, TTL_S - 0.5, TTL_S, TTL_S + 3.5, 100.0]))
    def wait(self, seconds):
        self.bench.clock.advance(seconds)

    @rule(is_down=st.booleans())
    def lose_or_regain_the_hsm(self, is_down):
        self.bench.cluster.is_down = is_down

    @rule(process=processes)
    def sweep(self, process):
        self.keyrings[process].sweep()

    @invariant()
    def both_processes_tell_the_same_of_every_key(self):
        for key in self.keys:
            if key.key_id in self.destroyed:
                for keyring in self.keyrings:
                    with pytest.raises(KeyDestroyedError):
                        keyring.describe(KeyById(key.key_id))
                continue
            state = KeyState.SUSPENDED if key.key_id in self.suspended else KeyState.ACTIVE
            for keyring in self.keyrings:
                info = keyring.describe(KeyById(key.key_id))
                assert (info.state, info.destroy_at) == (state, self.dates.get(key.key_id))


def run_machine(folder, made, monkeypatch, **options):
    monkeypatch.setattr(creation_module, "MAX_KEYS_IN_DOMAIN", KEYS_IN_DOMAIN)
    machine = type("KeyringMachine", (KeyringMachine,), {"made_once": made, "folder": folder})
    case = machine.TestCase
    case.settings = settings(deadline=None, **options)
    case("runTest").runTest()


def test_any_short_history_gives_what_the_model_says(tmp_path, hsm_and_database, monkeypatch):
    run_machine(tmp_path, hsm_and_database, monkeypatch, max_examples=25, stateful_step_count=25)


@pytest.mark.slow
def test_any_long_history_gives_what_the_model_says(tmp_path, hsm_and_database, monkeypatch):
    run_machine(tmp_path, hsm_and_database, monkeypatch, max_examples=300, stateful_step_count=60)
