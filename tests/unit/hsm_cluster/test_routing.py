"""Which worker gets a call: priorities, load, doubt, and the slow who are found by comparison. Nothing here sleeps."""

from collections import Counter

import pytest

from strongroom.hsm.cluster import ClusterTable, MemberState, WorkerEntry
from strongroom.hsm.cluster._routing import Routing
from strongroom.testing import FakeClock

ACTIVE, DEGRADED = MemberState.ACTIVE, MemberState.DEGRADED


class Connection:
    """What routing knows of a ``RemoteMember``."""

    def __init__(self, name, path, pid):
        self.name, self.path, self.pid = name, path, pid
        self.outstanding = 0
        self.is_closed = False

    def close(self):
        self.is_closed = True


class Routed:
    """A routing over members that do nothing, on a clock that stands still."""

    def __init__(self):
        self.clock = FakeClock()
        self.routing = Routing(clock=self.clock, jitter=lambda: 0.0, connect=Connection)
        self.version = 0
        self.generations = Counter()
        self.states, self.priorities = {}, {}

    def publish(self, *names, **changed):
        """Publish members by name; ``alpha=DEGRADED`` or ``alpha=3`` changes a state or a priority."""
        for name, value in changed.items():
            (self.priorities if isinstance(value, int) else self.states)[name] = value
        self.names = names or self.names
        self.version += 1
        entries = [
            WorkerEntry(
                name,
                0,
                self.generations[name],
                self.states.get(name, ACTIVE),
                f"/run/{name}-{self.generations[name]}",
                priority=self.priorities.get(name, 0),
            )
            for name in self.names
        ]
        return self.routing.apply(ClusterTable(self.version, entries))

    def worker(self, name):
        return next(worker for worker in self.routing.workers if worker.entry.member == name)

    def choose(self, *excluded):
        worker = self.routing.choose({self.worker(name).place for name in excluded})
        return None if worker is None else worker.entry.member

    def choices(self, n_calls=30):
        return Counter(self.choose() for _ in range(n_calls))

    def took(self, name, seconds, n_calls=1, verb="sign"):
        """Calls that took so long, and what main is told in the end."""
        told = None
        for _ in range(n_calls):
            self.worker(name).latencies_of(verb).add(seconds)
            told = self.routing.speed_report(self.worker(name), verb) or told
        return told


@pytest.fixture
def routed():
    made = Routed()
    made.publish("alpha", "beta", "gamma")
    return made


def test_equal_members_take_turns(routed):
    assert routed.choices() == {"alpha": 10, "beta": 10, "gamma": 10}


def test_the_one_with_the_least_outstanding_calls_is_chosen(routed):
    for name, outstanding in (("alpha", 3), ("beta", 1), ("gamma", 2)):
        routed.worker(name).member.outstanding = outstanding
    assert routed.choices(5) == {"beta": 5}


def test_all_calls_go_to_the_lowest_priority_that_has_a_member_fit_to_serve(routed):
    routed.publish(alpha=1, beta=1, gamma=2)
    assert routed.choices() == {"alpha": 15, "beta": 15}
    routed.worker("alpha").member.outstanding = 50
    assert routed.choices(5) == {"beta": 5}, "load does not make a standby serve"
    routed.publish(alpha=MemberState.EJECTED)
    assert routed.choices() == {"beta": 30}
    routed.worker("beta").breaker.failed()
    assert routed.choices() == {"gamma": 30}
    routed.publish(gamma=DEGRADED)
    assert routed.choices() == {"gamma": 30}, "degraded but answering is better than open"


@pytest.mark.parametrize("state", [state for state in MemberState if state not in (ACTIVE, DEGRADED)])
def test_whoever_may_be_asked_is(routed, state):
    routed.publish(alpha=MemberState.EJECTED, beta=MemberState.STOPPED, gamma=state)
    assert routed.choose() == ("gamma" if state is MemberState.READ_ONLY else None)


def test_who_is_in_doubt_is_asked_rather_than_nobody(routed):
    for name in ("alpha", "beta", "gamma"):
        routed.worker(name).breaker.failed()
    assert routed.choose("alpha", "beta") == "gamma"
    assert routed.choose("alpha", "beta", "gamma") is None


def test_who_has_a_late_call_or_just_said_that_it_is_busy_is_passed_over(routed):
    routed.worker("alpha").late = 1
    routed.worker("beta").refused_as_busy()
    assert routed.choices(5) == {"gamma": 5}
    routed.worker("alpha").late = 0
    routed.clock.advance(0.1)
    assert set(routed.choices()) == {"alpha", "beta", "gamma"}


def test_a_new_generation_begins_without_a_past(routed):
    routed.worker("alpha").breaker.failed()
    routed.worker("alpha").late = 1
    routed.generations["alpha"] += 1
    routed.publish()
    assert set(routed.choices()) == {"alpha", "beta", "gamma"}


def test_a_worker_that_hands_over_may_finish_its_calls_and_one_that_was_lost_may_not(routed):
    before = routed.worker("alpha").member
    routed.generations["alpha"] += 1
    assert routed.publish() == [before]
    assert not before.is_closed
    lost = routed.worker("beta").member
    assert routed.publish(beta=MemberState.EJECTED) == []
    routed.generations["beta"] += 1
    assert routed.publish(beta=ACTIVE) == []
    assert lost.is_closed


def test_a_member_that_left_the_table_is_closed_and_forgotten(routed):
    left = routed.worker("gamma").member
    routed.publish("alpha", "beta")
    assert left.is_closed
    assert set(routed.choices()) == {"alpha", "beta"}


