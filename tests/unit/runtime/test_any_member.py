"""Batches of main's own: whichever member serves does them, and when nobody can, it is said why."""

from fakes_replication import FakeCluster, soon
from fresh_database import fresh_database
from strongroom.core import BatchUnwrap, BatchWrap, HsmIntegrityError, NoMemberError, RootId, Secret
from strongroom.runtime._any_member import AnyMember
from strongroom.storage import Store


async def test_batches_for_main_go_to_the_next_member_and_say_why_nobody_could(tmp_path):
    fresh_database(tmp_path / "db")
    store = Store.open(tmp_path / "db")
    try:
        cluster = FakeCluster(store)
        await cluster.make()
        await cluster.join_all()
        await _batches(cluster, RootId(store.get_current_root().root_id))
    finally:
        store.close()


async def _batches(cluster, root_id):
    members = AnyMember(cluster.replicas)
    cluster.hsms["alpha"].faults.fail_next(1)
    items = [BatchWrap(root_id, Secret(b"a"), b""), BatchWrap(root_id, Secret(b"b"), b"")]
    sealed = await members.batch(items, deadline=soon())
    opened = await members.batch([BatchUnwrap(root_id, one, b"") for one in sealed], deadline=soon())
    assert [secret.reveal() for secret in opened] == [b"a", b"b"]
    spoilt_bytes = sealed[0]._replace(tag=bytes(16))
    (spoilt,) = await members.batch([BatchUnwrap(root_id, spoilt_bytes, b"")], deadline=soon())
    assert isinstance(spoilt, HsmIntegrityError)
    cluster.serving = []
    (nobody,) = await members.batch(items[:1], deadline=soon(0.05))
    assert isinstance(nobody, NoMemberError)
