"""``strongroom members test``: a member uses its keys one by one, each in a time of its own."""

from fakes_replication import CLOCK, FakeCluster
from fresh_database import fresh_database
from strongroom.core import KeySpec
from strongroom.runtime import _member_tests
from strongroom.runtime._member_tests import MemberTests
from strongroom.storage import Store

N_KEYS = 12


async def test_a_slow_hsm_with_many_keys_is_not_told_to_fail_for_their_number(tmp_path, monkeypatch):
    fresh_database(tmp_path / "strongroom.db")
    with Store.open(tmp_path / "strongroom.db") as store:
        cluster = FakeCluster(store, ("alpha",), min_copies=1)
        await cluster.make()
        await cluster.join_all()
        for _ in range(N_KEYS):
            await cluster.create(KeySpec.HMAC_256)
        monkeypatch.setattr(_member_tests, "_LIMIT_S", 1.5)
        cluster.hsms["alpha"].faults.slow_s = 0.05
        steps = []
        await MemberTests(store, CLOCK).run(cluster.replica("alpha"), steps)
    assert [step.what.split()[0] for step in steps] == ["root", "random", "list", *["key"] * N_KEYS]
    assert sum(step.took_ms for step in steps) > 1_500
