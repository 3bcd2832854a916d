"""Random operations among random failures: right bytes or one of our errors, in time, and a refused PIN never sent twice."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures_token import AAD, KEY, PIN, ROOT, FakeModule, open_token
from strongroom.core import HsmError, HsmIntegrityError, HsmOutcomeUnknownError, RootId
from strongroom.hsm import cryptoki

ERRORS = [
    cryptoki.SessionHandleInvalidError,
    cryptoki.SessionClosedError,
    cryptoki.OperationActiveError,
    cryptoki.KeyHandleInvalidError,
    cryptoki.ObjectHandleInvalidError,
    cryptoki.UserNotLoggedInError,
    cryptoki.DeviceError,
    cryptoki.TokenNotPresentError,
    cryptoki.GeneralError,
    cryptoki.FunctionFailedError,
    cryptoki.DeviceMemoryError,
    cryptoki.SessionCountError,
    cryptoki.MechanismInvalidError,
    cryptoki.ModuleContractError,
    lambda: cryptoki.VendorError("vendor error", ckr=0x80000384),
    lambda: cryptoki.UnknownReturnValueError("unknown", ckr=0x7FFF0001),
]
METHODS = [
    "slots", "open_session", "login", "find_objects", "get_attributes", "session_info", "token_info", "generate_key",
    "destroy_object", "generate_random", "encrypt", "decrypt", "finalize", "initialize",
]  # fmt: skip
EVENTS = ["drop sessions", "log out", "link dies", "token restarts", "another pin"]

faults = st.tuples(st.sampled_from(METHODS), st.sampled_from(ERRORS), st.integers(1, 4), st.booleans())
steps = st.one_of(
    faults.map(lambda fault: ("fault", fault)),
    st.sampled_from(EVENTS).map(lambda event: ("event", event)),
    st.sampled_from(["wrap", "unwrap", "random", "has", "make"]).map(lambda verb: ("verb", verb)),
)


class Chaos:
    """A token, and what is known of it."""

    def __init__(self):
        self.module = FakeModule("a")
        self.refused = []
        self.token = self.open()
        self.token.generate_root(ROOT, "root")
        self.wrapped = self.token.wrap(ROOT, KEY, AAD)
        self.made = {ROOT}
        self.refusals = 0
        keep = self.module.login

        def login(session, user, pin):
            try:
                keep(session, user, pin)
            except cryptoki.PinIncorrectError:
                self.refusals += 1
                raise

        self.module.login = login

    def open(self):
        return open_token(
            self.module,
            operation_limit_s=0.5,
            session_wait_s=0.2,
            pin_refused=self.refused.append,
        )

    def inject(self, method, error, times, late):
        kind = (
            self.module.late_faults
            if late and method in {"generate_key", "destroy_object"}
            else self.module.faults
        )
        kind[method].extend([error] * times)

    def happen(self, event):
        if event == "drop sessions":
            self.module.sessions.clear()
            self.module.tokens[0].user = None
        elif event == "log out":
            self.module.tokens[0].user = None
        elif event == "link dies":
            self.module.dead = cryptoki.DeviceError
        elif event == "token restarts":
            objects = self.module.tokens[0].objects
            self.module.tokens[0].objects = {handle + 1000: kept for handle, kept in objects.items()}
            self.module.sessions.clear()
            self.module.tokens[0].user = None
        else:
            self.module.pin = b"another pin"

    def do(self, verb):
        began = time.monotonic()
        try:
            getattr(self, verb)()
        except HsmIntegrityError:
            raise AssertionError("what is right was called tampered with") from None
        except HsmError:
            pass
        assert time.monotonic() - began < 10

    def wrap(self):
        made = self.token.wrap(ROOT, KEY, AAD)
        assert len(made.ciphertext) == len(KEY)

    def unwrap(self):
        assert self.token.unwrap(ROOT, self.wrapped, AAD).matches(KEY)

    def random(self):
        assert len(self.token.random(12)) == 12

    def has(self):
        assert self.token.has_root(ROOT)

    def make(self):
        name = RootId(len(self.made).to_bytes(16, "big"))
        self.made.add(name)
        before = len(self.module.tokens[0].objects)
        try:
            self.token.generate_root(name, "another")
        except HsmOutcomeUnknownError:
            return
        except HsmError:
            assert len(self.module.tokens[0].objects) == before, "what failed left something behind"
            raise
        assert len(self.module.tokens[0].objects) == before + 1

    def heal(self):
        for pending in (self.module.faults, self.module.late_faults):
            pending.clear()


def run(sequence):
    chaos = Chaos()
    try:
        for kind, what in sequence:
            if kind == "fault":
                chaos.inject(*what)
            elif kind == "event":
                chaos.happen(what)
            else:
                chaos.do(what)
        assert chaos.refusals <= 1
        assert chaos.refused == [] or chaos.token.is_broken
        is_right_pin = chaos.module.pin == PIN.reveal()
        chaos.heal()
        if not chaos.token.is_broken and is_right_pin:
            chaos.token._ladder._storm.clear()
            assert chaos.token.unwrap(ROOT, chaos.wrapped, AAD).matches(KEY), "nothing fails any more"
    finally:
        chaos.token.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=12))
def test_whatever_fails_answers_are_right_and_nothing_is_left_behind(sequence):
    run(sequence)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(st.lists(steps, max_size=25))
def test_long_sequences_of_failures_do_no_more_harm(sequence):
    run(sequence)
