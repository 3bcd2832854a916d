"""A backup set is made and retired while the service serves: it serves on, and takes nothing of the set for a stranger."""

import asyncio

import pytest

from backup_sets import Custodians, make_set
from running_service import RunningService, copy_home
from service.test_backup_sets import sets_of
from service.test_members_command import strongroom
from strongroom.storage import BackupSetState

pytestmark = [pytest.mark.softhsm, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_members_serve_while_a_set_is_made_and_nothing_of_it_is_strange(initialised_home, tmp_path):
    home = copy_home(initialised_home, tmp_path / "home")
    with RunningService(home) as service:
        service.start()
        key_id = service.client().create_key()["KeyMetadata"]["KeyId"]
        asyncio.run(make_set(home, Custodians()))
        service.client().encrypt(KeyId=key_id, Plaintext=b"x")
        status, answer = strongroom(service, "members", "reconcile")
        assert (status, [report["drifts"] for report in answer["reports"]]) == (0, [[], []])
        assert service.stop() == 0
    with RunningService(home) as service:
        service.start()
        status, answer = strongroom(service, "members", "reconcile")
        assert (status, [report["drifts"] for report in answer["reports"]]) == (0, [[], []])
        status, answer = strongroom(service, "members", "add", "beta")
        assert status == 0, answer
        status, answer = strongroom(service, "members", "reconcile")
        assert (status, [report["drifts"] for report in answer["reports"]]) == (0, [[], []])
        assert service.stop() == 0
    assert [one.state for one in sets_of(home)] == [BackupSetState.ACTIVE]
