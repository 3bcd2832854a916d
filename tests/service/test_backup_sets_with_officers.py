"""Backup sets in a home that init made with officers: each step waits for those who must approve it, and nobody gets round them."""

import contextlib

import pytest

from backup_sets import Custodians, make_set, take_out
from running_service import copy_home
from scripted_homes import approve_all
from service.test_backup_sets import backup_objects, sets_of, users_of
from strongroom.config import load_config
from strongroom.core import ApprovalRequiredError, Secret, SystemClock
from strongroom.storage import BackupSetState, Store
from strongroom.wiring.backup_approval import admit_backup_act, approve_backup_act
from strongroom.wiring.backup_set import retire_backup_set

pytestmark = [pytest.mark.softhsm, pytest.mark.slow, pytest.mark.timeout(1_200)]


class PowerCutError(Exception):
    """Somebody let a share fall."""


async def test_officers_approve_the_making_the_taking_out_and_the_end_of_a_set(made_by_script, tmp_path):
    ready = made_by_script.ready._replace(home=copy_home(made_by_script.ready.home.root, tmp_path / "home"))
    home, pins = ready.home, ready.so_pins()

    def present(member):
        return Secret(pins[member.name].encode())

    async def fall(_given):
        raise PowerCutError

    with pytest.raises(ApprovalRequiredError):
        await make_set(home, Custodians(), so_pin=present)
    assert sets_of(home) == []
    await approve_all(home, "anna", "ben")
    with pytest.raises(PowerCutError):
        await make_set(home, Custodians(), so_pin=present, give=fall)
    assert await backup_objects(home) == []
    backup_set = await make_set(home, Custodians(), so_pin=present)  # within the hour of the same approval
    assert backup_set.cluster_id
    assert sorted(one.state for one in sets_of(home)) == [BackupSetState.ABANDONED, BackupSetState.ACTIVE]
    await _is_taken_out_when_approved(home, backup_set)
    with contextlib.closing(Store.open(home.database)) as store:

        async def retire():
            return await retire_backup_set(
                home,
                bytes.fromhex(backup_set.set_id),
                store=store,
                clock=SystemClock(),
                progress=lambda step: None,
            )

        with pytest.raises(ApprovalRequiredError):
            await retire()
        assert len(await backup_objects(home)) == 10
        await approve_all(home, "anna", "ben")
        assert (await retire()).state is BackupSetState.RETIRED
    assert await backup_objects(home) == []


async def _is_taken_out_when_approved(home, backup_set):
    async with users_of(home) as doors:
        with pytest.raises(ApprovalRequiredError, match="no approval covers it"):
            await take_out(doors.users[0], home, backup_set)
        with contextlib.closing(Store.open(home.database)) as store:

            async def approved():
                return await approve_backup_act(
                    home, load_config(home.root), store, "CreateBackup", {"set_id": backup_set.set_id},
                    clock=SystemClock(), progress=lambda step: None,
                )  # fmt: skip

            with pytest.raises(ApprovalRequiredError):
                await approved()
            await approve_all(home, "cleo")
            await admit_backup_act(doors.users, await approved())
        out = await take_out(doors.users[0], home, backup_set)
        assert (len(out.roots), len(out.keys)) == (1, 1)
