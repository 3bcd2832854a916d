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
    MemberFailedError,
    SystemClock,
    WrapAlgorithm,
)
from strongroom.hsm.cluster import (
    Canary,
    ImportKey,
    RemoteAdmin,
    copy_root,
    exchanged_import_keys,
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


def classes(hsm):
    return [held.object_class for held in hsm.objects()]


async def test_a_root_is_made_copied_and_proved(hsms, doors_of):
    doors = await doors_of(*hsms)
    alpha, beta = doors
    async with exchanged_import_keys(doors, doors) as keys:
        root_id, check = await generate_root(alpha, "root")
        await copy_root(root_id, "root", check, source=alpha, target=beta, target_key=keys["beta"])

    left, right = map(FakeMember, hsms)
    await prove_same_root(root_id, left, right, deadline=soon())
    canary = await make_canary(root_id, left, algorithm=GCM, deadline=soon())
    await prove_canary(root_id, canary, right, deadline=soon())
    assert {key.fingerprint for key in keys.values()} == {fingerprint(key.spki_der) for key in keys.values()}
    assert keys["alpha"].cka_id != keys["beta"].cka_id


async def test_after_the_copying_nothing_is_left_but_the_root_and_nobody_can_copy_it_again(hsms, doors_of):
    doors = await doors_of(*hsms)
    alpha, beta = doors
    async with exchanged_import_keys(doors, doors) as keys:
        assert [sorted(classes(hsm)) for hsm in hsms] == [["private_key", "public_key", "public_key"]] * 2
        root_id, check = await generate_root(alpha, "root")
        wrapped = await alpha.wrap_out_root(root_id, keys["beta"].cka_id)
        await beta.unwrap_in_root(root_id, "root", keys["beta"].cka_id, wrapped, check)
    assert [classes(hsm) for hsm in hsms] == [["secret_key"]] * 2
    with pytest.raises(HsmError):
        await alpha.wrap_out_root(root_id, keys["beta"].cka_id)
    with pytest.raises(HsmError):
        await beta.unwrap_in_root(b"n" * 16, "root", keys["beta"].cka_id, wrapped, check)


async def test_each_copying_makes_keys_of_its_own(hsms, doors_of):
    doors = await doors_of(*hsms)
    seen = []
    for _ in range(2):
        async with exchanged_import_keys(doors, doors) as keys:
            seen += [key.fingerprint for key in keys.values()]
    assert len(set(seen)) == 4


async def test_a_copying_that_fails_leaves_no_import_keys_either(hsms, doors_of):
    doors = await doors_of(*hsms)
    with pytest.raises(ZeroDivisionError):
        async with exchanged_import_keys(doors, doors):
            raise ZeroDivisionError
    assert [classes(hsm) for hsm in hsms] == [[], []]


@pytest.mark.parametrize("happened", [False, True], ids=["lost", "happened"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("verb", ["generate_import_pair", "import_trusted_public"])
async def test_an_exchange_that_fails_half_way_leaves_nothing(hsms, doors_of, verb, which, happened):
    doors = await doors_of(*hsms)

    async def fail(*arguments):
        if happened:
            await getattr(doors[which], verb)(*arguments)
        raise MemberFailedError("no answer")

    failing = [Altered(door, **{verb: fail}) if door is doors[which] else door for door in doors]
    with pytest.raises(MemberFailedError, match="no answer"):
        async with exchanged_import_keys(failing, failing):
            raise AssertionError("nothing may be copied")
    assert [classes(hsm) for hsm in hsms] == [[], []]


async def test_a_key_that_may_still_be_there_is_an_error_and_the_others_are_destroyed_all_the_same(
    hsms, doors_of
):
    doors = await doors_of(*hsms)

    async def destroy_trusted_public(cka_id):
        raise MemberFailedError("it did not answer")

    officers = [doors[0], Altered(doors[1], destroy_trusted_public=destroy_trusted_public)]
    with pytest.raises(MemberFailedError, match="did not answer"):
        async with exchanged_import_keys(doors, officers):
            pass
    assert [classes(hsm) for hsm in hsms] == [[], ["public_key"]]


async def test_a_root_that_arrives_with_another_check_value_is_not_kept(hsms, doors_of):
    doors = await doors_of(*hsms)
    alpha, beta = doors
    async with exchanged_import_keys(doors, doors) as keys:
        root_id, check = await generate_root(alpha, "root")
        other = KeyCheck(check.kind, "000000" if check.value != "000000" else "000001")
        with pytest.raises(HsmIntegrityError):
            await copy_root(root_id, "root", other, source=alpha, target=beta, target_key=keys["beta"])
        await copy_root(root_id, "root", check, source=alpha, target=beta, target_key=keys["beta"])


async def test_a_target_that_answers_with_another_check_value_is_not_believed(hsms, doors_of):
    doors = await doors_of(*hsms)
    alpha, beta = doors

    async def unwrap_in_root(*arguments):
        return KeyCheck("CKA_CHECK_VALUE", "000000")

    altered = Altered(beta, unwrap_in_root=unwrap_in_root)
    async with exchanged_import_keys(doors, doors) as keys:
        root_id, check = await generate_root(alpha, "root")
        with pytest.raises(HsmIntegrityError, match="arrived on beta with another key check value"):
            await copy_root(root_id, "root", check, source=alpha, target=altered, target_key=keys["beta"])


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
