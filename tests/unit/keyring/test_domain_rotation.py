"""A domain KEK is replaced while keys are made and rotated, killed at any point, and goes when nothing is under it."""

import asyncio
import uuid

import pytest

from strongroom.core import (
    HsmIntegrityError,
    KeyOrigin,
    Secret,
)
from strongroom.envelope import Blob
from strongroom.keyring import (
    CREDENTIALS,
    DomainKind,
    DomainStateError,
    KeyById,
    NotInDomainError,
    make_access_key,
    open_secret,
    store_access_key,
)
from unit.keyring.domain_checks import (
    DAY_S,
    IMPORTED,
    MAC,
    PAIR,
    assert_counts_are_true,
    blobs_under,
    brought,
    finish_rotations,
    in_domain,
)


async def test_after_a_rotation_nothing_is_under_the_old_kek_which_is_gone(bench, keyring):
    other = bench.open_keyring()
    old = await keyring.domains.create("tenant-7")
    keys = [await in_domain(keyring, "tenant-7", kind) for kind in (None, PAIR, MAC, IMPORTED)]
    await brought(keyring, keys[3])
    sealed = [(await other.encrypt(KeyById(keys[n]), Secret(b"before"), {})).ciphertext for n in (0, 3)]
    new = await keyring.domains.rotate("tenant-7")
    assert (new.name, new.replaces.domain_id, new.replaces.n_left) == ("tenant-7", old.domain_id, 4)
    assert new.domain_id != old.domain_id
    later = await in_domain(other, "tenant-7")
    await other.rotations.rotate_on_demand(keys[0])  # its new version is under the new KEK at once
    assert blobs_under(bench.stores[0])[keys[0]] == {old.domain_id, new.domain_id}
    await finish_rotations(other)
    assert set(map(frozenset, blobs_under(bench.stores[0]).values())) == {frozenset({new.domain_id})}
    assert bench.stores[0].get_domain(old.domain_id) is None
    assert keyring.domains.find("tenant-7").replaces is None
    assert keyring.domains.find("tenant-7").n_keys == 5
    assert_counts_are_true(bench.stores[0])
    for ring in (keyring, other, bench.open_keyring()):
        for ciphertext in sealed:
            assert (await ring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"before"
        await ring.encrypt(KeyById(later), Secret(b"data"), {})


async def test_a_shard_is_rotated_with_destroyed_keys_and_keys_inside_hsms(bench, keyring):
    store = bench.stores[0]
    alive, dead = [(await keyring.create_key("x")).key_id for _ in range(2)]
    await keyring.lifecycle.schedule_destruction(dead, days=7)
    bench.clock.advance(8 * DAY_S)
    await keyring.lifecycle.destroy_due(dead)
    old = keyring.domains.of_key(alive)
    direct = store.get_key(alive)._replace(
        key_id=str(uuid.uuid4()), origin=KeyOrigin.AWS_CLOUDHSM, store_id="cks-1"
    )

    def insert(tx):
        tx.insert_key(direct)
        tx.count_key_in_domain(direct.domain_id)

    await store.write(insert)
    new = await keyring.domains.rotate(old.domain_id)
    await finish_rotations(keyring)
    assert store.get_domain(old.domain_id) is None
    assert {store.get_key(key_id).domain_id for key_id in (alive, dead, direct.key_id)} == {new.domain_id}
    assert_counts_are_true(store)
    with pytest.raises(NotInDomainError):
        await keyring.domains.move(direct.key_id, "dedicated")


async def test_a_rotation_waits_for_the_end_of_the_last_one(keyring):
    old = await keyring.domains.create("tenant-7")
    await in_domain(keyring, "tenant-7")
    new = await keyring.domains.rotate("tenant-7")
    for domain in ("tenant-7", old.domain_id, new.domain_id):
        with pytest.raises(DomainStateError):
            await keyring.domains.rotate(domain)
    await finish_rotations(keyring)
    await keyring.domains.rotate("tenant-7")


async def test_two_rotations_at_once_are_one(bench, keyring):
    await keyring.domains.create("tenant-7")
    other = bench.open_keyring()
    both = (keyring.domains.rotate("tenant-7"), other.domains.rotate("tenant-7"))
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(answer, DomainStateError) for answer in answers) == 1
    await asyncio.gather(finish_rotations(keyring), finish_rotations(other))
    assert len(bench.stores[0].list_domains(after="", limit=10)) == 1


