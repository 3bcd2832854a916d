"""A version has the Direct key that was made for it, and no other: what an API process is told of one is looked up."""

import pytest

from strongroom.keyring import MissingRecordError
from unit.keyring.test_direct_keys_of_stores import key, make, store

__all__ = ["key", "store"]


async def test_the_direct_key_of_another_version_is_claimed_by_none(bench, keyring, store, key):
    original = bench.maker.make
    bench.maker.make = lambda _key_id, *how, **more: original(
        "00000000-0000-4000-8000-00000000dead", *how, **more
    )
    with pytest.raises(MissingRecordError):
        await make(keyring, store)
    with pytest.raises(MissingRecordError):
        await keyring.rotations.rotate_on_demand(key.key_id)
    assert [info.key_id for info in keyring.list_keys(limit=10, after=None).keys] == [key.key_id]
