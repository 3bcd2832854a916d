"""Uses of versions that several processes noted: joined in the database as in memory."""

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fresh_database import fresh_database
from strongroom.core import StorageError
from strongroom.storage import KeyUseRecord, Store, Transaction
from unit.storage import record_makers as make

DATES = st.none() | st.integers(1, 6).map(float)
USES = st.tuples(
    st.integers(1, 9), st.integers(1, 6).map(float), st.sampled_from(["Encrypt", "Decrypt"]), DATES, DATES
)


@pytest.fixture(scope="module")
def many_uses(tmp_path_factory):
    path = tmp_path_factory.mktemp("uses") / "strongroom.db"
    fresh_database(path)
    with Store.open(path) as store:
        asyncio.run(store.write(make.insert_domain_and_root))
        yield store


@given(noted=st.lists(USES, min_size=1, max_size=5), is_together=st.booleans())
def test_uses_joined_by_the_database_are_those_joined_in_memory(many_uses, noted, is_together):
    key = make.key()
    records = [
        KeyUseRecord(
            key.key_id, key.material_id, n, at, operation, f"request-{i}", min(i, n), protected, processed
        )
        for i, (n, at, operation, protected, processed) in enumerate(noted)
    ]
    expected = records[0]
    for record in records[1:]:
        expected = expected.joined(record)

    async def note():
        await many_uses.write(lambda tx: make.insert_whole_key(tx, key))
        for part in [records] if is_together else [[record] for record in records]:
            await many_uses.note(partial(Transaction.note_key_uses, records=part))

    asyncio.run(note())
    assert many_uses.list_key_uses(key.key_id) == [expected]


def test_uses_and_samples_of_no_key_are_refused_whole(many_uses):
    key = make.key()
    known = KeyUseRecord(key.key_id, key.material_id, 1, 1.0, "Encrypt", "request")

    async def note():
        await many_uses.write(lambda tx: make.insert_whole_key(tx, key))
        with pytest.raises(StorageError):
            await many_uses.note(lambda tx: tx.note_key_uses([known, known._replace(key_id="0" * 36)]))
        with pytest.raises(StorageError):
            await many_uses.note(lambda tx: tx.put_version_samples({("0" * 36, key.material_id): b"s"}))
        await many_uses.note(lambda tx: (tx.note_key_uses([]), tx.put_version_samples({})))

    asyncio.run(note())
    assert many_uses.list_key_uses(key.key_id) == []


def test_a_sample_takes_the_place_of_the_one_before(many_uses):
    key, other = make.key(), make.key()
    place = (key.key_id, key.material_id)

    async def put():
        await many_uses.write(lambda tx: (make.insert_whole_key(tx, key), make.insert_whole_key(tx, other)))
        for sample in (b"first", b"second"):
            await many_uses.note(partial(Transaction.put_version_samples, samples={place: sample}))

    asyncio.run(put())
    assert many_uses.list_samples_of_keys([key.key_id, other.key_id]) == {place: b"second"}
    assert many_uses.list_version_samples(key.key_id) == {key.material_id: b"second"}
