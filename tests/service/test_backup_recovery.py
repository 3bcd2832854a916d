"""Everything is lost but a bundle and shares: two of them open nothing, each three of five give the root back, and old ciphertext opens."""

import asyncio
import contextlib
import itertools
import os
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from shamir_mnemonic import combine_mnemonics

from running_service import RunningService, copy_home
from service.test_members_add import objects_of
from strongroom.backup import (
    BackupError,
    BackupSet,
    SetCustodian,
    WrongSetError,
    share_key_check,
    verify_bundle,
)
from strongroom.config import Home, MemberConfig, load_config, read_pin
from strongroom.core import Deadline, HsmError, RootId, Secret, SystemClock, WrapAlgorithm
from strongroom.hsm.cluster import Canary, RemoteKeys, RemoteMember, prove_canary
from strongroom.hsm.wire import KeyCheck
from strongroom.shares import TooFewSharesError, combine, possession_public_key, read_share
from strongroom.storage import Store
from strongroom.testing import RecordingEvents
from strongroom.wiring.backup_door import BackupRequest, ask_backups
from strongroom.wiring.backup_ending import retire_backup_set
from strongroom.wiring.backup_opening import open_backup
from strongroom.wiring.backup_set import make_backup_set
from strongroom.wiring.custodian_reshare import read_old_sets
from strongroom.wiring.custodian_status import custodian_alarms, read_set_status
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.workers import admin_worker, member_bootstrap, member_environment

pytestmark = [pytest.mark.softhsm, pytest.mark.timeout(900)]

CLOCK = SystemClock()
CUSTODIANS = ["kai", "kim", "kurt", "kate", "knut"]


class Backed(NamedTuple):
    """What is left after the loss."""

    home: Home
    backup_set: BackupSet
    bundle: Path
    sheets: list[str]
    """The words of the five shares."""
    key_id: str
    sealed: bytes


async def made_set(home: Home, sheets: list[str], people: list[str], threshold: int) -> BackupSet:
    """Make a set; its shares come into ``sheets``."""

    async def give(one):
        sheets.append(" ".join(one.share.words))
        return SetCustodian(
            id=one.custodian, name=one.custodian.title(), location="here", share_index=one.share.index, delivery="paper",
            possession_key=possession_public_key(one.share, one.set_id),
        )  # fmt: skip

    with contextlib.closing(Store.open(home.database)) as store:
        return await make_backup_set(
            home, threshold=threshold, custodians=people, give=give, store=store, events=RecordingEvents(),
            clock=CLOCK, progress=lambda step: None,
        )  # fmt: skip


async def bundle_of(home: Home, path: Path) -> None:
    made = await ask_backups(home, BackupRequest("create", output=str(path)), timeout_s=120)
    assert made.failure is None, made.failure


async def backed_up(home: Home, folder: Path) -> Backed:
    """Create a key, encrypt, and back up 3-of-5, while the service runs."""
    sheets: list[str] = []
    with RunningService(home) as service:
        await asyncio.to_thread(service.start)
        client = service.client()
        key_id = (await asyncio.to_thread(client.create_key))["KeyMetadata"]["KeyId"]
        answer = await asyncio.to_thread(client.encrypt, KeyId=key_id, Plaintext=b"before the fire")
        backup_set = await made_set(home, sheets, CUSTODIANS, 3)
        path = folder / "home.bundle"
        await bundle_of(home, path)
        assert await asyncio.to_thread(service.stop) == 0
    return Backed(home, backup_set, path, sheets, key_id, answer["CiphertextBlob"])


@contextlib.asynccontextmanager
async def member_of(home: Home, member: MemberConfig):
    """A worker of a member that lost everything, and the ways to it."""
    pin = read_pin(member.pin, home.root)
    bootstrap = member_bootstrap(
        member, home, "administer", pin=pin.reveal(), sockets=restore_runtime_folder(home), generation=1,
        wrap_algorithm=int(WrapAlgorithm.HSM_AES_GCM),
    )  # fmt: skip
    async with admin_worker(bootstrap, member_environment(member, home)) as admin:
        use = RemoteMember(member.name, bootstrap.use_path)
        keys = RemoteKeys(member.name, bootstrap.admin_path)
        with contextlib.closing(use), contextlib.closing(keys):
            yield admin, use, keys


async def take_root(backed: Backed, admin, use, share_key: Secret) -> RootId:
    """Open the bundle in a member and take the root from it, proved by its canary."""
    with backed.bundle.open("rb") as file:
        manifest = verify_bundle(file, backed.backup_set).manifest
    (root,) = manifest.roots
    root_id = RootId(bytes.fromhex(root.root_id))
    async with open_backup(admin, backed.backup_set, share_key, member=manifest.source) as opened:
        check = KeyCheck(root.check_kind, root.check_value)
        await opened.take_root(root_id, "strongroom-root", wrapped=root.wrapped, check=check)
    canary = Canary(root.canary, bytes.fromhex(root.canary_digest))
    await prove_canary(root_id, canary, use, deadline=Deadline.after(CLOCK, 30))
    return root_id


