"""A member that comes back is made to hold what it should; what cannot be repaired is said, and nothing strange is touched."""

import pytest

from fakes_replication import Contents
from strongroom.core import (
    HsmIntegrityError,
    HsmKeyNotFoundError,
    KeySpec,
    MemberDeadlineError,
    MemberReadOnlyError,
    new_backup_transport_id,
)
from strongroom.hsm.cluster import Allowed, DriftKind
from strongroom.hsm.cluster._reconcile import Records, compare
from strongroom.hsm.wire import ObjectEntry
from strongroom.storage import CopyState


def kinds(report):
    return [(drift.kind, drift.what, drift.repair) for drift in report.drifts]


async def back(cluster, name, contents=None):
    cluster.serving.remove(name)
    if contents is not None:
        contents.bring_back(cluster.hsms[name])
    return await cluster.join(name)


async def test_a_member_that_holds_what_it_should_is_clean(cluster):
    await cluster.create()
    report = await back(cluster, "beta")
    assert (report.drifts, report.keys_proved, report.is_clean) == ([], 1, True)
    assert report.in_words() == ["beta: holds what it should, 1 keys proved"]


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_256, KeySpec.ECC_NIST_P256], ids=str)
async def test_a_missing_key_is_copied_and_proved(cluster, spec):
    old = Contents(cluster.hsms["beta"])
    record = await cluster.create(spec)
    report = await back(cluster, "beta", old)
    assert kinds(report) == [(DriftKind.MISSING, "key", "copied from alpha")]
    assert report.is_clean
    assert cluster.holders(record) == set(cluster.hsms)
    assert cluster.events.named("reconcile.repaired")[0]["member"] == "beta"


async def test_a_blank_member_gets_the_root_too(cluster):
    hsm = cluster.hsms["beta"]
    await cluster.create()
    hsm._roots, hsm.direct._held, hsm._objects = {}, {}, []
    report = await back(cluster, "beta")
    assert [what for _, what, _ in kinds(report)] == ["root", "key"]
    assert report.is_clean


async def test_what_was_destroyed_meanwhile_is_destroyed_and_not_copied_back(cluster):
    record = await cluster.create()
    old = Contents(cluster.hsms["gamma"])
    await cluster.replication.destroy(record.key_id, deadline=_soon())
    report = await back(cluster, "gamma", old)
    assert kinds(report) == [(DriftKind.DESTROYED, "key", "destroyed")]
    assert cluster.holders(record) == set()


async def test_what_is_strange_is_reported_and_left_alone(cluster):
    cluster.hsms["beta"].generate_root(bytes(16), "somebody else's")
    report = await back(cluster, "beta")
    assert kinds(report) == [(DriftKind.STRANGE, "object", "")]
    assert report.is_clean
    assert "left alone" in report.in_words()[0]
    assert len([held for held in cluster.hsms["beta"].objects() if held.cka_id == bytes(16)]) == 1


def test_transport_keys_of_backup_sets_that_the_records_know_are_no_strangers():
    known, unknown = new_backup_transport_id(bytes(16)), new_backup_transport_id(bytes(16))
    inventory = [ObjectEntry("secret_key", cka_id, "backup-beta-aes", False) for cka_id in (known, unknown)]
    records = Records([], [], [], [], backup_transports=frozenset({known}))
    assert [drift.object_id for drift in compare("beta", inventory, records).others] == [unknown.hex()]


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_256, KeySpec.ECC_NIST_P256], ids=str)
async def test_another_key_under_the_same_name_keeps_the_member_out_until_somebody_says_repair(cluster, spec):
    record = await cluster.create(spec)
    hsm = cluster.hsms["beta"]
    hsm.direct.destroy(record.key)
    hsm.direct.generate(record.key, "k", may_leave=True)
    with pytest.raises(HsmIntegrityError, match="not the same"):
        await back(cluster, "beta")
    assert "beta" not in cluster.serving
    (drift,) = cluster.reconciler.reports["beta"].drifts
    assert (drift.kind, drift.repair) == (DriftKind.DIFFERENT, "")
    assert drift.next_step == "strongroom members reconcile --member beta --repair"

    allowed = Allowed(replace_different=True)
    report = await cluster.reconciler.reconcile(cluster.replica("beta"), allowed)
    assert kinds(report) == [(DriftKind.DIFFERENT, "key", "copied from alpha")]
    assert (await cluster.join("beta")).drifts == []


