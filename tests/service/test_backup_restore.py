"""``strongroom backup restore``: a cluster is gone, its bundle and shares are there, and two blank tokens serve what it served."""

import json

import pytest

from restored_homes import lose_a_cluster
from running_service import require_softhsm

pytestmark = [pytest.mark.softhsm, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lost(made_by_script, tmp_path_factory):
    require_softhsm()
    return lose_a_cluster(made_by_script.ready, tmp_path_factory.mktemp("lost"))


def test_two_blank_tokens_serve_what_a_lost_cluster_served(lost):
    restored = lost.restored()
    restored.bring_shares("ann", "cat", "eve")
    waiting = restored.run()
    assert waiting.returncode == 1
    assert "approvals sign" in waiting.stderr
    restored.sign("anna")
    refused = restored.run()
    assert (refused.returncode, "have not approved" in refused.stderr) == (1, True), refused.stderr
    restored.sign("ben")
    done = restored.run()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["made"] is True
    with restored.ready.service() as service:
        service.start()
        assert restored.decrypts(service)
        assert service.stop() == 0