async def test_a_rotation_that_was_killed_is_finished_by_another_process(bench, keyring, monkeypatch):
    monkeypatch.setattr("strongroom.keyring._domain_rotation._PART", 2)
    await keyring.domains.create("tenant-7")
    keys = [await in_domain(keyring, "tenant-7") for _ in range(7)]
    new = await keyring.domains.rotate("tenant-7")
    (old_id,) = keyring.domain_rotations.due()
    work = asyncio.ensure_future(keyring.domain_rotations.finish(old_id, pause_s=0.05))
    while keyring.domains.find("tenant-7").replaces.n_left > 4:
        await asyncio.sleep(0.001)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert 0 < keyring.domains.find("tenant-7").replaces.n_left < 7
    assert keyring.domain_rotations.due() == []  # it was tried here a moment ago
    other = bench.open_keyring()
    await finish_rotations(other)
    assert set(map(frozenset, blobs_under(bench.stores[0]).values())) == {frozenset({new.domain_id})}
    for key_id in keys:
        await other.encrypt(KeyById(key_id), Secret(b"data"), {})


async def test_what_does_not_open_keeps_the_old_kek_and_holds_up_no_other_key(bench, keyring):
    store = bench.stores[0]
    old = await keyring.domains.create("tenant-7")
    keys = sorted([await in_domain(keyring, "tenant-7") for _ in range(3)])
    version = store.get_key_version(keys[0], 1)
    broken = version.wrapped[:-1] + bytes([version.wrapped[-1] ^ 1])
    await store.write(lambda tx: tx.change_key_version(version._replace(wrapped=broken)))
    new = await keyring.domains.rotate("tenant-7")
    done = await keyring.domain_rotations.finish(old.domain_id, pause_s=0.0)
    assert (done.n_moved, done.n_left, done.is_done) == (2, 1, False)
    assert store.get_domain(old.domain_id) is not None
    await store.write(lambda tx: tx.change_key_version(version))
    bench.clock.advance(61.0)
    await finish_rotations(keyring)
    assert blobs_under(store)[keys[0]] == {new.domain_id}


async def test_a_blob_that_no_record_leads_to_keeps_the_old_kek_until_it_is_moved(bench, keyring):
    """Nothing stores such a blob; but a KEK that is removed is gone for ever."""
    store = bench.stores[0]
    old = await keyring.domains.create("tenant-7")
    key_id = await in_domain(keyring, "tenant-7")
    stray = store.get_key_version(key_id, 1)
    await keyring.domains.move(key_id, "dedicated")
    await store.write(lambda tx: tx.change_key_version(stray))
    await keyring.domains.rotate("tenant-7")
    await finish_rotations(keyring)
    assert store.get_domain(old.domain_id) is None
    await bench.open_keyring().encrypt(KeyById(key_id), Secret(b"data"), {})


async def test_a_key_that_recognises_material_and_that_no_record_leads_to_keeps_the_old_kek_too(
    bench, keyring
):
    store = bench.stores[0]
    old = await keyring.domains.create("tenant-7")
    key_id = await in_domain(keyring, "tenant-7", IMPORTED)
    await brought(keyring, key_id)
    stray = store.get_import_digest_key(key_id)
    await keyring.domains.move(key_id, "dedicated")
    moved = store.get_import_digest_key(key_id)
    await store.write(lambda tx: tx.rewrap_import_digest_key(key_id, was=moved, wrapped=stray))
    await keyring.domains.rotate("tenant-7")
    await finish_rotations(keyring)
    assert store.get_domain(old.domain_id) is None
    await brought(bench.open_keyring(), key_id)  # the same material is recognised


