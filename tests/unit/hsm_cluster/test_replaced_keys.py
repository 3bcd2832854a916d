"""A member that holds another key under a name does not serve with it: a canary, a public half or an attribute tells."""

import pytest

from fakes_replication import Contents, soon
from strongroom.core import HsmIntegrityError, KeySpec
from strongroom.hsm.cluster import DriftKind
from strongroom.storage import HsmKeyState


def kinds(report):
    return [(drift.kind, drift.what, drift.repair) for drift in report.drifts]


async def back(cluster, name, contents=None):
    cluster.serving.remove(name)
    if contents is not None:
        contents.bring_back(cluster.hsms[name])
    return await cluster.join(name)


def replace(cluster, name, record):
    """What somebody can do who has the PIN of a member's user: put another key in the place of one."""
    hsm = cluster.hsms[name]
    hsm.direct.destroy(record.key)
    hsm.direct.generate(record.key, record.label, may_leave=record.may_leave)


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_256, KeySpec.ECC_NIST_P256], ids=str)
async def test_another_key_is_found_out_where_there_is_one_copy_and_where_nobody_else_serves(cluster, spec):
    alone = await cluster.create(spec, may_leave=False)
    replace(cluster, "alpha", alone)
    assert kinds(await back(cluster, "alpha")) == [(DriftKind.QUARANTINED, "key", "")]
    assert cluster.reconciler.quarantined(cluster.serving) == {alone.key_id}

    everywhere = await cluster.create(spec)
    cluster.serving.clear()
    replace(cluster, "gamma", everywhere)
    assert kinds(await cluster.join("gamma")) == [(DriftKind.QUARANTINED, "key", "")]
    assert cluster.reconciler.quarantined(cluster.serving) == {everywhere.key_id}


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_256], ids=str)
async def test_a_key_that_was_replaced_on_a_member_that_serves_is_not_copied_to_others(cluster, spec):
    old = Contents(cluster.hsms["beta"])
    record = await cluster.create(spec)
    replace(cluster, "alpha", record)
    report = await back(cluster, "beta", old)
    assert kinds(report) == [(DriftKind.MISSING, "key", "copied from gamma")]
    assert (await back(cluster, "beta")).drifts == []


async def test_a_public_half_that_was_replaced_is_another_key(cluster):
    record = await cluster.create(KeySpec.ECC_NIST_P256)
    direct = cluster.hsms["beta"].direct
    other = record.key._replace(key_id=bytes(16))
    told = direct.generate(other, "another", may_leave=True)
    direct.destroy(other)
    direct.public_key = lambda key: told
    with pytest.raises(HsmIntegrityError, match="not the same"):
        await back(cluster, "beta")


async def test_a_key_that_may_do_more_than_it_was_made_for_is_another_key(cluster):
    record = await cluster.create(may_leave=False)
    direct = cluster.hsms["alpha"].direct
    direct._held[record.key_id] = direct._held[record.key_id]._replace(may_leave=True)
    report = await back(cluster, "alpha")
    (drift,) = report.drifts
    assert (drift.kind, "CKA_EXTRACTABLE" in drift.cause) == (DriftKind.QUARANTINED, True)


async def without_canary(cluster, **how):
    """A key as a service of before canaries made it."""
    record = (await cluster.create(**how))._replace(canary=None)
    await cluster.store.write(lambda tx: tx.move_hsm_key(record, was=record.state))
    return record


async def test_a_key_of_before_canaries_gets_one_once_a_member_that_serves_shows_the_same_key(cluster):
    record = await without_canary(cluster)
    cluster.serving.clear()
    await cluster.join("alpha")
    assert cluster.store.get_hsm_key(record.key_id).canary is None, "nobody was there to compare it with"
    await cluster.join("beta")
    assert cluster.store.get_hsm_key(record.key_id).canary is not None
    replace(cluster, "gamma", record)
    with pytest.raises(HsmIntegrityError, match="not the same"):
        await cluster.join("gamma")


async def test_a_key_of_before_canaries_that_only_one_member_holds_gets_one(cluster):
    record = await without_canary(cluster, may_leave=False)
    await back(cluster, "alpha")
    assert cluster.store.get_hsm_key(record.key_id).canary is not None


async def test_a_key_that_is_destroyed_while_it_gets_its_canary_stays_destroyed(cluster):
    record = await without_canary(cluster)
    cluster.serving.remove("beta")
    store, write = cluster.reconciler._store, cluster.store.write

    async def destroyed_first(work):
        store.write = write
        await cluster.replication.destroy(record.key_id, deadline=soon())
        return await write(work)

    store.write = destroyed_first
    await cluster.reconciler.reconcile(cluster.replica("beta"))
    kept = cluster.store.get_hsm_key(record.key_id)
    assert (kept.state, kept.canary) == (HsmKeyState.DESTROYED, None)