async def test_a_different_key_is_not_replaced_where_nobody_has_the_right_one(cluster):
    record = await cluster.create(KeySpec.ECC_NIST_P256)
    for hsm in cluster.hsms.values():
        hsm.direct.destroy(record.key)
        hsm.direct.generate(record.key, "k", may_leave=True)
    cluster.serving.clear()
    allowed = Allowed(replace_different=True)
    report = await cluster.reconciler.reconcile(cluster.replica("beta"), allowed)
    assert kinds(report) == [(DriftKind.QUARANTINED, "key", "")]
    assert cluster.hsms["beta"].direct.holds(record.key)


async def test_half_a_pair_is_made_whole(cluster):
    record = await cluster.create(KeySpec.ECC_NIST_P256)
    hsm = cluster.hsms["beta"]
    hsm._objects = [
        held for held in hsm._objects if (held.cka_id, held.object_class) != (record.key_id, "public_key")
    ]
    report = await back(cluster, "beta")
    assert kinds(report) == [(DriftKind.MISSING, "key", "copied from alpha")]


async def test_half_a_pair_on_a_member_that_takes_no_changes_is_told_and_the_member_serves(cluster):
    record = await cluster.create(KeySpec.ECC_NIST_P256)
    hsm = cluster.hsms["beta"]
    hsm._objects = [
        held for held in hsm._objects if (held.cka_id, held.object_class) != (record.key_id, "public_key")
    ]

    def refuse(_key):
        raise MemberReadOnlyError("CKR_TOKEN_WRITE_PROTECTED")

    hsm.direct.destroy = refuse
    report = await back(cluster, "beta")
    assert kinds(report) == [(DriftKind.MISSING, "key", "")]
    assert report.drifts[0].cause == "CKR_TOKEN_WRITE_PROTECTED"


async def test_a_key_that_may_not_leave_is_missed_only_where_it_was(cluster):
    old = Contents(cluster.hsms["alpha"])
    record = await cluster.create(may_leave=False)
    assert cluster.holders(record) == {"alpha"}
    assert (await back(cluster, "beta")).drifts == []
    report = await back(cluster, "alpha", old)
    assert kinds(report) == [(DriftKind.MISSING, "key", "")]
    assert not report.is_clean
    assert "never to leave" in report.drifts[0].cause


async def test_a_member_that_is_first_waits_for_one_that_has_the_key(cluster):
    old = Contents(cluster.hsms["alpha"])
    record = await cluster.create()
    cluster.serving.clear()
    old.bring_back(cluster.hsms["alpha"])
    report = await cluster.join("alpha")
    assert not report.is_clean
    assert cluster.reconciler.needing_others() == ["alpha"]
    await cluster.join("beta")
    assert cluster.holders(record) == set(cluster.hsms)
    assert cluster.reconciler.needing_others() == []


async def test_only_looking_changes_nothing(cluster):
    old = Contents(cluster.hsms["beta"])
    record = await cluster.create()
    old.bring_back(cluster.hsms["beta"])
    allowed = Allowed(repair=False)
    report = await cluster.reconciler.reconcile(cluster.replica("beta"), allowed)
    assert kinds(report) == [(DriftKind.MISSING, "key", "")]
    assert "beta" not in cluster.holders(record)