async def test_secrets_of_access_keys_move_to_their_new_kek(bench, keyring):
    store = bench.stores[0]
    old = await keyring.ciphers.new_domain(bench.root_id, CREDENTIALS)
    await store.write(lambda tx: tx.insert_domain(old))
    made = [await access_key(keyring, old.domain_id) for _ in range(3)]
    for record, _ in made[:2]:
        await store.write(lambda tx, record=record: store_access_key(tx, record))
    n_changes = store.count_access_changes()
    new = await keyring.domains.rotate(old.domain_id)
    assert (new.kind, new.max_keys, new.n_keys) == (DomainKind.CREDENTIALS, None, 2)
    assert (new.replaces.n_left, new.replaces.n_total) == (2, 2)
    with pytest.raises(DomainStateError):  # it was made before the rotation, and would be lost
        await store.write(lambda tx: store_access_key(tx, made[2][0]))
    await finish_rotations(keyring)
    assert store.get_domain(old.domain_id) is None
    assert store.count_access_changes() == n_changes  # no process need read them again
    secrets = dict(made[:2])
    for record in store.list_access_keys():
        opened = await open_secret(bench.open_keyring().ciphers, record)
        assert any(opened.matches(secret) for secret in secrets.values())
        assert domain_named_in(record) == new.domain_id


def domain_named_in(record):
    return str(uuid.UUID(bytes=Blob.parse(record.wrapped_secret).wrapping_key_id))


async def access_key(keyring, domain_id):
    return await make_access_key(
        keyring.ciphers, domain_id, principal="user/app", roles=("operator",), now=7.0
    )


async def test_a_key_that_ends_while_its_domain_is_replaced_is_counted_nowhere(bench, keyring):
    await keyring.domains.create("tenant-7")
    key_id = await in_domain(keyring, "tenant-7")
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    await keyring.domains.rotate("tenant-7")
    bench.clock.advance(8 * DAY_S)
    await keyring.lifecycle.destroy_due(key_id)
    assert_counts_are_true(bench.stores[0])
    assert keyring.domains.find("tenant-7").n_keys == 0
    await finish_rotations(keyring)
    assert bench.stores[0].get_key(key_id).domain_id == keyring.domains.find("tenant-7").domain_id


async def test_a_key_that_leaves_while_its_domain_is_replaced_is_counted_once(bench, keyring):
    await keyring.domains.create("tenant-7")
    key_id = await in_domain(keyring, "tenant-7")
    await keyring.domains.rotate("tenant-7")
    await keyring.domains.move(key_id, "dedicated")
    assert_counts_are_true(bench.stores[0])
    await finish_rotations(keyring)
    assert keyring.domains.of_key(key_id).kind is DomainKind.DEDICATED
    assert_counts_are_true(bench.stores[0])


async def test_a_key_made_while_its_domain_is_replaced_comes_into_the_new_one(bench, keyring, monkeypatch):
    other = bench.open_keyring()
    await keyring.domains.create("tenant-7")
    sealing, rotations = keyring.ciphers.new_kek, []

    async def sealed_before_a_rotation(*place):
        sealed = await sealing(*place)
        if not rotations:
            rotations.append(await other.domains.rotate("tenant-7"))
        return sealed

    monkeypatch.setattr(keyring.ciphers, "new_kek", sealed_before_a_rotation)
    key_id = await in_domain(keyring, "tenant-7")
    assert blobs_under(bench.stores[0]) == {key_id: {rotations[0].domain_id}}
    assert_counts_are_true(bench.stores[0])


async def test_a_domain_kek_that_does_not_open_is_asked_for_once(bench, keyring):
    old = await keyring.domains.create("tenant-7")
    other = await keyring.domains.create("other")
    for _ in range(5):
        await in_domain(keyring, "tenant-7")
    store = bench.stores[0]
    record, wrong = store.get_domain(old.domain_id), store.get_domain(other.domain_id).wrapped
    await keyring.domains.rotate("tenant-7")
    await store.write(
        lambda tx: tx.replace_domain_wrapped(
            old.domain_id, was=record.wrapped, root_id=record.root_id, wrapped=wrong
        )
    )
    fresh = bench.open_keyring()
    asked = bench.cluster.unwraps
    with pytest.raises(HsmIntegrityError):
        await fresh.domain_rotations.finish(old.domain_id, pause_s=0.0)
    assert bench.cluster.unwraps == asked + 1
    assert store.get_domain(old.domain_id) is not None