async def each_three_of_five(backed: Backed) -> int:
    """Give the root back to a member by each three of the shares, and take it away again; returns how often it worked."""
    n_worked = 0
    alpha, _beta = load_config(backed.home.root).cluster.members
    async with member_of(backed.home, alpha) as (admin, use, keys):
        wrong = Secret(os.urandom(32))
        with pytest.raises(HsmError):
            await admin.offer_backup(
                bytes(16), wrong, backed.backup_set.wrapped_private, mechanism=backed.backup_set.wrap_mechanism
            )  # fmt: skip
        for sheets in itertools.combinations(backed.sheets, 3):
            share_key = combine([read_share(sheet) for sheet in sheets])
            assert share_key_check(share_key) == backed.backup_set.share_key_check
            assert combine_mnemonics(list(sheets)) == share_key.reveal(), "so the reference tool has it"
            root_id = await take_root(backed, admin, use, share_key)
            await keys.destroy_root(root_id, deadline=Deadline.after(CLOCK, 30))
            n_worked += 1
        assert await admin.list_objects() == []
    return n_worked


async def give_root_back(backed: Backed) -> None:
    for member in load_config(backed.home.root).cluster.members:
        share_key = combine([read_share(sheet) for sheet in backed.sheets[2:]])
        async with member_of(backed.home, member) as (admin, use, _keys):
            await take_root(backed, admin, use, share_key)


def test_each_three_of_five_shares_and_no_two_bring_lost_keys_back(
    initialised_home: Path, tmp_path: Path
) -> None:
    backed = asyncio.run(backed_up(copy_home(initialised_home, tmp_path / "home"), tmp_path))
    for member in ("alpha", "beta"):
        assert objects_of(backed.home, member, tmp_path / f"emptied-{member}", empty=True), (
            "it held keys until now"
        )
        assert objects_of(backed.home, member, tmp_path / f"looked-at-{member}") == []
    for two in itertools.combinations(backed.sheets, 2):
        with pytest.raises(TooFewSharesError) as refused:
            combine([read_share(sheet) for sheet in two])
        assert (refused.value.have, refused.value.need) == (2, 3)
    assert asyncio.run(each_three_of_five(backed)) == 10
    asyncio.run(give_root_back(backed))
    with RunningService(backed.home) as service:
        service.start()
        opened = service.client().decrypt(CiphertextBlob=backed.sealed, KeyId=backed.key_id)
        assert opened["Plaintext"] == b"before the fire"
        assert service.stop() == 0


async def reshared(home: Home, folder: Path) -> tuple[Backed, Backed]:
    """Back up under one set, lose two of its custodians, make another set and back up under it."""
    first = await backed_up(home, folder)
    rules = load_config(home.root).custodians
    with contextlib.closing(Store.open(home.database)) as store:
        set_id = bytes.fromhex(first.backup_set.set_id)
        before = read_set_status(store, rules, now=CLOCK.now())
        assert before is not None
        assert custodian_alarms(before) == []
        for name in ("kim", "knut"):
            await store.write(
                lambda tx, name=name: tx.note_custodian_left(set_id, name, because="left", at=CLOCK.now())
            )
        after = read_set_status(store, rules, now=CLOCK.now())
        assert after is not None
        assert len(custodian_alarms(after)) == 1
    sheets: list[str] = []
    second_set = await made_set(home, sheets, ["kai", "kurt", "kate", "lena"], 2)
    path = folder / "second.bundle"
    with RunningService(home) as service:
        await asyncio.to_thread(service.start)
        await bundle_of(home, path)
        assert await asyncio.to_thread(service.stop) == 0
    with contextlib.closing(Store.open(home.database)) as store:
        status = read_set_status(store, rules, now=CLOCK.now())
        assert status is not None
        assert custodian_alarms(status) == []
        await retire_backup_set(home, set_id, store=store, clock=CLOCK, progress=lambda step: None)
        (old,) = read_old_sets(store)
        assert [one.location for one in old.backups] == [str(first.bundle)]
        assert "Any 3 of the 5 old shares" in old.words[0]
    return first, first._replace(backup_set=second_set, bundle=path, sheets=sheets)


async def open_with_both(first: Backed, second: Backed) -> None:
    """In a member that lost everything: old shares open the old bundle alone, new ones the new one."""
    old, new = (combine([read_share(sheet) for sheet in one.sheets[:3]]) for one in (first, second))
    alpha, _beta = load_config(first.home.root).cluster.members
    async with member_of(first.home, alpha) as (admin, use, keys):
        for backed, key in ((first, new), (second, old)):
            with pytest.raises(WrongSetError):
                await take_root(backed, admin, use, key)
        forged = msgspec.structs.replace(
            second.backup_set, share_key_check=share_key_check(old), wrapped_private=first.backup_set.wrapped_private
        )  # fmt: skip
        with pytest.raises(BackupError):
            await take_root(second._replace(backup_set=forged), admin, use, old)
        for backed, key in ((first, old), (second, new)):
            root_id = await take_root(backed, admin, use, key)
            await keys.destroy_root(root_id, deadline=Deadline.after(CLOCK, 30))


@pytest.mark.slow
def test_when_two_of_five_custodians_left_another_set_takes_over_and_old_shares_open_old_bundles_alone(
    initialised_home: Path, tmp_path: Path
) -> None:
    first, second = asyncio.run(reshared(copy_home(initialised_home, tmp_path / "home"), tmp_path))
    for member in ("alpha", "beta"):
        objects_of(first.home, member, tmp_path / f"emptied-{member}", empty=True)
    asyncio.run(open_with_both(first, second))
