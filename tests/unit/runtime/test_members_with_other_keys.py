"""A member that is found with another key while it serves is taken out of service at once."""

import pytest

from fakes_runtime import until
from fresh_database import fresh_database
from strongroom.core import Deadline, HsmIntegrityError, KeySpec, KeyUsage, MemberDeadlineError, SystemClock
from strongroom.hsm.cluster import DriftKind, MemberState, Rules, WorkerEntry
from strongroom.runtime import _helping, _reconciling
from strongroom.runtime._reconciling import Reconciling
from strongroom.storage import Store
from strongroom.testing import FakeHsm, RecordingEvents
from strongroom.wiring.members_door import MembersRequest
from worker_in_process import running_worker

CLOCK = SystemClock()


@pytest.fixture
async def served(short_folder):
    """Main's keeping of the keys of alpha, which serves; its HSM, and who was said to differ."""
    fresh_database(short_folder / "strongroom.db")
    differing = []
    hsm = FakeHsm("alpha")
    with Store.open(short_folder / "strongroom.db") as store:
        async with running_worker(hsm, short_folder) as worker:
            made = Reconciling(
                store,
                lambda: [worker.entry()],
                rules=Rules(1),
                revive=lambda name: None,
                refused=lambda entry, reason: None,
                differs=lambda member, error: differing.append((member, error)),
                events=RecordingEvents(),
                clock=CLOCK,
            )
            yield made, hsm, differing
            made.close()


class SilentReplica:
    """A member that serves and does not answer at the moment."""

    def __init__(self, name):
        self.name = name
        self.keys = self

    async def inspect_direct(self, key, *, may_leave, deadline):
        raise MemberDeadlineError("no answer")


async def made_key(reconciling):
    return await reconciling.create(
        KeySpec.HMAC_256,
        KeyUsage.GENERATE_VERIFY_MAC,
        "k",
        may_leave=False,
        deadline=Deadline.after(CLOCK, 30),
    )


def replace(hsm, record):
    hsm.direct.destroy(record.key)
    hsm.direct.generate(record.key, "k", may_leave=False)


def rewrite(tx, record, hsm):
    """An operator who has found that the HSM is right, or has restored the record."""
    tx.move_hsm_key(record._replace(canary=None), was=record.state)


async def test_an_operators_look_takes_it_out_of_service(served):
    reconciling, hsm, differing = served
    record = await made_key(reconciling)
    answer = await reconciling.answer(MembersRequest("reconcile", None))
    assert answer.reports[0].is_clean
    assert differing == []

    replace(hsm, record)
    # Another member that serves shows the right key, so the record is right.
    reconciling._reconciler._proved["beta"] = {hash(record)}
    silent = SilentReplica("beta")
    reconciling._reconciler._peers = lambda: [silent]
    answer = await reconciling.answer(MembersRequest("reconcile", None))
    assert not answer.reports[0].is_clean
    ((member, error),) = differing
    assert (member, type(error)) == ("alpha", HsmIntegrityError)
    assert reconciling.quarantined() == [record.key_id], "as long as it still serves"


async def test_a_key_that_nobody_shows_is_in_quarantine_and_its_member_serves(served):
    reconciling, hsm, differing = served
    record = await made_key(reconciling)
    replace(hsm, record)
    answer = await reconciling.answer(MembersRequest("reconcile", None))
    assert [drift.kind for drift in answer.reports[0].drifts] == [DriftKind.QUARANTINED]
    assert differing == []
    assert reconciling.quarantined() == [record.key_id]
    assert reconciling._events.named("key.quarantined") == [{"key": record.key_id.hex()}]

    right = await reconciling._store.write(lambda tx: rewrite(tx, record, hsm))
    answer = await reconciling.answer(MembersRequest("reconcile", None))
    assert right is None
    assert answer.reports[0].is_clean
    assert reconciling.quarantined() == []
    assert reconciling._events.named("key.released") == [{"key": record.key_id.hex()}]


async def test_an_order_to_replace_keys_of_a_member_that_does_not_come_back_is_over_with_its_answer(
    served, monkeypatch
):
    monkeypatch.setattr(_reconciling, "_COME_BACK_LIMIT_S", 0.05)
    reconciling, _hsm, _differing = served
    absent = WorkerEntry("alpha", 0, 1, MemberState.EJECTED, "", reason="link cut")
    reconciling._entries = lambda: [absent]
    answer = await reconciling.answer(MembersRequest("reconcile", "alpha", repair=True))
    assert "did not come back" in answer.failures["alpha"]
    assert not reconciling._may_replace


async def test_members_that_serve_are_looked_at_from_time_to_time(served, monkeypatch):
    monkeypatch.setattr(_helping, "_FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(_helping, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(_helping, "_LEAST_PAUSE_S", 0.02)
    monkeypatch.setattr(_helping, "_LOOK_AT_ALL_EVERY_S", 0.1)
    reconciling, hsm, _differing = served
    record = await made_key(reconciling)
    await reconciling.start()
    replace(hsm, record)
    await until(reconciling.quarantined)


async def test_whoever_is_condemned_serves_no_longer_and_what_is_found_again_stops_it(kept):
    kept.run()
    await kept.active()
    kept.check_errors.append(HsmIntegrityError("the member holds another key"))
    kept.keeper.condemn(HsmIntegrityError("the member holds 1 keys that are not the same"))
    entry = await kept.reaches(MemberState.STOPPED, 2)
    assert "another key" in entry.reason
    await until(kept.task.done)


async def test_what_was_found_is_forgotten_once_the_next_worker_serves(kept):
    kept.run()
    await kept.active()
    kept.keeper.condemn(HsmIntegrityError("the member holds 1 keys that are not the same"))
    await kept.active(2)
    assert kept.keeper.failure is None
