"""A member that is away while the root is rotated gets the new root when it returns; one that is away at its end, the tombstone."""

import asyncio
import contextlib
import signal

import pytest

from rotating_service import ask, fill, require_every_key_works, status, wait_until
from running_service import RunningService, configure, copy_home
from strongroom.storage import RotationState
from strongroom.wiring.members_door import MembersRequest, ask_members

pytestmark = [pytest.mark.softhsm, pytest.mark.slow]


@pytest.fixture
def service(initialised_home, tmp_path):
    home = copy_home(initialised_home, tmp_path / "home")
    configure(home, section="deadlines", attempt_s=1.0, request_s=3.0)
    configure(home, section="cluster", min_copies=1)
    with RunningService(home) as running:
        running.start()
        yield running


@contextlib.contextmanager
def without_beta(service):
    """Take beta's token away, and bring it back at the end."""
    folder = service.home.tokens / "beta"
    failures = len(service.events("member.failed"))
    folder.rename(folder.with_name("beta-away"))
    service.signal("beta", signal.SIGKILL)
    wait_until(lambda: len(service.events("member.failed")) >= failures + 2, "beta is away")
    yield
    folder.with_name("beta-away").rename(folder)
    answer = asyncio.run(ask_members(service.home, MembersRequest("revive", "beta"), timeout_s=60.0))
    assert [(test.member, test.state) for test in answer.tests] == [("beta", "active")]


def repaired(service):
    return [(event["member"], event["what"], event["done"]) for event in service.events("reconcile.repaired")]


def drifts(service):
    answer = asyncio.run(ask_members(service.home, MembersRequest("reconcile", None), timeout_s=60.0))
    return [drift.in_words() for report in answer.reports for drift in report.drifts]


def test_whoever_returns_is_told_of_both(service):
    home = service.home
    sealed = asyncio.run(fill(home, n_domains=3, n_keys=6))
    with without_beta(service):
        assert ask(home, "rotate", domains_per_s=50.0).held_by == ["alpha"]
        wait_until(lambda: status(home).rotation.state is RotationState.FINISHED, "it is finished")
    assert repaired(service) == [("beta", "root", "copied from alpha")]
    assert drifts(service) == []
    with without_beta(service):
        assert len(ask(home, "retire").retired) == 1
    assert repaired(service)[1:] == [("beta", "root", "destroyed")]
    assert drifts(service) == []
    asyncio.run(require_every_key_works(home, sealed))
