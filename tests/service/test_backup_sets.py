"""Backup sets in real homes of SoftHSM members: made, opened on a blank token, interrupted and retired."""

import contextlib

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from backup_sets import PEOPLE, Custodians, make_set, take_out
from running_service import copy_home
from strongroom.backup import WrongSetError, read_set, sealed_set, set_seal_key
from strongroom.config import load_config
from strongroom.core import (
    ConfigError,
    Deadline,
    HsmIntegrityError,
    RootId,
    Secret,
    SystemClock,
    is_backup_transport,
)
from strongroom.hsm.cluster import Canary, prove_use
from strongroom.shares import SharePlanError, TooFewSharesError
from strongroom.storage import BackupSetState, HsmKeyState, ReadOnlyStore, Store
from strongroom.testing import RecordingEvents
from strongroom.wiring.backup_ending import wrap_algorithm_of
from strongroom.wiring.backup_opening import open_backup
from strongroom.wiring.backup_set import abandon_unfinished_sets, retire_backup_set
from strongroom.wiring.cluster_setup import open_doors
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.throwaway_member import throwaway_member

pytestmark = pytest.mark.softhsm


@pytest.fixture
def home(initialised_home, tmp_path):
    return copy_home(initialised_home, tmp_path / "home")


@contextlib.asynccontextmanager
async def users_of(home):
    """Workers of every member, logged in as user."""
    with ReadOnlyStore.open(home.database) as store:
        algorithm = wrap_algorithm_of(store)
    members = load_config(home.root).cluster.members
    async with open_doors(home, members, algorithm, restore_runtime_folder(home), as_officers=False) as doors:
        yield doors


async def backup_objects(home):
    """The labels of what members hold of backup sets."""
    async with users_of(home) as doors:
        return [
            entry.label
            for user in doors.users
            for entry in await user.list_objects()
            if is_backup_transport(entry.cka_id)
        ]


def sets_of(home):
    with ReadOnlyStore.open(home.database) as store:
        return store.list_backup_sets()


async def test_three_of_five_open_on_a_blank_token_what_a_member_took_out(home, tmp_path):
    custodians = Custodians()
    backup_set = await make_set(home, custodians)
    assert (backup_set.threshold, backup_set.count, backup_set.origin) == (3, 5, "softhsm")
    assert [one.member for one in backup_set.transports] == ["alpha", "beta"]
    (record,) = sets_of(home)
    assert (record.state, read_set(record.document)) == (BackupSetState.ACTIVE, backup_set)
    async with users_of(home) as doors:
        out = await take_out(doors.users[1], home, backup_set)
    with ReadOnlyStore.open(home.database) as store:
        (root,) = store.list_roots()
        (signing,) = store.list_hsm_keys(HsmKeyState.ACTIVE)
        assert {copy.member for copy in store.list_held_hsm_key_copies()} == {"alpha", "beta"}
    assert [key.key_id.hex() for key, _, _ in out.keys] == [backup_set.signing_key.cka_id]
    with pytest.raises(TooFewSharesError):
        custodians.share_key(*PEOPLE[:2])
    (tmp_path / "blank").mkdir()
    async with throwaway_member(tmp_path / "blank") as blank:
        share_key = custodians.share_key("bob", "eve", "ann")
        async with open_backup(blank.admin, backup_set, share_key, member="beta") as opened:
            share_key.zeroize()
            for root_id, check, wrapped in out.roots:
                await opened.take_root(root_id, "root", wrapped=wrapped, check=check)
            for key, spki, wrapped in out.keys:
                await opened.take_key(key, "k", wrapped=wrapped, spki_der=spki)
        deadline = Deadline.after(SystemClock(), 30)
        await prove_use(
            RootId(root.root_id), Canary(root.canary, root.canary_digest), blank.use, deadline=deadline
        )
        held = {entry.cka_id for entry in await blank.admin.list_objects()}
        assert held == {root.root_id, signing.key_id}
        await _refusals(blank.admin, backup_set, custodians)
        assert {entry.cka_id for entry in await blank.admin.list_objects()} == held


async def _refusals(door, backup_set, custodians):
    other = Secret(bytes(32))
    with pytest.raises(WrongSetError):
        async with open_backup(door, backup_set, other, member="beta"):
            pass
    share_key = custodians.share_key(*PEOPLE[2:])
    for changed in (
        msgspec.structs.replace(backup_set, spki=backup_set.spki[:-1] + b"\0"),
        msgspec.structs.replace(backup_set, wrapped_private=bytes(8) + backup_set.wrapped_private[8:]),
    ):
        with pytest.raises(HsmIntegrityError):
            async with open_backup(door, resealed(changed, share_key), share_key, member="beta"):
                pass
    with pytest.raises(WrongSetError, match="changed after the ceremony"):
        async with open_backup(door, with_other_transports(backup_set), share_key, member="beta"):
            pass


