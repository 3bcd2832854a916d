"""``HsmCluster.batch`` over real sockets: what one member could not do goes to the next, and nothing else does."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from strongroom.core import (
    BatchMac,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    Deadline,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    MemberDeadlineError,
    MemberFailedError,
    NoMemberError,
    Secret,
    SigningAlgorithm,
    SystemClock,
    random_bytes,
)
from strongroom.hsm.cluster import ClusterTable, HsmCluster
from strongroom.hsm.cluster._batch_cluster import verb_name
from strongroom.testing import RecordingEvents
from worker_in_process import table

AAD = b"domain 7"
LONG = 10.0


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


def unwraps(trio, n):
    secrets = [Secret(b"%032d" % number) for number in range(n)]
    wrap = trio.hsms[0].wrap
    return secrets, [BatchUnwrap(trio.root_id, wrap(trio.root_id, secret, AAD), AAD) for secret in secrets]


def all_match(answers, secrets):
    return all(answer.matches(secret) for answer, secret in zip(answers, secrets, strict=True))


def performed(trio):
    return [len(worker.performer.performed) for worker in trio.workers]


def mac_key_on(hsm):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    hsm.direct.generate(key, "mac", may_leave=False)
    return key


@pytest.fixture
def patient(trio):
    """A cluster of the same members that asks no second one where the machine stands still."""
    events = RecordingEvents()
    cluster = HsmCluster(clock=SystemClock(), events=events, attempt_s=20.0, report=lambda suspicion: None)
    cluster.apply(table(1, *trio.workers))
    yield cluster
    cluster.close()


async def test_a_batch_is_done_on_one_member(trio, patient):
    secrets, items = unwraps(trio, 50)
    assert all_match(await patient.batch(items, deadline=in_s(LONG)), secrets)
    assert sorted(performed(trio)) == [0, 0, 50]


async def test_only_the_items_that_failed_for_the_members_sake_go_to_another(trio, patient):
    patient.apply(table(2, *trio.workers[:2]))
    first, second = trio.workers[:2]
    secrets, items = unwraps(trio, 6)
    items[1] = items[1]._replace(aad=b"another")
    for worker in (first, second):
        worker.hsm.faults.fail_next(2)
    answers = await patient.batch(items, deadline=in_s(LONG))
    assert type(answers[1]) is HsmIntegrityError
    del answers[1], secrets[1]
    assert all_match(answers, secrets)
    # Two failed on the one; these two failed on the other as well, and were done by the first.
    assert sorted(len(worker.performer.performed) for worker in (first, second)) == [2, 6 + 2]


async def test_what_a_member_could_not_do_is_for_the_next_though_the_first_has_priority(trio, patient):
    entries = [replace(worker.entry(), priority=at) for at, worker in enumerate(trio.workers)]
    patient.apply(ClusterTable(2, entries))
    secrets, items = unwraps(trio, 6)
    trio.hsms[0].faults.fail_next(2)
    assert all_match(await patient.batch(items, deadline=in_s(LONG)), secrets)
    assert performed(trio) == [6, 2, 0]


async def test_a_member_that_dies_midway_costs_no_item(trio):
    secrets, items = unwraps(trio, 60)
    for hsm in trio.hsms:
        hsm.faults.slow_s = 0.005
    batch = asyncio.ensure_future(trio.cluster.batch(items, deadline=in_s(LONG)))
    async with asyncio.timeout(LONG):
        while not any(performed(trio)):
            await asyncio.sleep(0.001)
    trio.workers[performed(trio).index(max(performed(trio)))].crash()
    for hsm in trio.hsms:
        hsm.faults.slow_s = 0.0
    assert all_match(await batch, secrets)


async def test_a_batch_that_takes_longer_than_an_attempt_gets_done_piece_by_piece(trio):
    secrets, items = unwraps(trio, 40)
    for hsm in trio.hsms:
        hsm.faults.slow_s = 0.02  # 40 of them take four attempts
    assert all_match(await trio.cluster.batch(items, deadline=in_s(60)), secrets)


async def test_what_nobody_does_before_the_deadline_is_told_so_and_the_rest_is_done(trio):
    trio.cluster.apply(table(2, trio.workers[0]))
    secrets, items = unwraps(trio, 200)
    trio.hsms[0].faults.slow_s = 0.02
    answers = await trio.cluster.batch(items, deadline=in_s(1.5))
    kinds = [type(answer) for answer in answers]
    n_done = kinds.index(NoMemberError)
    assert n_done > 0
    assert set(kinds[n_done:]) == {NoMemberError}
    assert all_match(answers[:n_done], secrets[:n_done])


async def test_without_a_member_every_item_is_told_so(trio):
    for worker in trio.workers:
        worker.crash()
    _, items = unwraps(trio, 3)
    answers = await trio.cluster.batch(items, deadline=in_s(0.3))
    assert [type(answer) for answer in answers] == [NoMemberError] * 3


async def test_a_key_that_is_on_one_member_only_is_found_there_and_remembered(trio, patient):
    only_there = mac_key_on(trio.hsms[2])
    macs = [BatchMac(only_there, b"%d" % n) for n in range(3)]
    secrets, items = unwraps(trio, 3)
    mixed = [item for pair in zip(items, macs, strict=True) for item in pair]
    for _ in range(4):
        answers = await patient.batch(mixed, deadline=in_s(LONG))
        assert all_match(answers[::2], secrets)
        assert answers[1::2] == [trio.hsms[2].direct.mac(only_there, mac.message) for mac in macs]
    for worker in trio.workers:
        worker.performer.performed.clear()
    await patient.mac(only_there, b"m", deadline=in_s(LONG))
    assert performed(trio) == [0, 0, 1]


async def test_a_batch_of_nothing_asks_nobody(trio):
    assert await trio.cluster.batch([], deadline=in_s(LONG)) == []
    assert performed(trio) == [0, 0, 0]


async def test_more_than_a_batch_may_hold_is_refused(trio):
    item = BatchWrap(trio.root_id, Secret(b"k"), AAD)
    for items in ([item] * 257, [BatchWrap(trio.root_id, Secret(bytes(4096)), AAD)] * 200):
        with pytest.raises(HsmRequestError, match="a batch has at most"):
            await trio.cluster.batch(items, deadline=in_s(LONG))
    assert performed(trio) == [0, 0, 0]


KINDS = st.sampled_from(["good", "good", "tampered", "no root"])
FAULTS = st.tuples(st.integers(0, 2), st.sampled_from([MemberFailedError, MemberDeadlineError])) | st.tuples(
    st.integers(0, 1), st.just(HsmKeyNotFoundError)
)
"""The last member holds every key: what nobody holds is answered at once, and otherwise."""


@given(
    kinds=st.lists(KINDS, max_size=30),
    faults=st.lists(FAULTS, max_size=5),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_whatever_fails_where_each_item_gets_its_own_answer(trio, kinds, faults):
    secrets, items = unwraps(trio, len(kinds))
    for index, kind in enumerate(kinds):
        if kind == "tampered":
            items[index] = items[index]._replace(aad=b"another")
        if kind == "no root":
            items[index] = items[index]._replace(root_id=b"too short")
    for where, error in faults:
        trio.hsms[where].faults.fail_next(1, lambda error=error: error("a fault"))
    answers = await trio.cluster.batch(items, deadline=in_s(60))
    expected = {"good": Secret, "tampered": HsmIntegrityError, "no root": HsmRequestError}
    assert [type(answer) for answer in answers] == [expected[kind] for kind in kinds]
    assert all(
        answer.matches(secret)
        for answer, secret, kind in zip(answers, secrets, kinds, strict=True)
        if kind == "good"
    )
    for hsm in trio.hsms:
        hsm.faults.clear()


def test_batches_are_compared_with_batches_of_their_size_and_kind():
    unwrap = BatchUnwrap(b"r" * 16, None, b"")
    sign = BatchSign(
        HsmKey(b"k", KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY), SigningAlgorithm.RSASSA_PSS_SHA_256, b""
    )
    assert verb_name([unwrap] * 16) == "batch-16 unwrap"
    assert verb_name([unwrap] * 17) == "batch-64 unwrap"
    assert verb_name([sign] * 256) == "batch-256 sign RSA_2048"
    assert verb_name([sign, unwrap]) == "batch-16 mixed"


async def test_an_item_whose_key_nobody_holds_does_not_keep_the_others_waiting(trio, patient):
    held = mac_key_on(trio.hsms[2])
    lost = held._replace(key_id=HsmKeyId(bytes(16)))
    deadline = in_s(300)
    for _ in range(2):
        answers = await patient.batch([BatchMac(held, b"m"), BatchMac(lost, b"m")], deadline=deadline)
        assert isinstance(answers[0], bytes)
        assert isinstance(answers[1], NoMemberError)
    assert deadline.remaining_s() > 100
    (alone,) = await patient.batch([BatchMac(lost, b"m")], deadline=deadline)
    assert isinstance(alone, NoMemberError)


async def test_members_that_do_not_hold_a_key_are_not_asked_for_it_again_at_once(trio, patient):
    held = mac_key_on(trio.hsms[2])
    for _ in range(5):
        await patient.batch([BatchMac(held, b"m")], deadline=in_s(60))
    before = performed(trio)
    for _ in range(5):
        await patient.batch([BatchMac(held, b"m")], deadline=in_s(60))
    assert performed(trio) == [before[0], before[1], before[2] + 5]
