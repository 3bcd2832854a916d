"""Random creations, destructions, faults, deaths of the service and members that come back with what they held long ago.

While fewer members than ``min_copies`` have lost their contents since all of them were last together, every key
that was acknowledged works on every member that serves; no key that was destroyed is on any of them.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fakes_replication import FASTEST, Contents, FakeCluster, Killed, soon
from fresh_database import fresh_database
from strongroom.core import HsmError, MemberDeadlineError, MemberFailedError
from strongroom.hsm.cluster import prove_key
from strongroom.storage import HsmKeyState, Store
from strongroom.testing import FakeMember

NAMES = ("alpha", "beta", "gamma")


def failing():
    return MemberFailedError("told to fail")


def silent():
    return MemberDeadlineError("told to be silent")


class Losses(RuleBasedStateMachine):
    """Three members, at least two copies of each key."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "strongroom.db"
        fresh_database(path)
        self.store = Store.open(path)
        self.cluster = FakeCluster(self.store)
        self.acknowledged = {}
        self.destroyed = {}
        self.lost_since_together = False
        self.snapshots = {}

    def run(self, work):
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self):
        self.run(self.cluster.make())
        self.run(self.cluster.join_all())
        self.snapshots = {name: Contents(hsm) for name, hsm in self.cluster.hsms.items()}

    @rule(kind=st.sampled_from(sorted(FASTEST)), may_leave=st.booleans())
    def create(self, kind, may_leave):
        with contextlib.suppress(HsmError):
            record = self.run(self.cluster.create(FASTEST[kind], may_leave=may_leave))
            if may_leave:
                self.acknowledged[record.key_id] = record

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def destroy(self, data):
        key_id = data.draw(st.sampled_from(sorted(self.acknowledged)))
        record = self.acknowledged.pop(key_id)
        self.run(self.cluster.replication.destroy(key_id, deadline=soon()))
        self.destroyed[key_id] = record

    @rule(
        name=st.sampled_from(NAMES), calls=st.integers(1, 3), happened=st.booleans(), is_silent=st.booleans()
    )
    def fault(self, name, calls, happened, is_silent):
        self.cluster.hsms[name].faults.fail_next(calls, silent if is_silent else failing, happened=happened)

    @rule(name=st.sampled_from(NAMES))
    def go_away(self, name):
        if name in self.cluster.serving:
            self.cluster.serving.remove(name)

    @rule(name=st.sampled_from(NAMES))
    def come_back(self, name):
        if name not in self.cluster.serving:
            with contextlib.suppress(HsmError):
                self.run(self.cluster.join(name))

    @rule(name=st.sampled_from(NAMES))
    def photograph(self, name):
        self.snapshots[name] = Contents(self.cluster.hsms[name])

    @precondition(lambda self: not self.lost_since_together)
    @rule(name=st.sampled_from(NAMES), is_blank=st.booleans())
    def lose_contents(self, name, is_blank):
        self.go_away(name)
        hsm = self.cluster.hsms[name]
        if is_blank:
            hsm._roots, hsm.direct._held, hsm._objects = {}, {}, []
        else:
            self.snapshots[name].bring_back(hsm)
        self.lost_since_together = True

    @rule(dies_after=st.integers(0, 16), kind=st.sampled_from(sorted(FASTEST)))
    def die_while_creating(self, dies_after, kind):
        self.cluster.life.dies_after = dies_after
        with contextlib.suppress(Killed, HsmError):
            record = self.run(self.cluster.create(FASTEST[kind]))
            self.acknowledged[record.key_id] = record
        self.run(self.cluster.start())

    @rule(dies_after=st.integers(0, 12), name=st.sampled_from(NAMES))
    def die_while_a_member_comes_back(self, dies_after, name):
        self.go_away(name)
        self.cluster.life.dies_after = dies_after
        with contextlib.suppress(Killed, HsmError):
            self.run(self.cluster.join(name))
        self.run(self.cluster.start())

    @precondition(lambda self: self.acknowledged)
    @rule(dies_after=st.integers(0, 8), data=st.data())
    def die_while_destroying(self, dies_after, data):
        key_id = data.draw(st.sampled_from(sorted(self.acknowledged)))
        self.cluster.life.dies_after = dies_after
        with contextlib.suppress(Killed, HsmError):
            self.run(self.cluster.replication.destroy(key_id, deadline=soon()))
        self.run(self.cluster.start())
        if self.store.get_hsm_key(key_id).state is HsmKeyState.DESTROYED:
            self.destroyed[key_id] = self.acknowledged.pop(key_id)

    @rule()
    def be_together(self):
        """Everybody is well and there, twice: who came first gets what who came last brought."""
        for hsm in self.cluster.hsms.values():
            hsm.faults.clear()
        for _ in range(2):
            for name in NAMES:
                if name not in self.cluster.serving:
                    with contextlib.suppress(HsmError):
                        self.run(self.cluster.join(name))
        assert sorted(self.cluster.serving) == sorted(NAMES)
        self.run(self.cluster.help())
        assert self.cluster.reconciler.needing_others() == []
        self.check_keys()
        self.lost_since_together = False

    def check_keys(self):
        members = {name: FakeMember(hsm) for name, hsm in self.cluster.hsms.items()}
        for record in self.acknowledged.values():
            for member in members.values():
                peer = members["alpha"]
                self.run(prove_key(record, member, peer, deadline=soon()))

    @invariant()
    def nothing_destroyed_serves(self):
        for record in self.destroyed.values():
            for name in self.cluster.serving:
                assert name not in self.cluster.holders(record) or self.is_told_later(record, name)

    def is_told_later(self, record, name):
        """A member that failed to destroy while it served: the record says so, and the next look does it."""
        copies = self.store.list_hsm_key_copies(record.key_id)
        return not any(copy.member == name and copy.state == "gone" for copy in copies)

    @invariant()
    def tombstones_stay(self):
        for key_id in self.destroyed:
            assert self.store.get_hsm_key(key_id).state is HsmKeyState.DESTROYED

    def teardown(self):
        try:
            if self.snapshots:
                self.be_together()
                for record in self.destroyed.values():
                    for name in NAMES:
                        self.cluster.serving.remove(name)
                        self.run(self.cluster.join(name))
                    assert self.cluster.holders(record) == set()
                undone = [r for r in self.store.list_hsm_keys() if r.state is HsmKeyState.DESTROYED]
                assert [self.cluster.holders(record) for record in undone] == [set()] * len(undone)
        finally:
            self.store.close()
            self.loop.close()
            self.folder.cleanup()


_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}


class TestLosses(Losses.TestCase):
    settings = settings(max_examples=8, stateful_step_count=20, **_COMMON)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
class TestManyLosses(Losses.TestCase):
    settings = settings(max_examples=2_000, stateful_step_count=15, **_COMMON)
