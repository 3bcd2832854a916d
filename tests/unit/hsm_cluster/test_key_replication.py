"""A key is acknowledged on enough members with each copy proved, or nothing of it stays; a destroyed one is gone."""

import asyncio
import contextlib

import pytest

from fakes_replication import CLOCK, FakeKeys, Killed, soon
from strongroom.core import (
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    MemberDeadlineError,
    MemberFailedError,
    NoMemberError,
)
from strongroom.hsm.cluster import Rules, TooFewCopiesError, _key_copies, _key_replication
from strongroom.storage import CopyState, HsmKeyState

SPECS = [
    (KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT),
    (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC),
    (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY),
    (KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT),
    (KeySpec.ECC_NIST_EDWARDS25519, KeyUsage.SIGN_VERIFY),
    (KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT),
]


def copies(cluster, record):
    return {copy.member: copy.state for copy in cluster.store.list_hsm_key_copies(record.key_id)}


@pytest.mark.parametrize(("spec", "usage"), SPECS, ids=str)
async def test_a_key_of_every_kind_is_on_every_member_and_proved(cluster, spec, usage):
    record = await cluster.replication.create(spec, usage, "k", may_leave=True, deadline=soon())
    assert cluster.holders(record) == set(cluster.hsms)
    assert cluster.store.get_hsm_key(record.key_id) == record
    assert record.state is HsmKeyState.ACTIVE
    assert bool(record.public_key) == spec.is_pair
    assert set(copies(cluster, record).values()) == {CopyState.HELD}


async def test_a_key_that_may_not_leave_is_on_one_member(cluster):
    record = await cluster.create(may_leave=False)
    assert len(cluster.holders(record)) == 1
    assert set(copies(cluster, record)) == cluster.holders(record)


async def test_a_copy_that_works_with_another_key_is_destroyed_and_does_not_count(cluster):
    cluster.hsms["gamma"].faults.wrong_key = True
    record = await cluster.create()
    assert cluster.holders(record) == {"alpha", "beta"}
    assert set(copies(cluster, record)) == {"alpha", "beta"}
    cluster.hsms["beta"].faults.wrong_key = True
    with pytest.raises(TooFewCopiesError, match="1 of the 2"):
        await cluster.create()


async def test_too_few_copies_undo_the_key_everywhere(cluster):
    cluster.serving[:] = ["alpha"]
    with pytest.raises(TooFewCopiesError):
        await cluster.create()
    (record,) = cluster.store.list_hsm_keys()
    assert record.state is HsmKeyState.DESTROYED
    assert cluster.holders(record) == set()


async def test_a_member_that_fails_to_generate_is_passed_over_with_another_id(cluster):
    for happened in (False, True):
        cluster.hsms["alpha"].faults.fail_next(1, happened=happened)
        record = await cluster.create()
        assert record.state is HsmKeyState.ACTIVE
        undone = [other for other in cluster.store.list_hsm_keys() if other.state is HsmKeyState.DESTROYED]
        assert [cluster.holders(other) for other in undone] == [set()] * len(undone)
        assert record.key_id not in {other.key_id for other in undone}


async def test_a_key_that_no_member_makes_is_refused_at_once(cluster):
    cluster.hsms["alpha"].faults.fail_next(1, lambda: HsmRequestError("no such curve"))
    with pytest.raises(HsmRequestError, match="no such curve"):
        await cluster.create()
    assert {record.state for record in cluster.store.list_hsm_keys()} == {HsmKeyState.DESTROYED}


async def test_without_members_no_key_is_made(cluster):
    cluster.serving.clear()
    with pytest.raises(NoMemberError):
        await cluster.create()
    assert cluster.store.list_hsm_keys() == []


