"""One damaged record stops that one key: members serve everything else, and nobody gets an answer made by a wrong key."""

import pytest

from fakes_replication import Contents, soon
from strongroom.core import (
    BatchMac,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyQuarantinedError,
    KeySpec,
    KeyUsage,
    SystemClock,
    random_bytes,
)
from strongroom.hsm.cluster import ClusterTable, DriftKind, KeyCopier, quarantine_of
from strongroom.storage import HsmKeyState
from worker_in_process import table


async def damage(cluster, record, **changes):
    """What a broken API process can write."""
    wrong = record._replace(**changes)
    await cluster.store.write(lambda tx: tx.move_hsm_key(wrong, was=record.state))
    return wrong


async def spoil(cluster, record, column, value):
    def write(tx):
        tx._connection.exec_driver_sql(
            f"UPDATE hsm_keys SET {column} = ? WHERE key_id = ?",  # noqa: S608  # a name of ours
            (value, record.key_id),
        )

    await cluster.store.write(write)


def kinds(report):
    return [(drift.kind, drift.object_id) for drift in report.drifts]


async def restart(cluster):
    await cluster.start()
    await cluster.join_all()


DAMAGES = {
    "wrong public half": (KeySpec.ECC_NIST_P256, {"public_key": b"nonsense"}),
    "another key's public half": (KeySpec.ECC_NIST_P256, {"public_key": None}),
    "wrong canary": (KeySpec.AES_256, {"canary": bytes(113)}),
    "canary of no form": (KeySpec.AES_256, {"canary": bytes(40)}),
    "canary without its length": (KeySpec.HMAC_256, {"canary": bytes(33)}),
    "canary of an HMAC key": (KeySpec.AES_256, {"canary": bytes(32)}),
    "canary of an AES key": (KeySpec.HMAC_256, {"canary": bytes(32) + b"\x0c" + bytes(60)}),
    "canary of a pair": (KeySpec.ECC_NIST_P256, {"canary": bytes(32)}),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_record_keeps_no_member_out_and_its_key_is_not_used(cluster, name):
    spec, changes = DAMAGES[name]
    good, record = await cluster.create(), await cluster.create(spec)
    if changes.get("public_key", b"") is None:
        changes = {"public_key": (await cluster.create(spec)).public_key}
    await damage(cluster, record, **changes)
    await restart(cluster)
    assert cluster.serving == list(cluster.hsms)
    for report in cluster.reconciler.reports.values():
        assert kinds(report) == [(DriftKind.QUARANTINED, record.key_id.hex())]
        assert not report.is_clean
        assert "docs/direct-keys.md" in report.drifts[0].next_step
    assert cluster.reconciler.quarantined(cluster.serving) == {record.key_id}
    assert cluster.holders(record) == cluster.holders(good) == set(cluster.hsms), "nothing is destroyed"


@pytest.mark.parametrize(
    ("column", "value"), [("spec", "AES_512"), ("usage", "SIGN_VERIFY"), ("may_leave", 0)]
)
async def test_a_row_of_which_nothing_can_be_believed_is_in_quarantine_too(cluster, column, value):
    record = await cluster.create()
    await spoil(cluster, record, column, value)
    await restart(cluster)
    assert cluster.serving == list(cluster.hsms)
    assert cluster.reconciler.quarantined(cluster.serving) == {record.key_id}
    assert cluster.holders(record) == set(cluster.hsms)


async def test_a_record_that_is_put_right_ends_the_quarantine(cluster):
    record = await cluster.create()
    await damage(cluster, record, canary=bytes(40))
    await restart(cluster)
    await cluster.store.write(lambda tx: tx.move_hsm_key(record, was=record.state))
    assert cluster.reconciler.needing_others() == sorted(cluster.hsms)
    await cluster.help()
    assert cluster.reconciler.quarantined(cluster.serving) == set()
    assert all(report.is_clean for report in cluster.reconciler.reports.values())


async def test_a_member_that_came_first_with_another_key_is_found_out_by_the_next_that_fits_the_record(
    cluster,
):
    record = await cluster.create()
    hsm = cluster.hsms["alpha"]
    hsm.direct.destroy(record.key)
    hsm.direct.generate(record.key, record.label, may_leave=True)
    await cluster.start()
    await cluster.join("alpha")
    assert cluster.reconciler.quarantined(cluster.serving) == {record.key_id}
    cluster.serving.append("beta")
    assert kinds(await cluster.reconciler.reconcile(cluster.replica("beta"))) == []
    assert cluster.reconciler.quarantined(cluster.serving) == {record.key_id}, "alpha still serves"
    report = await cluster.reconciler.reconcile(cluster.replica("alpha"))
    assert kinds(report) == [(DriftKind.DIFFERENT, record.key_id.hex())]
    assert cluster.reconciler.quarantined(cluster.serving) == {record.key_id}, "alpha still serves"
    with pytest.raises(HsmIntegrityError, match="not the same"):
        cluster.reconciler.require_same_keys(report)
    assert cluster.reconciler.quarantined(["beta"]) == set()


async def test_a_key_with_a_damaged_record_is_copied_to_nobody(cluster):
    old = Contents(cluster.hsms["beta"])
    record = await cluster.create()
    await damage(cluster, record, canary=bytes(40))
    cluster.serving.remove("beta")
    old.bring_back(cluster.hsms["beta"])
    report = await cluster.join("beta")
    assert kinds(report) == [(DriftKind.MISSING, record.key_id.hex())]
    assert "beta" not in cluster.holders(record)


async def test_a_copy_is_recognised_by_its_record_without_the_member_that_gave_it(cluster):
    old = Contents(cluster.hsms["beta"])
    record = await cluster.create()
    old.bring_back(cluster.hsms["beta"])
    source, target = cluster.replica("alpha")._replace(use=None), cluster.replica("beta")
    copier = KeyCopier(cluster.store.list_transport_keys(), clock=SystemClock())
    await copier.copy_key(record, source=source, target=target, deadline=soon())
    assert "beta" in cluster.holders(record)


async def test_an_old_tombstone_that_is_not_read_any_more_destroys_a_key_that_comes_back(
    cluster, monkeypatch
):
    monkeypatch.setattr("strongroom.hsm.cluster._reconciler._RECENT_S", -60.0)
    record = await cluster.create()
    old = Contents(cluster.hsms["gamma"])
    await cluster.replication.destroy(record.key_id, deadline=soon())
    concerning = cluster.store.list_hsm_keys_concerning("gamma", since=1e12)
    assert record.key_id not in {one.key_id for one in concerning}
    cluster.serving.remove("gamma")
    old.bring_back(cluster.hsms["gamma"])
    report = await cluster.join("gamma")
    assert [(drift.kind, drift.repair) for drift in report.drifts] == [(DriftKind.DESTROYED, "destroyed")]
    assert cluster.holders(record) == set()
    assert cluster.store.get_hsm_key(record.key_id).state is HsmKeyState.DESTROYED


def mac_key(trio):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    trio.hsms[0].direct.generate(key, "mac", may_leave=True)
    return key


async def test_callers_of_the_cluster_are_refused_what_is_in_quarantine_and_nothing_else(trio):
    bad, good = mac_key(trio), mac_key(trio)
    workers = table(2, *trio.workers).workers
    trio.cluster.apply(ClusterTable(2, workers, quarantine_of([bad.key_id])))
    with pytest.raises(HsmKeyQuarantinedError):
        await trio.cluster.mac(bad, b"m", deadline=soon())
    assert await trio.cluster.mac(good, b"m", deadline=soon())
    refused, made = await trio.cluster.batch([BatchMac(bad, b"m"), BatchMac(good, b"m")], deadline=soon())
    assert isinstance(refused, HsmKeyQuarantinedError)
    assert isinstance(made, bytes)

    trio.cluster.apply(ClusterTable(3, workers, quarantine_of([bad.key_id] * 20_001)))
    with pytest.raises(HsmKeyQuarantinedError):
        await trio.cluster.mac(good, b"m", deadline=soon())
    assert await trio.cluster.random(16, deadline=soon())

    trio.cluster.apply(ClusterTable(4, workers))
    assert await trio.cluster.mac(bad, b"m", deadline=soon())
