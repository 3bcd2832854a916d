"""One row of ``keys`` that nobody understands is told as such, and holds up no work on other keys."""

import pytest

from strongroom.core import KeyState, StorageError
from unit.storage.record_makers import DOMAIN_ID, key, version_of

DUE_AT = 10.0


async def put(store, record):
    def write(tx):
        tx.insert_key(record)
        tx.insert_key_version(version_of(record))

    await store.write(write)
    return record


async def spoil(store, column, record):
    def write(tx):
        tx._connection.exec_driver_sql(
            f"UPDATE keys SET {column} = 'NONSENSE' WHERE key_id = ?",  # noqa: S608  # a name of ours
            (record.key_id,),
        )

    await store.write(write)


@pytest.mark.parametrize("column", ["spec", "usage", "origin"])
@pytest.mark.parametrize(
    ("changes", "listed"),
    [
        ({"rotation_days": 90, "rotate_at": DUE_AT}, lambda s: s.list_keys_to_rotate(20.0, limit=10)),
        (
            {"period_days": 1, "period_ends_at": DUE_AT},
            lambda s: s.list_keys_whose_period_is_over(20.0, limit=10),
        ),
        (
            {"state": KeyState.SUSPENDED, "destroy_at": DUE_AT},
            lambda s: s.list_keys_due(20.0, limit=10),
        ),
        ({}, lambda s: s.list_keys_in_domain(DOMAIN_ID, after="", limit=10)),
    ],
    ids=["rotation", "cryptoperiod", "destruction", "domain"],
)
async def test_a_key_whose_row_cannot_be_read_holds_up_no_other(store, column, changes, listed):
    good, bad = await put(store, key(**changes)), await put(store, key(**changes))
    await spoil(store, column, bad)
    assert [record.key_id for record in listed(store)] == [good.key_id]
    with pytest.raises(StorageError, match=bad.key_id):
        store.get_key(bad.key_id)
