"""Rotation: what was sealed under any version opens, what is sealed is sealed under the newest, in every process."""

import asyncio

import pytest

from strongroom.core import KeyState, NoMemberError, Secret, VersionMadeBy
from strongroom.keyring import (
    MAX_ROTATIONS_ON_DEMAND,
    DestructionScheduledError,
    KeyById,
    KeyNotFoundError,
    KeyStateError,
    RotationLimitError,
)

DAY_S = 86_400.0
NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def key_id(keyring):
    return (await keyring.create_key("for tests")).key_id


async def sealed(keyring, key_id, plaintext=b"data"):
    return await keyring.encrypt(KeyById(key_id), Secret(plaintext), {})


async def opened(keyring, made):
    return (await keyring.decrypt(made.ciphertext, {}, key=None)).plaintext.reveal()


async def test_every_process_encrypts_under_the_new_version_at_once_and_opens_what_is_old(bench, key_id):
    one, other = bench.open_keyring(), bench.open_keyring()
    old = [await sealed(ring, key_id) for ring in (one, other)]
    rotated = await one.rotations.rotate_on_demand(key_id)
    assert rotated.material_id != old[0].material_id
    for ring in (one, other, bench.open_keyring()):
        assert ring.describe(KeyById(key_id)).material_id == rotated.material_id
        made = await sealed(ring, key_id)
        assert made.material_id == rotated.material_id
        for before in [*old, made]:
            decrypted = await ring.decrypt(before.ciphertext, {}, key=None)
            assert (decrypted.plaintext.reveal(), decrypted.material_id) == (b"data", before.material_id)


async def test_rotations_at_the_same_time_all_happen_and_none_replaces_another(bench, key_id):
    rings = [bench.open_keyring() for _ in range(3)]
    made = await asyncio.gather(*(ring.rotations.rotate_on_demand(key_id) for ring in rings))
    assert len({info.material_id for info in made}) == 3
    page = rings[0].rotations.versions(key_id, limit=10, after=None, with_first=True)
    assert [version.version for version in page.versions] == [1, 2, 3, 4]
    assert [version.is_current for version in page.versions] == [False, False, False, True]


async def test_a_key_is_rotated_on_demand_25_times_and_no_more(keyring, key_id):
    first = await sealed(keyring, key_id)
    for _ in range(MAX_ROTATIONS_ON_DEMAND):
        await keyring.rotations.rotate_on_demand(key_id)
    with pytest.raises(RotationLimitError, match="25 times"):
        await keyring.rotations.rotate_on_demand(key_id)
    assert await opened(keyring, first) == b"data"


async def test_a_due_key_is_rotated_once_by_any_number_of_processes(bench, keyring, key_id):
    await keyring.rotations.enable(key_id, days=90)
    first = await sealed(keyring, key_id)
    bench.clock.advance(90 * DAY_S - 1)
    assert keyring.rotations.list_due(limit=10) == []
    assert await keyring.rotations.rotate_due(key_id) is None
    bench.clock.advance(1)
    rings = [bench.open_keyring() for _ in range(4)]
    assert rings[0].rotations.list_due(limit=10) == [key_id]
    results = await asyncio.gather(*(ring.rotations.rotate_due(key_id) for ring in rings))
    assert sum(result is not None for result in results) == 1
    assert rings[1].rotations.list_due(limit=10) == []
    status = keyring.rotations.status(key_id)
    assert (status.days, status.next_at) == (90, bench.clock.now() + 90 * DAY_S)
    page = keyring.rotations.versions(key_id, limit=10, after=None, with_first=False)
    assert [version.made_by for version in page.versions] == [VersionMadeBy.AUTOMATIC]
    assert await opened(keyring, first) == b"data"


async def test_a_due_rotation_that_one_on_demand_overtook_is_done_the_next_time(
    bench, keyring, key_id, monkeypatch
):
    await keyring.rotations.enable(key_id, days=90)
    bench.clock.advance(90 * DAY_S)
    rotations, real = keyring.rotations, keyring.rotations._next_version
    asked = []

    async def overtaken(*args):
        made = await real(*args)
        asked.append(await bench.open_keyring().rotations.rotate_on_demand(key_id))
        return made

    with monkeypatch.context() as patched:
        patched.setattr(rotations, "_next_version", overtaken)
        assert await rotations.rotate_due(key_id) is None
    assert keyring.describe(KeyById(key_id)).material_id == asked[0].material_id
    assert rotations.list_due(limit=10) == [key_id]
    assert (await rotations.rotate_due(key_id)).version == 3


