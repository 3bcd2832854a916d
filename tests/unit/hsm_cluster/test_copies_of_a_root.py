"""Roots are copied by trusted wrapping through real admin sockets, and copies are proved."""

from contextlib import AsyncExitStack

import pytest

from strongroom.core import (
    ApprovalRequiredError,
    ClosedGate,
    Deadline,
    HsmError,
    HsmIntegrityError,
    HsmRequestError,
    SystemClock,
    WrapAlgorithm,
)
from strongroom.hsm.cluster import (
    Canary,
    ImportKey,
    RemoteAdmin,
    copy_root,
    exchange_import_keys,
    fingerprint,
    generate_root,
    make_canary,
    prove_canary,
    prove_same_root,
)
from strongroom.hsm.wire import KeyCheck, WireClient
from strongroom.testing import FakeHsm, FakeMember
from worker_in_process import running_worker

GCM = WrapAlgorithm.HSM_AES_GCM


def soon():
    return Deadline.after(SystemClock(), 10)


class Altered:
    """An admin door with one verb replaced."""

    def __init__(self, door, **verbs):
        self._door = door
        self.__dict__.update(verbs)

    def __getattr__(self, name):
        return getattr(self._door, name)


@pytest.fixture
async def doors_of(tmp_path):
    async with AsyncExitStack() as stack:

        async def open_doors(*hsms, gate=None):
            doors = []
            for hsm in hsms:
                worker = await stack.enter_async_context(running_worker(hsm, tmp_path, gate=gate))
                client = await WireClient.connect(worker.admin_path)
                doors.append(RemoteAdmin(hsm.name, client, timeout_s=20))
                stack.callback(doors[-1].close)
            return doors

        yield open_doors


@pytest.fixture
def hsms():
    return [FakeHsm("alpha"), FakeHsm("beta")]


async def test_a_root_is_made_copied_and_proved(hsms, doors_of):
    doors = await doors_of(*hsms)
    alpha, beta = doors
    keys = await exchange_import_keys(doors, doors)
    root_id, check = await generate_root(alpha, "root")
    await copy_root(root_id, "root", check, source=alpha, target=beta, target_key=keys["beta"])

    left, right = map(FakeMember, hsms)
    await prove_same_root(root_id, left, right, deadline=soon())
    canary = await make_canary(root_id, left, algorithm=GCM, deadline=soon())
    await prove_canary(root_id, canary, right, deadline=soon())
    assert {key.fingerprint for key in keys.values()} == {fingerprint(key.spki_der) for key in keys.values()}
    assert keys["alpha"].cka_id != keys["beta"].cka_id


async def test_a_copy_with_another_check_value_is_refused(hsms, doors_of):
    doors = await doors_of(*hsms)
    alpha, beta = doors
    keys = await exchange_import_keys(doors, doors)
    root_id, check = await generate_root(alpha, "root")

    async def unwrap_in_root(*arguments):
        return KeyCheck("CKA_CHECK_VALUE", "000000")

    with pytest.raises(HsmIntegrityError, match="arrived on beta with another key check value"):
        await copy_root(
            root_id,
            "root",
            check,
            source=alpha,
            target=Altered(beta, unwrap_in_root=unwrap_in_root),
            target_key=keys["beta"],
        )


async def test_a_root_does_not_leave_under_a_key_that_nobody_trusted(hsms, doors_of):
    alpha, beta = await doors_of(*hsms)
    root_id, check = await generate_root(alpha, "root")
    spki_der = await beta.generate_import_pair(b"pair", "import-beta")
    key = ImportKey(b"pair", spki_der, fingerprint(spki_der))
    with pytest.raises(HsmRequestError, match="not trusted"):
        await copy_root(root_id, "root", check, source=alpha, target=beta, target_key=key)
    assert [held.object_class for held in hsms[1].objects()] == ["public_key", "private_key"]


async def test_nobody_copies_to_itself(hsms, doors_of):
    alpha, _ = await doors_of(*hsms)
    key = ImportKey(b"pair", b"", "")
    with pytest.raises(HsmError, match="source and target"):
        await copy_root(b"r" * 16, "root", KeyCheck("", ""), source=alpha, target=alpha, target_key=key)


async def test_a_closed_gate_refuses_through_the_socket(hsms, doors_of):
    alpha, _ = await doors_of(*hsms, gate=ClosedGate())
    with pytest.raises(ApprovalRequiredError):
        await generate_root(alpha, "root")
    assert hsms[0].objects() == []


async def test_two_members_with_the_same_root_pass_and_with_different_ones_do_not(hsms):
    alpha, beta = hsms
    root_id = alpha.make_root()
    alpha.copy_root_to(beta, root_id)
    members = [FakeMember(hsm) for hsm in hsms]
    await prove_same_root(root_id, *members, deadline=soon())
    beta.forget_root(root_id)
    beta.generate_root(root_id, "an impostor")
    with pytest.raises(HsmIntegrityError):
        await prove_same_root(root_id, *members, deadline=soon())


@pytest.mark.parametrize("drifted", [0, 1])
async def test_a_member_that_works_with_another_key_than_it_says_is_found_out(hsms, drifted):
    root_id = hsms[0].make_root()
    hsms[0].copy_root_to(hsms[1], root_id)
    canary = await make_canary(root_id, FakeMember(hsms[drifted]), algorithm=GCM, deadline=soon())
    hsms[drifted].faults.wrong_key = True
    with pytest.raises(HsmIntegrityError):
        await prove_same_root(root_id, *map(FakeMember, hsms), deadline=soon())
    with pytest.raises(HsmIntegrityError):
        await prove_canary(root_id, canary, FakeMember(hsms[drifted]), deadline=soon())


async def test_a_member_that_opens_a_canary_to_something_else_is_found_out(hsms):
    alpha = FakeMember(hsms[0])
    root_id = hsms[0].make_root()
    canary = await make_canary(root_id, alpha, algorithm=GCM, deadline=soon())
    await prove_canary(root_id, canary, alpha, deadline=soon())
    with pytest.raises(HsmIntegrityError, match="holds another key"):
        await prove_canary(root_id, Canary(canary.blob, bytes(32)), alpha, deadline=soon())


async def test_a_canary_proves_its_own_root_only(hsms):
    alpha = FakeMember(hsms[0])
    first, second = hsms[0].make_root(), hsms[0].make_root()
    canary = await make_canary(first, alpha, algorithm=GCM, deadline=soon())
    with pytest.raises(HsmIntegrityError):
        await prove_canary(second, canary, alpha, deadline=soon())
