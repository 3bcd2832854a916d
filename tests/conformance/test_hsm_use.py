"""One suite for ``core.HsmUse``: whatever implements it keeps the same promises, fakes and the real thing alike.

``softhsm`` is a spawned ``strongroom.runtime.member`` on a real SoftHSM token, as ``serve`` runs it.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
import pytest_asyncio

from running_service import copy_home
from strongroom.config import load_config, read_pin
from strongroom.core import (
    Deadline,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    HsmUse,
    MemberDeadlineError,
    NoMemberError,
    RootId,
    Secret,
    SystemClock,
    WrapAlgorithm,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.cluster import HsmCluster, RemoteMember
from strongroom.storage import ReadOnlyStore
from strongroom.testing import FakeMember, RecordingEvents
from strongroom.wiring.workers import member_bootstrap, member_environment, start_member
from tries import Tries
from worker_in_process import running_worker, table, three_hsms

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY, AAD = Secret(bytes(range(32))), b"domain 1, version 1"
UNKNOWN_ROOT = RootId(b"\xee" * 16)
LENGTHS = [1, 2, 15, 16, 17, 31, 32, 33, 64, 255, 256, 1000, 4095, 4096]


class Subject(NamedTuple):
    """An implementation, the root that it holds, and what its errors are."""

    use: HsmUse
    root_id: RootId
    stop_answering: Callable[[], None]
    answer_again: Callable[[], None]
    deadline_error: type[HsmError] = MemberDeadlineError
    no_root_error: type[HsmError] = HsmKeyNotFoundError


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")


@module_fixture
async def fake_member():
    (hsm, *_), root_id = three_hsms()
    yield Subject(FakeMember(hsm), root_id, hsm.faults.hang, hsm.faults.release)


@module_fixture
async def remote_member(tmp_path_factory):
    (hsm, *_), root_id = three_hsms()
    async with running_worker(hsm, tmp_path_factory.mktemp("remote")) as worker:
        member = RemoteMember(hsm.name, str(worker.use_path))
        with contextlib.closing(member):
            yield Subject(member, root_id, hsm.faults.hang, hsm.faults.release)


@module_fixture
async def cluster_of_two(tmp_path_factory):
    (*hsms, _), root_id = three_hsms()
    folder = tmp_path_factory.mktemp("cluster")
    cluster = HsmCluster(
        clock=SystemClock(), events=RecordingEvents(), attempt_s=5.0, report=lambda suspicion: None
    )
    async with AsyncExitStack() as stack:
        stack.callback(cluster.close)
        workers = [await stack.enter_async_context(running_worker(hsm, folder)) for hsm in hsms]
        cluster.apply(table(1, *workers))
        yield Subject(
            cluster,
            root_id,
            lambda: [hsm.faults.hang() for hsm in hsms],
            lambda: [hsm.faults.release() for hsm in hsms],
            NoMemberError,
            NoMemberError,
        )


@module_fixture
async def softhsm(initialised_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("softhsm")
    home = copy_home(initialised_home, folder / "home")
    with ReadOnlyStore.open(home.database) as store:
        root_id = RootId(store.list_roots()[0].root_id)
    config = load_config(home.root).cluster.members[0]
    bootstrap = member_bootstrap(
        config,
        home,
        "serve",
        pin=read_pin(config.pin, home.root).reveal(),
        sockets=folder,
        generation=1,
    )
    child = await start_member(bootstrap, member_environment(config, home))
    member = RemoteMember(config.name, bootstrap.use_path)
    try:
        yield Subject(
            member, root_id, lambda: child.signal(signal.SIGSTOP), lambda: child.signal(signal.SIGCONT)
        )
    finally:
        member.close()
        await child.kill()


@pytest.fixture(
    params=[
        "fake_member",
        "remote_member",
        "cluster_of_two",
        pytest.param("softhsm", marks=pytest.mark.softhsm),
    ]
)
def subject(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def wrap(subject):
    def wrap(key=KEY, aad=AAD, *, root_id=subject.root_id):
        return subject.use.wrap(root_id, key, aad, deadline=in_s(10))

    return wrap


@pytest.fixture
def unwrap(subject):
    def unwrap(wrapped, aad=AAD, *, root_id=subject.root_id):
        return subject.use.unwrap(root_id, wrapped, aad, deadline=in_s(10))

    return unwrap


async def test_what_was_wrapped_unwraps_whatever_its_length(wrap, unwrap):
    for length in LENGTHS:
        key = Secret(random_bytes(length))
        wrapped = await wrap(key)
        assert len(wrapped.ciphertext) == length
        opened = await unwrap(wrapped)
        assert isinstance(opened, Secret)
        assert opened.matches(key)


@pytest.mark.parametrize("aad_len", [0, 1, 16, 1000, 8192])
async def test_aad_of_any_length_is_taken(wrap, unwrap, aad_len):
    aad = random_bytes(aad_len)
    assert (await unwrap(await wrap(aad=aad), aad)).matches(KEY)


async def test_every_wrap_has_an_iv_of_its_own_and_the_shape_of_the_format(wrap):
    made = await asyncio.gather(*[wrap() for _ in range(50)])
    assert {wrapped.algorithm for wrapped in made} == {WrapAlgorithm.HSM_AES_GCM}
    assert {(len(wrapped.iv), len(wrapped.ciphertext), len(wrapped.tag)) for wrapped in made} == {
        (12, 32, 16)
    }
    assert len({wrapped.iv for wrapped in made}) == len({wrapped.ciphertext for wrapped in made}) == 50


@pytest.mark.parametrize("other", [b"", AAD[:-1], AAD + b"\0", AAD.upper()])
async def test_another_aad_does_not_open_it(wrap, unwrap, other):
    wrapped = await wrap()
    with pytest.raises(HsmIntegrityError):
        await unwrap(wrapped, other)
    assert (await unwrap(wrapped)).matches(KEY)


@pytest.mark.parametrize("field", ["iv", "ciphertext", "tag"])
@pytest.mark.parametrize("where", [0, -1])
async def test_one_changed_bit_is_an_integrity_error(wrap, unwrap, field, where):
    wrapped = await wrap()
    value = bytearray(getattr(wrapped, field))
    value[where] ^= 0x80 if where else 1
    with pytest.raises(HsmIntegrityError):
        await unwrap(wrapped._replace(**{field: bytes(value)}))
    assert (await unwrap(wrapped)).matches(KEY)


async def test_a_shortened_and_a_lengthened_ciphertext_are_integrity_errors(wrap, unwrap):
    wrapped = await wrap()
    for ciphertext in (wrapped.ciphertext[:-1], wrapped.ciphertext + b"\0"):
        with pytest.raises(HsmIntegrityError):
            await unwrap(wrapped._replace(ciphertext=ciphertext))


async def test_a_root_that_is_not_there_is_told_as_such(subject, wrap):
    wrapped = await wrap()
    for call in (
        lambda deadline: subject.use.wrap(UNKNOWN_ROOT, KEY, AAD, deadline=deadline),
        lambda deadline: subject.use.unwrap(UNKNOWN_ROOT, wrapped, AAD, deadline=deadline),
    ):
        with pytest.raises(subject.no_root_error) as caught:
            await call(in_s(0.5))
        assert isinstance(caught.value, HsmKeyNotFoundError) or isinstance(
            caught.value.__cause__, HsmKeyNotFoundError
        )


@pytest.mark.parametrize(
    ("key_len", "aad_len", "root_id_len"),
    [(0, 0, 16), (4097, 0, 16), (32, 8193, 16), (32, 0, 0), (32, 0, 15), (32, 0, 17)],
)
async def test_wrapping_lengths_out_of_range_are_a_wrong_request(wrap, key_len, aad_len, root_id_len):
    with pytest.raises(HsmRequestError):
        await wrap(Secret(bytes(key_len)), bytes(aad_len), root_id=RootId(bytes(root_id_len)))


GOOD = WrappedBytes(WrapAlgorithm.HSM_AES_GCM, bytes(12), bytes(32), bytes(16))


@pytest.mark.parametrize(
    "wrapped",
    [
        GOOD._replace(iv=b""),
        GOOD._replace(iv=bytes(11)),
        GOOD._replace(iv=bytes(13)),
        GOOD._replace(tag=b""),
        GOOD._replace(tag=bytes(15)),
        GOOD._replace(tag=bytes(17)),
        GOOD._replace(ciphertext=b""),
        GOOD._replace(ciphertext=bytes(4097)),
        GOOD._replace(algorithm=WrapAlgorithm.XAES_256_GCM),
    ],
)
async def test_what_no_wrap_made_is_a_wrong_request(unwrap, wrapped):
    with pytest.raises(HsmRequestError) as caught:
        await unwrap(wrapped)
    assert not isinstance(caught.value, HsmIntegrityError)


@pytest.mark.parametrize("n_bytes", [1, 32, 1024])
async def test_random_bytes_come_in_the_length_asked_for(subject, n_bytes):
    made = await subject.use.random(n_bytes, deadline=in_s(10))
    assert isinstance(made, Secret)
    assert len(made) == n_bytes


async def test_random_bytes_differ(subject):
    made = await asyncio.gather(*[subject.use.random(16, deadline=in_s(10)) for _ in range(50)])
    assert len({secret.reveal() for secret in made}) == 50


@pytest.mark.parametrize("n_bytes", [-1, 0, 1025, 2**40])
async def test_random_lengths_out_of_range_are_a_wrong_request(subject, n_bytes):
    with pytest.raises(HsmRequestError):
        await subject.use.random(n_bytes, deadline=in_s(10))


async def test_a_deadline_that_has_passed_ends_the_call_at_once(subject):
    tries = Tries(1)
    for _ in tries:
        with tries.timed(), pytest.raises(subject.deadline_error):
            await subject.use.random(8, deadline=in_s(-1))


async def test_an_hsm_that_does_not_answer_costs_no_more_than_the_deadline(subject, wrap, unwrap):
    await wrap()
    subject.stop_answering()
    tries = Tries(1.5)
    try:
        for _ in tries:
            with tries.timed(), pytest.raises(subject.deadline_error):
                await subject.use.wrap(subject.root_id, KEY, AAD, deadline=in_s(0.2))
        assert min(tries.took_s) > 0.15
    finally:
        subject.answer_again()
    assert (await unwrap(await wrap())).matches(KEY)


async def test_many_calls_at_once_each_get_their_own_answer(wrap, unwrap):
    keys = [Secret(random_bytes(1 + n % 100)) for n in range(200)]
    wrapped = await asyncio.gather(*[wrap(key, b"%d" % n) for n, key in enumerate(keys)])
    opened = await asyncio.gather(*[unwrap(made, b"%d" % n) for n, made in enumerate(wrapped)])
    assert all(found.matches(key) for found, key in zip(opened, keys, strict=True))
