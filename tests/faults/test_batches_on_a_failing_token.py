"""A batch through a real worker on SoftHSM behind the fault shim: faults in its middle cost at most the item they strike."""

import contextlib
import time
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from faults.fault_shim import FaultShim
from faults.shimmed_members import shimmed_members
from strongroom.core import (
    BatchUnwrap,
    Deadline,
    HsmIntegrityError,
    MemberDeadlineError,
    RootId,
    Secret,
    SystemClock,
)
from strongroom.hsm.cluster import RemoteAdmin, RemoteMember
from strongroom.hsm.wire import WireClient

pytestmark = [pytest.mark.softhsm, pytest.mark.asyncio(loop_scope="module")]

ROOT, AAD = RootId(b"the root's name."), b"domain 1, version 1"
N_ITEMS = 12
LONG = 30.0


class Struck(NamedTuple):
    """A member that fails on command, and what a batch is to open."""

    member: RemoteMember
    shim: FaultShim
    secrets: list[Secret]
    items: list[BatchUnwrap]

    async def batch(self, items: Any = None, *, within_s: float = LONG) -> list[Any]:
        deadline = Deadline.after(SystemClock(), within_s)
        return list(await self.member.batch(items or self.items, deadline=deadline))

    def opened(self, answers: list[Any]) -> bool:
        return all(answer.matches(secret) for answer, secret in zip(answers, self.secrets, strict=True))


@pytest.fixture(scope="module")
def shimmed(tmp_path_factory):
    with shimmed_members(tmp_path_factory.mktemp("batches"), ("alpha",)) as (member,):
        yield member


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(shimmed):
    bootstrap = shimmed.bootstrap("administer", 1)
    child = await shimmed.start(bootstrap)
    member = RemoteMember(shimmed.name, bootstrap.use_path)
    try:
        admin = RemoteAdmin(shimmed.name, await WireClient.connect(bootstrap.admin_path), timeout_s=60)
        with contextlib.closing(admin):
            await admin.generate_root(ROOT, "root")
        secrets = [Secret(b"%032d" % number) for number in range(N_ITEMS)]
        deadline = Deadline.after(SystemClock(), LONG)
        items = [
            BatchUnwrap(ROOT, await member.wrap(ROOT, secret, AAD, deadline=deadline), AAD)
            for secret in secrets
        ]
        yield Struck(member, shimmed.shim, secrets, items)
    finally:
        shimmed.shim.heal()
        member.close()
        await child.kill()


@pytest.fixture
def struck(running):
    yield running
    running.shim.heal()


@pytest.mark.parametrize("function", ["C_DecryptInit", "C_Decrypt"])
@pytest.mark.parametrize(
    "code",
    [
        "CKR_SESSION_HANDLE_INVALID",
        "CKR_SESSION_CLOSED",
        "CKR_OPERATION_ACTIVE",
        "CKR_KEY_HANDLE_INVALID",
        "CKR_GENERAL_ERROR",
        "CKR_FUNCTION_FAILED",
        "CKR_DEVICE_ERROR",
        "CKR_DEVICE_MEMORY",
        "CKR_DATA_LEN_RANGE",
        "CKR_USER_NOT_LOGGED_IN",
    ],
)
async def test_one_failure_in_the_middle_is_healed_and_that_item_alone_is_done_again(struck, function, code):
    struck.shim.fail(function, code, first=5, last=5)
    before = struck.shim.calls(function)
    assert struck.opened(await struck.batch())
    assert struck.shim.calls(function) == before + N_ITEMS + 1


async def test_every_session_of_the_token_dies_in_the_middle(struck):
    struck.shim.fail("C_Decrypt", "CKR_SESSION_HANDLE_INVALID", first=4, last=4)
    struck.shim.fail("C_GetSessionInfo", "CKR_SESSION_HANDLE_INVALID", last=1)
    opened = struck.shim.calls("C_OpenSession")
    assert struck.opened(await struck.batch())
    assert struck.shim.calls("C_OpenSession") > opened


async def test_a_login_that_is_lost_before_a_batch_is_restored_within_it(struck):
    struck.shim.log_out()
    assert struck.opened(await struck.batch())


async def test_a_token_whose_link_was_cut_is_found_again_within_the_batch(struck):
    struck.shim.cut_link()
    assert struck.opened(await struck.batch())


async def test_tampered_items_spoil_nothing_but_themselves(struck):
    items = [
        item._replace(aad=b"another") if place % 5 == 2 else item for place, item in enumerate(struck.items)
    ]
    for place, answer in enumerate(await struck.batch(items)):
        if place % 5 == 2:
            assert isinstance(answer, HsmIntegrityError)
        else:
            assert answer.matches(struck.secrets[place])
    assert struck.opened(await struck.batch())


async def test_an_item_that_hangs_in_the_library_costs_itself_and_those_behind_it(struck):
    hang = struck.shim.hang("C_Decrypt", first=5, last=5)
    began = time.monotonic()
    answers = await struck.batch(within_s=2.0)
    assert time.monotonic() - began < 7
    assert [answer.matches(secret) for answer, secret in zip(answers[:4], struck.secrets, strict=False)] == [
        True
    ] * 4
    assert [type(answer) for answer in answers[4:]] == [MemberDeadlineError] * (N_ITEMS - 4)
    hang.lift()
    assert struck.opened(await struck.batch())