def resealed(backup_set, share_key):
    """As somebody would write it who has the share key."""
    return sealed_set(backup_set, set_seal_key(share_key))


def with_other_transports(backup_set):
    """A document as anybody can make it who has the true one: the pair of the set, and transport keys of their own."""
    public = serialization.load_der_public_key(backup_set.spki)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303  # as SoftHSM does it
    transports = tuple(
        msgspec.structs.replace(
            one,
            keys=tuple(
                msgspec.structs.replace(key, wrapped=public.encrypt(bytes(32), oaep)) for key in one.keys
            ),
        )
        for one in backup_set.transports
    )
    return msgspec.structs.replace(backup_set, transports=transports)


@pytest.mark.slow
async def test_a_set_that_is_interrupted_while_shares_are_given_is_abandoned_and_leaves_nothing(home):
    class PowerCutError(Exception):
        pass

    custodians = Custodians()

    async def give(given):
        if given.share.index == 3:
            raise PowerCutError
        return await custodians.take(given)

    with pytest.raises(PowerCutError):
        await make_set(home, custodians, give=give)
    assert [one.state for one in sets_of(home)] == [BackupSetState.ABANDONED]
    assert await backup_objects(home) == []
    with ReadOnlyStore.open(home.database) as store:
        assert store.list_hsm_keys(HsmKeyState.ACTIVE) == []
        assert store.list_backup_transport_keys() == []


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_it_can_be_cut_off_at_every_step_and_is_whole_or_gone(home, monkeypatch):
    """As by kill -9: nothing of ours runs any more after the step."""

    class CutOffError(Exception):
        pass

    async def killed(*_parts, **_more):
        return None

    monkeypatch.setattr("strongroom.wiring.backup_set.give_up_set", killed)
    steps = []
    await make_set(home, Custodians(), progress=steps.append)
    assert len(steps) > 9
    for last in range(len(steps) - 1):
        left = iter(range(last))

        def until_the_last(step, left=left):
            if next(left, None) is None:
                raise CutOffError(step)

        with pytest.raises(CutOffError):
            await make_set(home, Custodians(), progress=until_the_last)
    with contextlib.closing(Store.open(home.database)) as store:
        parts = {
            "store": store, "events": RecordingEvents(), "clock": SystemClock(), "progress": lambda step: None,
        }  # fmt: skip
        assert len(await abandon_unfinished_sets(home, **parts)) == 1
        assert await abandon_unfinished_sets(home, **parts) == []
    assert [one.state for one in sets_of(home)].count(BackupSetState.ACTIVE) == 1
    assert len(await backup_objects(home)) == 10
    with ReadOnlyStore.open(home.database) as store:
        assert len(store.list_backup_transport_keys()) == 10
        assert len(store.list_hsm_keys(HsmKeyState.ACTIVE)) == 1


@pytest.mark.slow
async def test_what_a_killed_making_left_is_destroyed_by_the_next_one_and_a_retired_set_leaves_nothing(
    home, monkeypatch
):
    async def killed(*_parts, **_more):
        return None

    with monkeypatch.context() as patched:
        patched.setattr("strongroom.wiring.backup_set.give_up_set", killed)

        async def give(_given):
            raise ConfigError("killed")

        with pytest.raises(ConfigError, match="killed"):
            await make_set(home, Custodians(), give=give)
    assert len(await backup_objects(home)) == 10
    steps = []
    backup_set = await make_set(home, Custodians(), progress=steps.append)
    assert any("whose making was interrupted" in step for step in steps)
    assert sorted(one.state for one in sets_of(home)) == [BackupSetState.ABANDONED, BackupSetState.ACTIVE]
    assert sorted(set(await backup_objects(home))) == [
        "backup-alpha-aes",
        "backup-alpha-ec",
        "backup-alpha-edwards",
        "backup-alpha-mac",
        "backup-alpha-rsa",
        *(f"backup-beta-{kind}" for kind in ("aes", "ec", "edwards", "mac", "rsa")),
    ]
    with contextlib.closing(Store.open(home.database)) as store:
        for _ in range(2):
            retired = await retire_backup_set(
                home,
                bytes.fromhex(backup_set.set_id),
                store=store,
                clock=SystemClock(),
                progress=steps.append,
            )
            assert retired.state is BackupSetState.RETIRED
        with pytest.raises(ConfigError, match="no backup set"):
            await retire_backup_set(home, bytes(16), store=store, clock=SystemClock(), progress=steps.append)
    assert await backup_objects(home) == []


async def test_nothing_is_begun_for_a_plan_that_cannot_be_or_without_every_security_officer(home):
    for threshold, people in ((1, PEOPLE), (6, PEOPLE), (2, PEOPLE[:1])):
        with pytest.raises(SharePlanError):
            await make_set(home, Custodians(), threshold=threshold, people=people)
    (home.pins / "beta-so").unlink()
    with pytest.raises(ConfigError, match="beta-so"):
        await make_set(home, Custodians())
    assert sets_of(home) == []
