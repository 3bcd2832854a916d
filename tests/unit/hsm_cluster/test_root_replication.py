"""A new root is proved on enough members before it is the current one; a destroyed one is gone everywhere; dying changes neither."""

import asyncio
import contextlib

import pytest

from fakes_replication import Killed, soon
from strongroom.core import (
    HsmIntegrityError,
    HsmRequestError,
    MemberReadOnlyError,
    NoMemberError,
    RootId,
    Secret,
    StorageError,
    WrapAlgorithm,
)
from strongroom.hsm.cluster import Canary, TooFewCopiesError, prove_use
from strongroom.storage import RootState
from strongroom.testing import FakeMember


def publish(tx, record):
    tx.publish_root(record)


async def make(cluster, seconds=60.0):
    return await cluster.roots.make(publish, deadline=soon(seconds))


def holders(cluster, root_id):
    return {name for name, hsm in cluster.hsms.items() if root_id in hsm._roots}


def states(cluster):
    return {root.root_id: root.state for root in cluster.store.list_all_roots()}


async def bury(cluster, root_id):
    def entomb(tx):
        record = tx.get_root(root_id)._replace(state=RootState.DESTROYED, destroyed_at=5.0)
        tx.move_root(record, was=RootState.OLD)
        return [record]

    (buried,) = await cluster.roots.destroy(entomb)
    return buried


async def works_with(hsm, record):
    canary = Canary(record.canary, record.canary_digest)
    await prove_use(RootId(record.root_id), canary, FakeMember(hsm), deadline=soon())


async def test_a_new_root_is_on_every_member_and_proved_and_the_old_one_still_opens(cluster):
    before = cluster.root
    sealed = cluster.hsms["alpha"].wrap(RootId(before.root_id), Secret(b"k" * 32), b"aad")
    made = await make(cluster)
    assert set(made.held_by) == holders(cluster, made.record.root_id) == set(cluster.hsms)
    assert made.lacking == ()
    assert cluster.store.get_current_root() == made.record
    assert made.record.wrap_algorithm == before.wrap_algorithm
    assert made.record.check_value == cluster.hsms["beta"].root_check_value(RootId(made.record.root_id))
    for hsm in cluster.hsms.values():
        await works_with(hsm, made.record)
        assert hsm.unwrap(RootId(before.root_id), sealed, b"aad").reveal() == b"k" * 32
    assert states(cluster) == {before.root_id: RootState.OLD, made.record.root_id: RootState.CURRENT}


async def test_too_few_copies_leave_all_as_it_was(cluster):
    cluster.serving.remove("gamma")
    cluster.hsms["beta"].faults.wrong_key = True
    with pytest.raises(TooFewCopiesError, match="1 of the 2"):
        await make(cluster)
    assert cluster.store.get_current_root() == cluster.root
    (undone,) = {root_id for root_id, state in states(cluster).items() if state is RootState.DESTROYED}
    assert holders(cluster, undone) == set()


async def test_a_member_with_another_key_under_the_new_name_does_not_keep_it_and_is_told_of(cluster):
    cluster.hsms["gamma"].faults.wrong_key = True
    made = await make(cluster)
    assert made.lacking == ("gamma",)
    assert holders(cluster, made.record.root_id) == {"alpha", "beta"}
    cluster.hsms["gamma"].faults.clear()
    cluster.serving.remove("gamma")  # what main does with it
    assert any("copied from" in drift.repair for drift in (await cluster.join("gamma")).drifts)
    await works_with(cluster.hsms["gamma"], made.record)


async def test_another_member_makes_it_where_the_first_one_fails(cluster):
    cluster.hsms["alpha"].faults.fail_next(1)
    made = await make(cluster)
    assert made.held_by[0] == "beta"
    assert holders(cluster, made.record.root_id) == set(cluster.hsms)
    tombstones = [root_id for root_id, state in states(cluster).items() if state is RootState.DESTROYED]
    assert len(tombstones) == 1


async def test_nobody_who_can_make_it_is_told_as_such(cluster):
    for hsm in cluster.hsms.values():
        hsm.faults.fail_next(20)
    with pytest.raises(NoMemberError, match="told to fail"):
        await make(cluster)
    assert [state for state in states(cluster).values() if state is not RootState.DESTROYED] == [
        RootState.CURRENT
    ]


async def test_no_root_is_made_while_a_member_that_serves_takes_no_keys(cluster):
    replicas = cluster.replicas

    def members():
        return [
            replica._replace(takes_creations=False) if replica.name == "beta" else replica
            for replica in replicas()
        ]

    cluster.roots._members = members
    with pytest.raises(HsmRequestError, match="beta takes no keys"):
        await make(cluster)
    assert set(states(cluster).values()) == {RootState.CURRENT}


