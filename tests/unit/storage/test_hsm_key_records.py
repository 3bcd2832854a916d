"""Direct keys, their copies and transport keys: what is stored comes back, and a tombstone stays."""

import pytest

from strongroom.core import HsmKey, HsmKeyId, KeySpec, KeyUsage, StorageError, TransportKind
from strongroom.storage import (
    CopyState,
    DuplicateError,
    HsmKeyCopyRecord,
    HsmKeyRecord,
    HsmKeyState,
    TransportKeyRecord,
)

KEY_ID = HsmKeyId(bytes(range(16)))
PENDING = HsmKeyRecord(
    KEY_ID, KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY, "ca", True, HsmKeyState.PENDING, b"", 1.5
)
ACTIVE = PENDING._replace(state=HsmKeyState.ACTIVE, public_key=b"spki", canary=bytes(32))
DESTROYED = ACTIVE._replace(state=HsmKeyState.DESTROYED, destroyed_at=2.5)


async def test_a_key_goes_from_pending_to_active_to_its_tombstone(store):
    await store.write(lambda tx: tx.insert_hsm_key(PENDING))
    assert store.get_hsm_key(KEY_ID) == PENDING
    assert store.get_hsm_key(KEY_ID).key == HsmKey(KEY_ID, KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY)
    await store.write(lambda tx: tx.move_hsm_key(ACTIVE, was=HsmKeyState.PENDING))
    assert store.list_hsm_keys(HsmKeyState.ACTIVE) == [ACTIVE]
    await store.write(lambda tx: tx.move_hsm_key(DESTROYED, was=HsmKeyState.ACTIVE))
    assert store.list_hsm_keys() == store.list_hsm_keys(HsmKeyState.DESTROYED) == [DESTROYED]


async def test_a_key_that_is_not_in_the_state_it_should_leave_stays_as_it_is(store):
    await store.write(lambda tx: tx.insert_hsm_key(DESTROYED))
    for was in (HsmKeyState.PENDING, HsmKeyState.ACTIVE):
        with pytest.raises(StorageError, match=r"no .* Direct key"):
            await store.write(lambda tx, was=was: tx.move_hsm_key(ACTIVE, was=was))
    assert store.get_hsm_key(KEY_ID) == DESTROYED


async def test_no_key_is_made_twice(store):
    await store.write(lambda tx: tx.insert_hsm_key(DESTROYED))
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_hsm_key(PENDING))


@pytest.mark.parametrize(
    "changes",
    [
        {"key_id": b"short"},
        {"label": ""},
        {"label": "x" * 121},
        {"destroyed_at": 2.5},
        {"state": HsmKeyState.DESTROYED},
        {"state": "lost"},
        {"public_key": bytes(1025)},
        {"canary": bytes(31)},
        {"canary": bytes(257)},
    ],
)
async def test_what_no_key_can_be_is_refused(store, changes):
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.insert_hsm_key(PENDING._replace(**changes)))


async def test_what_is_known_of_a_copy_is_replaced(store):
    held = HsmKeyCopyRecord(KEY_ID, "alpha", CopyState.HELD)
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.put_hsm_key_copy(held))
    await store.write(lambda tx: tx.insert_hsm_key(PENDING))
    await store.write(lambda tx: tx.put_hsm_key_copy(held))
    await store.write(lambda tx: tx.put_hsm_key_copy(held._replace(member="beta")))
    await store.write(lambda tx: tx.put_hsm_key_copy(held._replace(state=CopyState.GONE)))
    assert store.list_hsm_key_copies(KEY_ID) == [
        held._replace(state=CopyState.GONE),
        held._replace(member="beta"),
    ]


async def test_a_member_has_one_transport_key_of_each_kind(store):
    record = TransportKeyRecord(bytes(16), "alpha", TransportKind.AES, 0x210A, 1.5)
    await store.write(lambda tx: tx.insert_transport_key(record))
    other = record._replace(transport_id=bytes([1]) * 16, kind=TransportKind.RSA)
    await store.write(lambda tx: tx.insert_transport_key(other))
    assert store.list_transport_keys() == [record, other]
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_transport_key(record._replace(transport_id=bytes([2]) * 16)))