async def test_a_member_that_does_not_answer_is_not_blamed_for_what_it_holds(cluster):
    await cluster.create()
    for calls in range(3):
        cluster.hsms["beta"].faults.fail_next(calls, lambda: MemberDeadlineError("no answer"))
        if calls:
            with pytest.raises(MemberDeadlineError):
                await cluster.reconciler.reconcile(cluster.replica("beta"))
        cluster.hsms["beta"].faults.clear()


async def test_a_member_that_gives_no_copy_is_passed_over(cluster):
    old = Contents(cluster.hsms["beta"])
    record = await cluster.create()
    cluster.hsms["alpha"].faults.fail_next(1, lambda: MemberDeadlineError("no answer"))
    report = await back(cluster, "beta", old)
    assert kinds(report) == [(DriftKind.MISSING, "key", "copied from gamma")]
    assert cluster.holders(record) == set(cluster.hsms)


async def test_without_a_root_and_without_others_the_member_does_not_serve(cluster):
    cluster.serving.clear()
    cluster.hsms["alpha"].forget_root(cluster.root.root_id)
    with pytest.raises(HsmKeyNotFoundError):
        await cluster.join("alpha")


async def test_what_is_made_and_destroyed_while_a_member_is_looked_at_is_made_good_before_it_serves(cluster):
    gone = await cluster.create()
    cluster.serving.remove("beta")
    await cluster.reconciler.reconcile(cluster.replica("beta"))
    fresh = await cluster.create()
    await cluster.replication.destroy(gone.key_id, deadline=_soon())
    await cluster.reconciler.catch_up(cluster.replica("beta"))
    assert cluster.holders(fresh) == set(cluster.hsms)
    assert cluster.holders(gone) == set()
    assert cluster.reconciler.reports["beta"].is_clean
    state = {copy.member: copy.state for copy in cluster.store.list_hsm_key_copies(fresh.key_id)}
    assert state["beta"] is CopyState.HELD


def test_ghosts_are_counted_and_missing_transport_keys_named():
    from strongroom.core import TransportKind
    from strongroom.storage import TransportKeyRecord

    transports = [TransportKeyRecord(bytes(16), "alpha", TransportKind.RSA, 0x210A, 1.0)]
    ghosts = [ObjectEntry("-", b"", "", is_ghost=True)] * 3
    found = compare("beta", ghosts, Records([], [], [], transports))
    assert [(drift.kind, drift.label) for drift in found.others] == [
        (DriftKind.GHOST, "3 of them"),
        (DriftKind.NO_TRANSPORT, "rsa keys from alpha"),
    ]


def _soon():
    from fakes_replication import soon

    return soon()


async def test_a_key_that_a_member_holds_twice_is_to_be_made_anew(cluster):
    record = await cluster.create()
    once = ObjectEntry("secret_key", record.key_id, "a key", is_ghost=False)
    records = Records([], [record], [], [])
    assert compare("beta", [once], records).present_keys == [record]
    found = compare("beta", [once, once], records)
    assert (found.present_keys, found.partial_keys) == ([], [record])


async def test_a_member_that_failed_while_a_key_was_made_or_destroyed_is_made_whole_while_it_serves(cluster):
    cluster.hsms["beta"].faults.fail_next(1)
    record = await cluster.create()
    assert cluster.holders(record) == {"alpha", "gamma"}
    assert cluster.reconciler.needing_others() == ["beta"]
    await cluster.help()
    assert cluster.holders(record) == set(cluster.hsms)

    cluster.hsms["gamma"].faults.fail_next(1)
    destroyed = await cluster.replication.destroy(record.key_id, deadline=_soon())
    assert destroyed.left_on == ("gamma",)
    assert cluster.reconciler.needing_others() == ["gamma"]
    await cluster.help()
    assert (cluster.holders(record), cluster.reconciler.needing_others()) == (set(), [])


async def test_nobody_is_asked_for_a_key_that_could_not_be_copied_anyway(cluster):
    old = Contents(cluster.hsms["alpha"])
    await cluster.create(may_leave=False)
    await back(cluster, "alpha", old)
    assert cluster.reconciler.needing_others() == []