async def test_a_cluster_whose_roots_do_not_travel_keeps_its_root(cluster):
    current = cluster.store.get_current_root()
    other = current._replace(
        root_id=b"o" * 16, wrap_algorithm=int(WrapAlgorithm.HSM_RSA_OAEP), created_at=2.0
    )
    await cluster.store.write(lambda tx: tx.insert_root(other))
    with pytest.raises(HsmRequestError, match="do not travel"):
        await make(cluster)


async def test_a_member_that_was_away_gets_the_new_root_before_it_serves(cluster):
    cluster.serving.remove("gamma")
    made = await make(cluster)
    assert holders(cluster, made.record.root_id) == {"alpha", "beta"}
    await cluster.join("gamma")
    await works_with(cluster.hsms["gamma"], made.record)


async def test_a_root_that_is_made_while_a_member_comes_back_is_not_missed(cluster):
    cluster.serving.remove("gamma")
    looked_at = await cluster.reconciler.reconcile(cluster.replica("gamma"))
    assert looked_at.is_clean
    made = await make(cluster)
    await cluster.reconciler.catch_up(cluster.replica("gamma"))
    await works_with(cluster.hsms["gamma"], made.record)


async def test_a_destroyed_root_is_gone_on_every_member_and_stays_so(cluster):
    before, made = cluster.root, await make(cluster)
    record = await bury(cluster, before.root_id)
    assert await cluster.roots.sweep(record) == ()
    assert holders(cluster, before.root_id) == set()
    assert await cluster.roots.sweep(record) == (), "what is gone is no trouble"
    assert [root.root_id for root in cluster.store.list_roots()] == [made.record.root_id]
    with pytest.raises(StorageError, match="no old root"):
        await bury(cluster, before.root_id)


async def test_a_member_that_was_away_is_told_of_the_tombstone(cluster):
    before, made = cluster.root, await make(cluster)
    cluster.serving.remove("gamma")
    await cluster.roots.sweep(await bury(cluster, before.root_id))
    assert holders(cluster, before.root_id) == {"gamma"}
    cluster.root = made.record
    report = await cluster.join("gamma")
    assert [(drift.what, drift.repair) for drift in report.drifts] == [("root", "destroyed")]
    assert holders(cluster, before.root_id) == set()


async def test_a_root_that_is_destroyed_while_a_member_comes_back_is_destroyed_there_too(cluster):
    before, made = cluster.root, await make(cluster)
    cluster.serving.remove("gamma")
    cluster.hsms["gamma"].destroy_root(RootId(before.root_id))  # it lost it, so it is copied back
    replica = cluster.replica("gamma")
    await cluster.reconciler.reconcile(replica)
    assert holders(cluster, before.root_id) == {"alpha", "beta", "gamma"}
    await cluster.roots.sweep(await bury(cluster, before.root_id))
    await cluster.reconciler.catch_up(replica)
    assert holders(cluster, before.root_id) == set()
    assert holders(cluster, made.record.root_id) == set(cluster.hsms)


async def test_no_tombstone_is_made_between_the_last_look_at_a_member_and_its_service(cluster):
    before = cluster.root.root_id
    await make(cluster)
    async with cluster.roots._turns.alone():  # as ``Reconciler.catch_up`` is
        destroying = asyncio.ensure_future(bury(cluster, before))
        await asyncio.sleep(0.1)
        assert states(cluster)[before] is RootState.OLD
    await destroying
    assert states(cluster)[before] is RootState.DESTROYED


async def test_where_a_destruction_fails_is_told(cluster):
    before, _ = cluster.root, await make(cluster)
    record = await bury(cluster, before.root_id)
    cluster.hsms["beta"].faults.fail_next(1, lambda: MemberReadOnlyError("no writes now"))
    assert await cluster.roots.sweep(record) == ("beta",)
    assert holders(cluster, before.root_id) == {"beta"}


async def test_a_proof_tells_who_holds_the_root_and_raises_for_another_key(cluster):
    assert await cluster.roots.prove(cluster.root) == ["alpha", "beta", "gamma"]
    cluster.hsms["beta"].faults.fail_next(1)
    assert await cluster.roots.prove(cluster.root) == ["alpha", "gamma"]
    cluster.hsms["alpha"].faults.wrong_key = True
    with pytest.raises(HsmIntegrityError):
        await cluster.roots.prove(cluster.root)


@pytest.mark.parametrize("n_steps", range(24))
async def test_a_service_that_dies_while_it_makes_a_root_leaves_one_current_root_and_nothing_strange(
    cluster, n_steps
):
    cluster.life.dies_after = n_steps
    died = False
    with contextlib.suppress(Killed):
        await make(cluster)
        died = cluster.life.dies_after <= 0
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await cluster.start()
    current = cluster.store.get_current_root()
    for name in cluster.hsms:
        cluster.root = next(root for root in cluster.store.list_roots())
        await cluster.join(name)
    live = {root.root_id for root in cluster.store.list_roots()}
    assert current.root_id in live
    assert RootState.PENDING not in states(cluster).values()
    for hsm in cluster.hsms.values():
        assert set(hsm._roots) == live, f"died: {died}"
        await works_with(hsm, current)
