"""Reads of Direct keys for a look at a member: one damaged row hides no other, and old tombstones are not read."""

import pytest

from strongroom.core import HsmKeyId, KeySpec, KeyUsage, StorageError
from strongroom.storage import CopyState, HsmKeyCopyRecord, HsmKeyRecord, HsmKeyState


def key(number, state=HsmKeyState.ACTIVE, **changes):
    record = HsmKeyRecord(
        HsmKeyId(bytes([number]) * 16),
        KeySpec.AES_256,
        KeyUsage.ENCRYPT_DECRYPT,
        f"key {number}",
        True,
        state,
        b"",
        1.0,
    )
    return record._replace(destroyed_at=2.0 if state is HsmKeyState.DESTROYED else None)._replace(**changes)


async def put(store, *records):
    for record in records:
        await store.write(lambda tx, record=record: tx.insert_hsm_key(record))


@pytest.mark.parametrize("damage", [{"spec": "AES_512"}, {"usage": "PLAY"}, {"usage": KeyUsage.SIGN_VERIFY}])
async def test_a_row_that_cannot_be_read_is_told_and_hides_no_other(store, damage):
    good = key(1)
    bad = key(2, made_for="k/1", **damage)
    await put(store, good, bad)
    assert store.list_hsm_keys() == store.list_hsm_keys(HsmKeyState.ACTIVE) == [good]
    assert store.list_hsm_keys_concerning("alpha", since=0.0) == [good]
    assert store.list_unclaimed_hsm_keys() == []
    assert [(one.key_id, one.label) for one in store.list_unreadable_hsm_keys()] == [(bad.key_id, "key 2")]
    with pytest.raises(StorageError, match="cannot be read"):
        store.get_hsm_key(bad.key_id)


async def test_every_kind_of_key_can_be_read(store):
    kinds = [(spec, usage) for spec in KeySpec for usage in spec.usages]
    await put(store, *(key(n, spec=spec, usage=usage) for n, (spec, usage) in enumerate(kinds)))
    assert store.list_unreadable_hsm_keys() == []
    assert len(store.list_hsm_keys()) == len(kinds)


async def test_of_tombstones_those_are_read_that_may_concern_a_member(store):
    old, recent, left = (key(n, HsmKeyState.DESTROYED) for n in (1, 2, 3))
    recent = recent._replace(destroyed_at=9.0)
    living = key(4)
    await put(store, old, recent, left, living)
    for record, member, state in (
        (left, "alpha", CopyState.HELD),
        (left, "beta", CopyState.GONE),
        (old, "alpha", CopyState.GONE),
        (living, "beta", CopyState.HELD),
    ):
        copy = HsmKeyCopyRecord(record.key_id, member, state)
        await store.write(lambda tx, copy=copy: tx.put_hsm_key_copy(copy))
    concerning = store.list_hsm_keys_concerning
    assert {one.key_id for one in concerning("alpha", since=5.0)} == {
        recent.key_id,
        left.key_id,
        living.key_id,
    }
    assert {one.key_id for one in concerning("beta", since=5.0)} == {recent.key_id, living.key_id}
    assert store.list_holders_of_destroyed_hsm_keys() == {"alpha"}
    assert {copy.key_id for copy in store.list_held_hsm_key_copies()} == {left.key_id, living.key_id}


async def test_any_number_of_ids_is_looked_up_among_the_tombstones(store):
    gone, living = key(1, HsmKeyState.DESTROYED), key(2)
    await put(store, gone, living)
    strangers = [n.to_bytes(16, "big") for n in range(1_200)]
    assert store.list_destroyed_hsm_keys_among([*strangers, gone.key_id, living.key_id]) == [gone]
    assert store.list_destroyed_hsm_keys_among([]) == []
