"""Former versions end one by one: what is under them is refused, what is in recent use is kept, and evidence closes a version."""

import asyncio

import pytest

from strongroom.core import INVENTORY_FORMAT, Inventory, KeyOrigin, Secret, VersionFound
from strongroom.keyring import (
    ImportType,
    InvalidCiphertextError,
    InventoryUnfitError,
    KeyById,
    KeyKind,
    SealedItem,
    VersionNotFoundError,
    VersionRetiredError,
    VersionStateError,
)
from strongroom.storage import HsmKeyState
from unit.keyring.domain_checks import IMPORTED, brought

DAY_S = 86_400.0
WINDOW_S = 30 * DAY_S


class RefusedError(Exception):
    pass


def refuse(standing):
    raise RefusedError(standing.version)


@pytest.fixture
async def key_id(bench, keyring):
    bench.clock.advance(20 * 365 * DAY_S)  # the database has noted uses for longer than the window
    return (await keyring.create_key("for tests")).key_id


async def sealed(ring, key_id):
    return (await ring.encrypt(KeyById(key_id), Secret(b"data"), {})).ciphertext


def retire(ring, key_id, version=1, *, allow=refuse):
    return ring.retirement.retire(key_id, version, window_s=WINDOW_S, allow=allow)


def inventory_of(bench, key_id, versions=((1, 5, 5, 0),), *, ago_s=0.0, complete=True, unreadable=0):
    now = bench.clock.now() - ago_s
    found = [VersionFound(*version) for version in versions]
    return Inventory(
        INVENTORY_FORMAT, key_id, "table", "db people.c", now - 10, now, 5, unreadable, complete, found
    )


async def keep(ring, key_id, inventory):
    return await ring.retirement.keep(key_id, inventory, received_from="user/officer")


async def test_what_is_under_a_retired_version_is_refused_in_every_process_also_with_its_kek_in_memory(
    bench, keyring, key_id
):
    other = bench.open_keyring()
    old = await sealed(keyring, key_id)
    await keyring.rotations.rotate_on_demand(key_id)
    new = await sealed(keyring, key_id)
    for ring in (keyring, other):
        assert (await ring.decrypt(old, {}, key=None)).plaintext.reveal() == b"data"
    retired = await retire(keyring, key_id, allow=lambda _standing: None)
    assert (retired.version, retired.closed_by) == (1, "")
    stored = bench.stores[0].get_key_version(key_id, 1)
    assert (stored.wrapped, stored.retired_at) == (b"", bench.clock.now())
    for ring in (keyring, other, bench.open_keyring()):
        with pytest.raises(VersionRetiredError):
            await ring.decrypt(old, {}, key=None)
        with pytest.raises(VersionRetiredError):
            await ring.re_encrypt(old, source_key=None, source_context={}, key=KeyById(key_id), context={})
        items = [SealedItem(old, {}), SealedItem(new, {}), SealedItem(b"x", {})]
        first, second, third = (await ring.batches.decrypt(KeyById(key_id), items)).results
        assert isinstance(first, VersionRetiredError)
        assert second == b"data"
        assert isinstance(third, InvalidCiphertextError)
    page = keyring.rotations.versions(key_id, limit=10, after=None, with_first=True)
    assert [version.has_material for version in page.versions] == [False, True]


async def test_only_former_versions_are_retired_and_once(keyring, key_id):
    with pytest.raises(VersionStateError):
        await retire(keyring, key_id)
    with pytest.raises(VersionNotFoundError):
        await retire(keyring, key_id, 2)
    await keyring.rotations.rotate_on_demand(key_id)
    await retire(keyring, key_id, allow=lambda _standing: None)
    with pytest.raises(VersionStateError):
        await retire(keyring, key_id, allow=lambda _standing: None)


async def test_a_version_is_in_recent_use_since_it_was_current_or_used(bench, keyring, key_id):
    old = await keyring.encrypt(KeyById(key_id), Secret(b"data"), {})
    bench.clock.advance(100 * DAY_S)
    await keyring.rotations.rotate_on_demand(key_id)
    bench.clock.advance(WINDOW_S - 1)
    with pytest.raises(RefusedError):
        await retire(keyring, key_id)
    keyring.last_uses.note(key_id, old.material_id, "Decrypt", "r", is_processing=True)
    await keyring.last_uses.flush()
    bench.clock.advance(WINDOW_S - 1)
    with pytest.raises(RefusedError):
        await retire(keyring, key_id)
    bench.clock.advance(1)
    assert (await retire(keyring, key_id)).version == 1


async def test_of_what_nobody_watched_for_long_enough_nothing_is_known(bench, keyring):
    made = await keyring.create_key("for tests")  # by a clock before uses were noted
    await keyring.rotations.rotate_on_demand(made.key_id)
    bench.clock.advance(WINDOW_S)
    with pytest.raises(RefusedError):
        await retire(keyring, made.key_id)


