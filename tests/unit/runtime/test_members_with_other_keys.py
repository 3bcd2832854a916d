"""A member that is found with another key while it serves is taken out of service at once."""

import pytest

from fakes_runtime import until
from strongroom.core import Deadline, HsmIntegrityError, KeySpec, KeyUsage, SystemClock
from strongroom.hsm.cluster import MemberState, Rules, WorkerEntry
from strongroom.runtime import _reconciling
from strongroom.runtime._reconciling import Reconciling
from strongroom.storage import Store, create_database
from strongroom.testing import FakeHsm, RecordingEvents
from strongroom.wiring.members_door import MembersRequest
from worker_in_process import running_worker

CLOCK = SystemClock()


@pytest.fixture
async def served(short_folder):
    """Main's keeping of the keys of alpha, which serves; its HSM, and who was said to differ."""
    create_database(short_folder / "strongroom.db")
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


async def test_an_operators_look_takes_it_out_of_service(served):
    reconciling, hsm, differing = served
    record = await reconciling.create(
        KeySpec.HMAC_256,
        KeyUsage.GENERATE_VERIFY_MAC,
        "k",
        may_leave=False,
        deadline=Deadline.after(CLOCK, 30),
    )
    answer = await reconciling.answer(MembersRequest("reconcile", None))
    assert answer.reports[0].is_clean
    assert differing == []

    hsm.direct.destroy(record.key)
    hsm.direct.generate(record.key, "k", may_leave=False)
    answer = await reconciling.answer(MembersRequest("reconcile", None))
    assert not answer.reports[0].is_clean
    ((member, error),) = differing
    assert (member, type(error)) == ("alpha", HsmIntegrityError)


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
    monkeypatch.setattr(_reconciling, "_FIRST_HELP_PAUSE_S", 0.02)
    monkeypatch.setattr(_reconciling, "_LONGEST_HELP_PAUSE_S", 0.05)
    monkeypatch.setattr(_reconciling, "_LOOK_AT_ALL_EVERY_S", 0.1)
    reconciling, hsm, differing = served
    record = await reconciling.create(
        KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT, "k", may_leave=False, deadline=Deadline.after(CLOCK, 30)
    )
    await reconciling.start()
    hsm.direct.destroy(record.key)
    hsm.direct.generate(record.key, "k", may_leave=False)
    await until(lambda: differing)


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