async def test_a_late_rotation_keeps_the_rhythm_and_a_very_late_one_happens_once(bench, keyring, key_id):
    await keyring.rotations.enable(key_id, days=100)
    bench.clock.advance(103 * DAY_S)
    assert await keyring.rotations.rotate_due(key_id) is not None
    assert keyring.rotations.status(key_id).next_at == pytest.approx(bench.clock.now() + 97 * DAY_S)
    bench.clock.advance(1000 * DAY_S)
    assert await keyring.rotations.rotate_due(key_id) is not None
    assert await keyring.rotations.rotate_due(key_id) is None
    assert keyring.rotations.status(key_id).next_at == bench.clock.now() + 100 * DAY_S


async def test_a_suspended_key_is_not_rotated_before_it_is_active_again(bench, keyring, key_id):
    await keyring.rotations.enable(key_id, days=90)
    await keyring.set_state(key_id, KeyState.SUSPENDED)
    bench.clock.advance(91 * DAY_S)
    assert keyring.rotations.list_due(limit=10) == []
    assert await keyring.rotations.rotate_due(key_id) is None
    assert keyring.rotations.status(key_id).days == 90
    await keyring.set_state(key_id, KeyState.ACTIVE)
    assert keyring.rotations.list_due(limit=10) == [key_id]
    assert await keyring.rotations.rotate_due(key_id) is not None


async def test_asking_again_does_not_put_rotation_off_but_another_rhythm_begins_now(bench, keyring, key_id):
    await keyring.rotations.enable(key_id, days=90)
    at = keyring.rotations.status(key_id).next_at
    bench.clock.advance(50 * DAY_S)
    await keyring.rotations.enable(key_id, days=90)
    assert keyring.rotations.status(key_id).next_at == at
    await keyring.rotations.rotate_on_demand(key_id)
    assert keyring.rotations.status(key_id).next_at == at
    await keyring.rotations.enable(key_id, days=2560)
    assert keyring.rotations.status(key_id).next_at == bench.clock.now() + 2560 * DAY_S
    await keyring.rotations.disable(key_id)
    assert keyring.rotations.status(key_id)[1:] == (0, None)


@pytest.mark.parametrize("days", [0, -1, 89, 2561])
async def test_a_rhythm_too_fast_or_too_slow_is_a_mistake(keyring, key_id, days):
    with pytest.raises(ValueError, match="days"):
        await keyring.rotations.enable(key_id, days=days)


async def test_what_is_not_active_is_not_rotated_nor_its_schedule_changed(keyring, key_id):
    async def refuse(error):
        with pytest.raises(error):
            await keyring.rotations.enable(key_id, days=90)
        with pytest.raises(error):
            await keyring.rotations.disable(key_id)
        with pytest.raises(error):
            await keyring.rotations.rotate_on_demand(key_id)

    await keyring.set_state(key_id, KeyState.SUSPENDED)
    await refuse(KeyStateError)
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    await refuse(DestructionScheduledError)
    with pytest.raises(DestructionScheduledError):
        keyring.rotations.status(key_id)
    assert len(keyring.rotations.versions(key_id, limit=10, after=None, with_first=True).versions) == 1


async def test_a_key_that_is_not_there_is_not_found(keyring):
    with pytest.raises(KeyNotFoundError):
        await keyring.rotations.rotate_on_demand(NOBODY)
    with pytest.raises(KeyNotFoundError):
        keyring.rotations.versions(NOBODY, limit=1, after=None, with_first=True)
    assert await keyring.rotations.rotate_due(NOBODY) is None


async def test_without_an_hsm_nothing_is_rotated_and_nothing_is_lost(bench, key_id):
    ring = bench.open_keyring()
    await ring.rotations.enable(key_id, days=90)
    bench.clock.advance(90 * DAY_S)
    bench.cluster.is_down = True
    with pytest.raises(NoMemberError):
        await ring.rotations.rotate_due(key_id)
    with pytest.raises(NoMemberError):
        await ring.rotations.rotate_on_demand(key_id)
    bench.cluster.is_down = False
    assert ring.rotations.list_due(limit=10) == [key_id]
    assert await ring.rotations.rotate_due(key_id) is not None


async def test_versions_come_in_pages(keyring, key_id):
    for _ in range(4):
        await keyring.rotations.rotate_on_demand(key_id)
    first = keyring.rotations.versions(key_id, limit=3, after=None, with_first=True)
    assert ([version.version for version in first.versions], first.next_after) == ([1, 2, 3], 3)
    rest = keyring.rotations.versions(key_id, limit=3, after=3, with_first=True)
    assert ([version.version for version in rest.versions], rest.next_after) == ([4, 5], None)


async def test_a_rotation_cut_short_leaves_the_old_version_or_the_new_one(bench, key_id):
    """Whoever is cancelled does not know which; the key works either way."""
    for turns in range(12):
        ring = bench.open_keyring()
        before = await sealed(ring, key_id)
        task = asyncio.ensure_future(ring.rotations.rotate_on_demand(key_id))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        after = await sealed(bench.open_keyring(), key_id)
        for made in (before, after):
            assert await opened(ring, made) == b"data"