async def test_a_complete_inventory_closes_a_version_that_nobody_used_since(bench, keyring, key_id):
    await sealed(keyring, key_id)
    bench.clock.advance(60)
    await keyring.rotations.rotate_on_demand(key_id)
    bench.clock.advance(60)
    kept = await keep(keyring, key_id, inventory_of(bench, key_id))
    assert await keep(bench.open_keyring(), key_id, inventory_of(bench, key_id)) == kept
    with pytest.raises(RefusedError):  # other processes may not have written yet what they used
        await retire(keyring, key_id)
    bench.clock.advance(120)
    standing = keyring.retirement.standings(key_id)[1]
    assert (standing.closed_by, standing.is_in_use(bench.clock.now(), WINDOW_S)) == (kept.digest, False)
    assert (await retire(keyring, key_id)).closed_by == kept.digest


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"versions": ((1, 5, 4, 1),)}, "one is left"),
        ({"complete": False}, "it is not complete"),
        ({"unreadable": 1}, "nobody knows what one is"),
        ({"ago_s": 100.0}, "it began before the version was a former one"),
    ],
)
async def test_an_inventory_that_shows_less_closes_nothing(bench, keyring, key_id, changes, why):
    bench.clock.advance(60)
    await keyring.rotations.rotate_on_demand(key_id)
    bench.clock.advance(60)
    await keep(keyring, key_id, inventory_of(bench, key_id, **changes))
    bench.clock.advance(120)
    with pytest.raises(RefusedError):
        await retire(keyring, key_id)
    assert keyring.retirement.standings(key_id)[1].closed_by == "", why


async def test_a_use_after_the_inventory_says_that_it_did_not_find_all(bench, keyring, key_id):
    old = await keyring.encrypt(KeyById(key_id), Secret(b"data"), {})
    await keyring.rotations.rotate_on_demand(key_id)
    bench.clock.advance(60)
    await keep(keyring, key_id, inventory_of(bench, key_id))
    bench.clock.advance(60)
    other = bench.open_keyring()
    other.last_uses.note(key_id, old.material_id, "Decrypt", "r", is_processing=True)
    await other.last_uses.flush()
    bench.clock.advance(120)
    with pytest.raises(RefusedError):
        await retire(keyring, key_id)


@pytest.mark.parametrize(("operation", "closes"), [("Encrypt", False), ("Decrypt", True)])
async def test_what_was_made_while_the_inventory_was_taken_may_stand_where_it_had_looked(
    bench, keyring, key_id, operation, closes
):
    """A rotation is dated before it is durable, and whoever looks may begin in between."""
    old = await keyring.encrypt(KeyById(key_id), Secret(b"data"), {})
    await keyring.last_uses.flush()
    await keyring.rotations.rotate_on_demand(key_id)
    bench.clock.advance(60)
    keyring.last_uses.note(key_id, old.material_id, operation, "r")
    await keyring.last_uses.flush()
    bench.clock.advance(5)
    await keep(keyring, key_id, inventory_of(bench, key_id))
    bench.clock.advance(120)
    assert bool(keyring.retirement.standings(key_id)[1].closed_by) is closes


async def test_inventories_are_about_this_key_and_of_the_past(bench, keyring, key_id):
    with pytest.raises(InventoryUnfitError):
        await keep(keyring, key_id, inventory_of(bench, "0" * 8 + key_id[8:]))
    with pytest.raises(InventoryUnfitError):
        await keep(keyring, key_id, inventory_of(bench, key_id, ago_s=-301))


async def test_versions_of_keys_inside_hsms_lose_their_direct_key(bench, keyring, key_id):
    store = (await keyring.key_stores.create("hsm", bench.cluster_id)).store_id
    await keyring.key_stores.connect(store)
    made = await keyring.create_key("k", {}, KeyKind(origin=KeyOrigin.AWS_CLOUDHSM, store_id=store))
    old = await sealed(keyring, made.key_id)
    await keyring.rotations.rotate_on_demand(made.key_id)
    hsm_key_id = bench.stores[0].get_key_version(made.key_id, 1).hsm_key_id
    await retire(keyring, made.key_id, allow=lambda _standing: None)
    with pytest.raises(VersionRetiredError):
        await keyring.decrypt(old, {}, key=None)
    (result,) = (await keyring.batches.decrypt(KeyById(made.key_id), [SealedItem(old, {})])).results
    assert isinstance(result, VersionRetiredError)
    left = [record.key_id for record in bench.stores[0].list_unclaimed_hsm_keys()]
    assert left == [hsm_key_id]  # main destroys what no version has
    assert bench.stores[0].get_hsm_key(hsm_key_id).state is HsmKeyState.ACTIVE


async def test_a_key_whose_versions_were_retired_is_moved_rotated_and_destroyed_like_any_other(
    bench, keyring, key_id
):
    for _ in range(2):
        await keyring.rotations.rotate_on_demand(key_id)
    await retire(keyring, key_id, allow=lambda _standing: None)
    new = await sealed(keyring, key_id)
    await keyring.domains.create("payroll")
    await keyring.domains.move(key_id, "payroll")
    await asyncio.sleep(0)
    assert (await bench.open_keyring().decrypt(new, {}, key=None)).plaintext.reveal() == b"data"
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(7 * DAY_S)
    assert (await keyring.lifecycle.destroy_due(key_id)).n_versions == 3


async def test_the_current_version_is_no_former_one_because_another_waits_behind_it(bench, keyring):
    key_id = (await keyring.create_key("k", {}, IMPORTED)).key_id
    await brought(keyring, key_id)
    await brought(keyring, key_id, b"another material of 32 bytes....", kind=ImportType.NEW)
    assert [version.is_waiting for version in _versions(keyring, key_id)] == [False, True]
    assert keyring.retirement.standings(key_id) == {}
    for version in (1, 2):
        with pytest.raises(VersionStateError):
            await retire(keyring, key_id, version, allow=lambda _standing: None)
    await keyring.rotations.rotate_on_demand(key_id)
    assert list(keyring.retirement.standings(key_id)) == [1]


def _versions(ring, key_id):
    return ring.rotations.versions(key_id, limit=10, after=None, with_first=True).versions
