"""``members test``: a root that is destroyed while it is proved fails no member; one that is missing does."""

import pytest

from fakes_replication import FakeCluster
from fresh_database import fresh_database
from strongroom.core import HsmKeyNotFoundError, SystemClock
from strongroom.runtime._member_tests import MemberTests
from strongroom.storage import Store


class Roots:
    """The store, in which the root goes as it is looked at the second time."""

    def __init__(self, store, lists):
        self._store, self._lists = store, lists

    def __getattr__(self, name):
        return getattr(self._store, name)

    def list_roots(self):
        return self._lists.pop(0)


@pytest.mark.parametrize("is_left", [True, False])
async def test_a_root_that_is_not_there_matters_if_it_is_still_one(tmp_path, is_left):
    fresh_database(tmp_path / "strongroom.db")
    with Store.open(tmp_path / "strongroom.db") as store:
        cluster = FakeCluster(store, ("alpha", "beta"))
        await cluster.make()
        roots = store.list_roots()
        cluster.hsms["alpha"].forget_root(cluster.root.root_id)
        tests, steps = MemberTests(Roots(store, [roots, roots if is_left else []]), SystemClock()), []
        if is_left:
            with pytest.raises(HsmKeyNotFoundError):
                await tests.run(cluster.replica("alpha"), steps)
            assert steps == []
        else:
            await tests.run(cluster.replica("alpha"), steps)
            assert [step.what for step in steps] == ["random bytes", "list of objects"]