async def test_a_member_that_hangs_does_not_hold_up_a_creation_beyond_its_deadline(cluster):
    cluster.rules = Rules(min_copies=3)
    await cluster.start()
    await cluster.join_all()
    cluster.hsms["gamma"].faults.hang()
    began = CLOCK.monotonic()
    with pytest.raises(TooFewCopiesError):
        await cluster.create(seconds=0.5)
    assert CLOCK.monotonic() - began < 5  # 0.5 s, and a step at a member that hangs takes 5 s
    cluster.hsms["gamma"].faults.release()
    (record,) = cluster.store.list_hsm_keys()
    while cluster.holders(record) or record.state is not HsmKeyState.DESTROYED:
        await asyncio.sleep(0.01)
        record = cluster.store.get_hsm_key(record.key_id)


async def test_when_the_member_that_made_a_key_is_lost_before_it_is_copied_another_one_makes_it(
    cluster, monkeypatch
):
    wrap_out = FakeKeys.wrap_out

    async def lost(keys, *args, **kwargs):
        if keys.name == "alpha":
            keys.hsm.faults.hang()
            raise MemberFailedError("the connection was closed")
        return await wrap_out(keys, *args, **kwargs)

    monkeypatch.setattr(FakeKeys, "wrap_out", lost)
    monkeypatch.setattr(_key_replication, "_SOURCE_LOOK_S", 0.1)
    monkeypatch.setattr(_key_copies, "_STEP_LIMIT_S", 0.2)
    record = await cluster.create()
    cluster.hsms["alpha"].faults.release()
    assert {"beta", "gamma"} <= cluster.holders(record)
    assert record.state is HsmKeyState.ACTIVE
    (undone,) = cluster.store.list_hsm_keys(HsmKeyState.DESTROYED)
    assert cluster.holders(undone) <= {"alpha"}  # which is told when it is back


async def test_a_creation_that_fails_waits_for_no_member_that_waits_for_it(cluster):
    """A member that comes back is let in between changes; what undoes a change belongs to it."""
    cluster.serving[:] = ["alpha", "beta"]
    cluster.hsms["beta"].faults.hang()
    creation = asyncio.ensure_future(cluster.create(seconds=3_600.0))
    while not any(cluster.holders(record) for record in cluster.store.list_hsm_keys(HsmKeyState.PENDING)):
        await asyncio.sleep(0.01)
    joining = asyncio.ensure_future(cluster.join("gamma"))
    await asyncio.sleep(0.2)
    assert not joining.done()
    cluster.serving[:] = ["alpha"]
    cluster.hsms["beta"].faults.fail_next(1)
    cluster.hsms["beta"].faults.release()
    async with asyncio.timeout(60):
        with pytest.raises(TooFewCopiesError):
            await creation
        await joining
    (record,) = cluster.store.list_hsm_keys()
    assert (record.state, cluster.holders(record)) == (HsmKeyState.DESTROYED, set())


async def test_a_creation_that_is_cancelled_leaves_nothing(cluster):
    cluster.hsms["beta"].faults.hang()
    task = asyncio.ensure_future(cluster.create())
    await asyncio.sleep(0.1)
    cluster.hsms["beta"].faults.release()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (record,) = cluster.store.list_hsm_keys()
    assert (record.state, cluster.holders(record)) == (HsmKeyState.DESTROYED, set())


@pytest.mark.parametrize("dies_after", range(18))
async def test_a_service_killed_while_it_makes_a_key_leaves_a_whole_key_or_none(cluster, dies_after):
    cluster.life.dies_after = dies_after
    made = None
    with contextlib.suppress(Killed):
        made = await cluster.create()
    await cluster.start()
    await cluster.join_all()
    record = next(iter(cluster.store.list_hsm_keys()), None)
    if record is None:
        assert made is None
        return
    if made is not None:
        assert (record, cluster.holders(record)) == (made, set(cluster.hsms))
    elif record.state is HsmKeyState.ACTIVE:
        assert cluster.holders(record) == set(cluster.hsms)
    else:
        assert (record.state, cluster.holders(record)) == (HsmKeyState.DESTROYED, set())


