"""The breaker of a worker: whatever comes, it probes one at a time, and never closes on old news."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from strongroom.hsm.cluster._breaker import Breaker
from strongroom.testing import FakeClock


class BreakerLife(RuleBasedStateMachine):
    """Calls begin, succeed and fail in any order while time passes; a model says what must hold."""

    @initialize(jitter=st.floats(0, 1))
    def begin(self, jitter):
        self.clock = FakeClock()
        self.breaker = Breaker(self.clock, lambda: jitter)
        self.failed_at = None
        self.probing = False
        self.failed_probes = 0

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def a_call_fails(self):
        was_closed = self.breaker.is_closed
        assert self.breaker.failed() is was_closed
        if was_closed:
            self.failed_at, self.failed_probes, self.probing = self.clock.monotonic(), 0, False

    @rule(age_s=st.floats(0, 10))
    def a_call_succeeds(self, age_s):
        began = self.clock.monotonic() - age_s
        was_closed = self.breaker.is_closed
        self.breaker.succeeded(began)
        if was_closed or began >= self.failed_at:
            assert self.breaker.is_closed
            self.probing = False
        else:
            assert not self.breaker.is_closed, "an answer to an old call closed it"

    @rule()
    def somebody_wants_to_probe(self):
        is_free = self.breaker.state == "half-open" and not self.probing
        assert self.breaker.begin_probe() is is_free
        self.probing = self.probing or is_free

    @precondition(lambda self: self.probing)
    @rule()
    def the_probe_fails(self):
        assert self.breaker.failed(is_probe=True)
        self.failed_at, self.probing = self.clock.monotonic(), False
        self.failed_probes += 1
        assert self.breaker.state == "open"

    @precondition(lambda self: self.probing)
    @rule()
    def the_probe_tells_nothing(self):
        self.breaker.end_probe()
        self.probing = False

    @rule()
    def main_knows_better(self):
        self.breaker.reset()
        self.probing = False

    @invariant()
    def it_opens_up_in_time_and_not_before(self):
        if not hasattr(self, "breaker") or self.breaker.is_closed:
            return
        since_s = self.clock.monotonic() - self.failed_at
        pause_s = min(2.0**self.failed_probes, 15.0)
        if since_s >= pause_s:
            assert self.breaker.state == "half-open"
        if since_s < pause_s / 2:
            assert self.breaker.state == "open"


TestBreakerLife = BreakerLife.TestCase
TestBreakerLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
