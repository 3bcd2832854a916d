"""The root is rotated while the service serves and is killed: no key is lost, no caller fails, the old root is gone for good."""

import asyncio
import contextlib
import signal

import pytest

from rotating_service import (
    Callers,
    ask,
    domains_left,
    fill,
    require_every_key_works,
    status,
    wait_until,
)
from running_service import RunningService, configure, copy_home
from strongroom.audit import read_entries, verify_log
from strongroom.storage import ReadOnlyStore, RootState, RotationState
from strongroom.wiring.members_door import MembersRequest, ask_members
from strongroom.wiring.root_door import RootRequest, ask_root

pytestmark = [
    pytest.mark.softhsm,
    # Connections of callers whose service was killed.
    pytest.mark.filterwarnings(
        "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]
N_DOMAINS, N_KEYS = 10, 30


@pytest.fixture
def service(initialised_home, tmp_path):
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="deadlines", attempt_s=2.0, request_s=6.0)
    configure(home, section="cache", ttl_s=0.5)  # so that callers need domain KEKs opened all the time
    with RunningService(home) as running:
        running.start()
        yield running


def progress(home):
    rotation = status(home).rotation
    return 0 if rotation is None else rotation.rewrapped


def entries(home, event, kind):
    return [entry for entry in read_entries(home.audit) if (entry.event, entry.kind) == (event, kind)]


def objects_missing_or_strange(home):
    answer = asyncio.run(ask_members(home, MembersRequest("reconcile", None), timeout_s=60.0))
    assert answer.failure is None, answer.failure
    return [drift.in_words() for report in answer.reports for drift in report.drifts]


def test_the_root_is_rotated_while_serving_and_killed_and_no_key_is_lost(service):
    home = service.home
    sealed = asyncio.run(fill(home, n_domains=N_DOMAINS, n_keys=N_KEYS))
    total = N_DOMAINS + 1  # and that of the access keys' secrets
    (first,) = status(home).roots
    with Callers(service, sealed, n_threads=1) as callers:
        answer = ask(home, "rotate", domains_per_s=1.5)
        assert answer.n_domains == total
        assert sorted(answer.held_by) == ["alpha", "beta"]
        refused = asyncio.run(ask_root(home, RootRequest("retire"), timeout_s=60.0))
        assert "under old roots" in refused.failure.message
        wait_until(lambda: progress(home) >= 1, "something is rewrapped")
        with callers.excused():
            service.signal("api", signal.SIGKILL)
            before = progress(home)
            wait_until(lambda: progress(home) > before, "an API process goes on with it")
            service.kill_everything()
            assert domains_left(home) > 0, "it was killed on the way"
            service.start()
        ask(home, "rate", domains_per_s=50.0)
        wait_until(lambda: status(home).rotation.state is RotationState.FINISHED, "it is finished")
        served = callers.answered
        wait_until(lambda: callers.answered > served + 3, "callers are served")
        retired = ask(home, "retire").retired
        served = callers.answered
        wait_until(lambda: callers.answered > served + 3, "callers are served without the old root")
    assert callers.failures == []
    assert [(one.root_id, one.left_on) for one in retired] == [(first.root_id, [])]
    assert [(root.state, root.domains) for root in status(home).roots] == [
        (RootState.DESTROYED, 0),
        (RootState.CURRENT, total),
    ]
    assert objects_missing_or_strange(home) == []
    asyncio.run(require_every_key_works(home, sealed))
    service.stop()
    service.start()  # members prove the new root alone, access keys' secrets open under it
    with contextlib.closing(service.client()) as kms:
        assert kms.list_keys()["Keys"]
    verify_log(home.audit)
    assert [entry.outcome for entry in entries(home, "root.Rotate", "outcome")] == ["ok"]
    assert [entry.outcome for entry in entries(home, "root.Retire", "outcome")] == ["ok"]
    rewrapped = sum(
        int(entry.detail.get("rewrapped", "0")) for entry in entries(home, "root.Rewrap", "outcome")
    )
    assert total - 2 <= rewrapped <= total, "each batch is told, but for one in which everything was killed"
    assert len(entries(home, "root.rewrapped", "event")) == 1


def test_a_service_that_is_killed_while_it_makes_the_root_takes_the_rotation_up_again(service):
    home = service.home
    sealed = asyncio.run(fill(home, n_domains=2, n_keys=2))

    async def ask_and_kill():
        asking = asyncio.ensure_future(
            ask_root(home, RootRequest("rotate", domains_per_s=50.0), timeout_s=60.0)
        )
        while status(home).rotation is None:
            await asyncio.sleep(0)
        service.kill_everything()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(ask_and_kill())
    service.start()
    wait_until(lambda: status(home).rotation.state is RotationState.FINISHED, "it is finished")
    with ReadOnlyStore.open(home.database) as store:
        assert len(store.list_root_rotations()) == 1
        assert len(store.list_roots()) == 2
    assert objects_missing_or_strange(home) == []
    asyncio.run(require_every_key_works(home, sealed))