@pytest.mark.parametrize("dies_after", range(10))
async def test_a_service_killed_while_it_destroys_a_key_destroys_it_all_the_same(cluster, dies_after):
    record = await cluster.create()
    cluster.life.dies_after = dies_after
    with contextlib.suppress(Killed):
        await cluster.replication.destroy(record.key_id, deadline=soon())
    await cluster.start()
    await cluster.join_all()
    if dies_after:  # else it died before it began
        assert cluster.holders(record) == set()
        assert cluster.store.get_hsm_key(record.key_id).state is HsmKeyState.DESTROYED


async def test_a_destroyed_key_is_gone_from_all_and_says_so_twice(cluster):
    record = await cluster.create()
    for _ in range(2):
        destroyed = await cluster.replication.destroy(record.key_id, deadline=soon())
        assert destroyed.left_on == ()
        assert cluster.holders(record) == set()
    assert set(copies(cluster, record).values()) == {CopyState.GONE}


async def test_a_member_that_is_away_when_a_key_is_destroyed_is_told_when_it_comes_back(cluster):
    record = await cluster.create()
    cluster.serving.remove("beta")
    destroyed = await cluster.replication.destroy(record.key_id, deadline=soon())
    assert destroyed.left_on == ("beta",)
    assert cluster.holders(record) == {"beta"}
    report = await cluster.join("beta")
    assert [drift.repair for drift in report.drifts] == ["destroyed"]
    assert cluster.holders(record) == set()


async def test_only_active_keys_are_destroyed(cluster):
    with pytest.raises(HsmKeyNotFoundError):
        await cluster.replication.destroy(b"no key of this id", deadline=soon())


async def test_a_vendors_cluster_is_waited_for_until_the_key_works(cluster):
    cluster.rules = Rules(min_copies=2, usable_within_s=5.0, is_native=True)
    await cluster.start()
    await cluster.join("alpha")
    faults = cluster.hsms["alpha"].faults
    make = cluster.hsms["alpha"].direct.generate

    def slow_to_show(key, label, *, may_leave):
        made = make(key, label, may_leave=may_leave)
        faults.fail_next(3, lambda: HsmKeyNotFoundError("not synchronised yet"))
        return made

    cluster.hsms["alpha"].direct.generate = slow_to_show
    record = await cluster.create()
    assert (record.state, cluster.holders(record)) == (HsmKeyState.ACTIVE, {"alpha"})


async def test_a_key_that_never_becomes_usable_is_undone(cluster):
    make = cluster.hsms["alpha"].direct.generate

    def never_shown(key, label, *, may_leave):
        made = make(key, label, may_leave=may_leave)
        cluster.hsms["alpha"].faults.fail_next(1, lambda: MemberFailedError("not found"))
        return made

    cluster.serving[:] = ["alpha"]
    cluster.hsms["alpha"].direct.generate = never_shown
    with pytest.raises(NoMemberError, match="not found"):
        await cluster.create()
    (record,) = cluster.store.list_hsm_keys()
    assert (record.state, cluster.holders(record)) == (HsmKeyState.DESTROYED, set())


async def test_a_key_of_unknown_fate_is_destroyed_when_its_member_comes_back(cluster):
    hsm = cluster.hsms["alpha"]
    hsm.faults.fail_next(1, lambda: MemberDeadlineError("no answer"), happened=True)
    hsm.faults.fail_next(1, lambda: MemberDeadlineError("no answer"))  # the undoing
    record = await cluster.create()
    (undone,) = [other for other in cluster.store.list_hsm_keys() if other.state is HsmKeyState.DESTROYED]
    assert cluster.holders(undone) == {"alpha"}
    cluster.serving.remove("alpha")
    await cluster.join("alpha")
    assert cluster.holders(undone) == set()
    assert cluster.holders(record) == set(cluster.hsms)