def test_a_half_open_breaker_gets_one_call_that_a_healthy_member_gets_too(routed):
    alpha, beta = routed.worker("alpha"), routed.worker("beta")
    alpha.breaker.failed()
    assert routed.routing.due_for_probe(beta) is None
    routed.clock.advance(1.0)
    assert routed.routing.due_for_probe(alpha) is None, "it would be asked alone"
    assert routed.routing.due_for_probe(beta) is alpha
    assert routed.routing.due_for_probe(beta) is None, "one at a time"
    alpha.end_probe()
    assert routed.routing.due_for_probe(beta) is alpha


def test_a_degraded_member_gets_a_trickle_each_second_or_hundred_calls(routed):
    routed.publish(alpha=DEGRADED)
    assert "alpha" not in routed.choices()
    alpha, beta = routed.worker("alpha"), routed.worker("beta")
    probes = 0
    for _ in range(1000):
        if routed.routing.due_for_probe(beta) is alpha:
            probes += 1
            alpha.end_probe()
    assert probes == 10
    for _ in range(10):
        routed.clock.advance(1.0)
        assert routed.routing.due_for_probe(beta) is alpha
        alpha.end_probe()


def test_a_degraded_member_that_hangs_gets_no_second_probe(routed):
    routed.publish(alpha=DEGRADED)
    routed.clock.advance(5)
    beta = routed.worker("beta")
    assert routed.routing.due_for_probe(beta) is routed.worker("alpha")
    routed.clock.advance(50)
    assert routed.routing.due_for_probe(beta) is None


def test_the_share_of_a_member_that_was_degraded_grows_back_slowly(routed):
    routed.publish(alpha=DEGRADED)
    routed.publish(alpha=ACTIVE)
    shares = []
    for _ in range(5):
        shares.append(routed.choices(300)["alpha"])
        routed.clock.advance(2.5)
    assert shares == sorted(shares)
    assert shares[0] <= 20
    assert shares[1] <= 50
    assert shares[-1] == 100


def slow_for_a_while(routed, name, slow_s, fast_s, verb="sign"):
    """Both speeds for 0.6 s; returns what main is told of the slow one."""
    told = None
    for _ in range(4):
        for other in ("alpha", "beta", "gamma"):
            heard = routed.took(other, slow_s if other == name else fast_s, 20, verb)
            told = (heard or told) if other == name else told
        routed.clock.advance(0.2)
    return told


def test_who_is_five_times_slower_than_the_others_for_half_a_second_is_slow(routed):
    kind, why = slow_for_a_while(routed, "beta", 0.2, 0.004)
    assert kind == "slow"
    assert why == "sign takes 200 ms, with others 4 ms"


@pytest.mark.parametrize(
    ("slow_s", "fast_s"),
    [(0.2, 0.05), (0.009, 0.0001), (5.0, 5.0), (0.2, 0.2)],
    ids=["four times", "a difference that hurts nobody", "all are slow", "all alike"],
)
def test_who_is_not_far_slower_than_the_others_is_not_slow(routed, slow_s, fast_s):
    assert slow_for_a_while(routed, "beta", slow_s, fast_s) is None


def test_two_slow_members_of_three_are_both_found_by_the_third(routed):
    told = {}
    for _ in range(5):
        for name, seconds in (("alpha", 0.2), ("beta", 0.3), ("gamma", 0.001)):
            told[name] = routed.took(name, seconds, 20) or told.get(name)
        routed.clock.advance(0.2)
    assert told["alpha"][0] == told["beta"][0] == "slow"
    assert told["gamma"] is None


def test_the_last_good_member_is_never_slow_whatever_it_takes(routed):
    routed.publish(alpha=DEGRADED, beta=MemberState.EJECTED)
    assert slow_for_a_while(routed, "gamma", 9.0, 0.001) is None


def test_a_moment_without_a_processor_makes_nobody_slow(routed):
    for name, seconds in (("alpha", 0.001), ("gamma", 0.001), ("beta", 0.5)):
        assert routed.took(name, seconds, 20) is None
    routed.clock.advance(0.4)
    assert routed.took("beta", 0.001, 32) is None
    routed.clock.advance(0.4)
    assert routed.took("beta", 0.5, 20) is None


def test_few_calls_make_nobody_slow(routed):
    for _ in range(4):
        for name, seconds, calls in (("alpha", 0.001, 20), ("beta", 0.5, 4)):
            assert routed.took(name, seconds, calls) is None
        routed.clock.advance(0.2)


def test_verbs_are_compared_with_their_like(routed):
    """A member that is asked for RSA alone is not slow because others only do P-256."""
    assert routed.took("alpha", 0.001, 32, verb="sign ECC_NIST_P256") is None
    for _ in range(4):
        assert routed.took("beta", 0.1, 20, verb="sign RSA_4096") is None
        routed.clock.advance(0.2)


def test_a_degraded_member_recovers_once_five_calls_are_as_fast_as_with_the_others(routed):
    slow_for_a_while(routed, "beta", 0.2, 0.004)
    routed.publish(beta=DEGRADED)
    routed.clock.advance(1.1)
    routed.took("alpha", 0.004, 20)
    assert routed.took("beta", 0.2, 3) is None
    assert routed.took("beta", 0.004, 2) is None
    told = routed.took("beta", 0.004, 3)
    assert told == ("recovered", "as fast as the others")


def test_reports_of_one_worker_are_a_second_apart(routed):
    assert slow_for_a_while(routed, "beta", 0.2, 0.004)[0] == "slow"
    assert routed.took("beta", 0.2, 20) is None
    routed.clock.advance(1.0)
    assert routed.took("beta", 0.2, 20)[0] == "slow"
