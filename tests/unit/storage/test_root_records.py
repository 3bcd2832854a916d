"""Roots and their rotations: what the database lets happen to them, and what never."""

import pytest

from strongroom.core import StorageError
from strongroom.storage import RootNotInUseError, RootRotationRecord, RootState, RotationState
from unit.storage import record_makers as make

OTHER = bytes(range(1, 17))
THIRD = bytes(range(2, 18))
ROTATION = RootRotationRecord("0" * 36, RotationState.MAKING, "local/1000", 10.0, 5.0)


def pending(root_id=OTHER, created_at=5.0):
    return make.root(
        root_id=root_id,
        created_at=created_at,
        state=RootState.PENDING,
        check_kind="",
        check_value="",
        canary=b"",
        canary_digest=b"",
    )


async def publish(store, root_id=OTHER, created_at=5.0):
    made = make.root(root_id=root_id, created_at=created_at)
    await store.write(lambda tx: tx.insert_root(pending(root_id, created_at)))
    await store.write(lambda tx: tx.publish_root(made))
    return made


def domain_ids(n):
    return [f"00000000-0000-4000-8000-{number:012x}" for number in range(2, n + 2)]


async def test_publishing_a_root_makes_it_the_current_one_and_keeps_the_old_one_in_use(store):
    await store.write(lambda tx: tx.insert_root(pending()))
    assert [root.root_id for root in store.list_roots()] == [make.ROOT_ID], "a pending root is not in use"
    made = make.root(root_id=OTHER, created_at=5.0, check_value="112233")
    await store.write(lambda tx: tx.publish_root(made))
    assert store.list_roots() == [make.root(state=RootState.OLD), made]
    assert store.get_current_root() == made


async def test_a_root_that_is_not_pending_is_not_published(store):
    with pytest.raises(StorageError, match="no pending root"):
        await store.write(lambda tx: tx.publish_root(make.root(root_id=OTHER)))
    assert store.get_current_root() == make.root(), "nothing of it was kept"


async def test_a_root_without_a_canary_cannot_be_in_use(store):
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.insert_root(pending()._replace(state=RootState.CURRENT)))


async def test_a_tombstone_stays_one_and_is_no_root_in_use(store):
    made = await publish(store)
    old = make.root(state=RootState.OLD)
    buried = old._replace(state=RootState.DESTROYED, destroyed_at=9.0)
    await store.write(lambda tx: tx.move_root(buried, was=RootState.OLD))
    assert store.list_roots() == [made]
    assert store.list_all_roots() == [buried, made]
    with pytest.raises(StorageError, match="no old root"):
        await store.write(lambda tx: tx.move_root(old, was=RootState.OLD))


async def test_nothing_new_comes_under_a_root_that_was_destroyed(store):
    await publish(store)
    buried = make.root(state=RootState.DESTROYED, destroyed_at=9.0)
    await store.write(lambda tx: tx.move_root(buried, was=RootState.OLD))
    (late,) = domain_ids(1)
    with pytest.raises(RootNotInUseError):
        await store.write(lambda tx: tx.insert_domain(make.domain(domain_id=late)))
    with pytest.raises(RootNotInUseError):
        await store.write(
            lambda tx: tx.replace_domain_wrapped(
                make.DOMAIN_ID, was=b"wrapped domain KEK", root_id=make.ROOT_ID, wrapped=b"late"
            )
        )
    assert store.get_domain(late) is None
    assert store.get_domain(make.DOMAIN_ID).wrapped == b"wrapped domain KEK"


async def test_a_domain_made_under_an_old_root_is_kept_and_found_for_rewrapping(store):
    await publish(store)
    (late,) = domain_ids(1)
    await store.write(lambda tx: tx.insert_domain(make.domain(domain_id=late)))
    found = store.list_domains_under(make.ROOT_ID, after="", limit=10)
    assert [domain.domain_id for domain in found] == sorted([make.DOMAIN_ID, late])


async def test_a_blob_is_exchanged_only_if_nobody_changed_it_and_only_for_one_under_the_current_root(store):
    await publish(store)

    def rewrap(was, root_id=OTHER):
        return store.write(
            lambda tx: tx.replace_domain_wrapped(
                make.DOMAIN_ID, was=was, root_id=root_id, wrapped=b"rewrapped"
            )
        )

    assert await rewrap(b"what it was once") is False
    assert store.get_domain(make.DOMAIN_ID).root_id == make.ROOT_ID
    assert await rewrap(b"wrapped domain KEK") is True
    assert store.get_domain(make.DOMAIN_ID)[:4] == (make.DOMAIN_ID, OTHER, "shard", b"rewrapped")
    await publish(store, THIRD, 6.0)
    with pytest.raises(RootNotInUseError):
        await rewrap(b"rewrapped", OTHER)


async def test_domains_are_listed_in_pages_and_counted_by_root(store):
    await publish(store)
    for domain_id in domain_ids(5):
        record = make.domain(domain_id=domain_id, root_id=OTHER)
        await store.write(lambda tx, record=record: tx.insert_domain(record))
    assert store.count_domains_by_root() == {make.ROOT_ID: 1, OTHER: 5}
    first = store.list_domains(after="", limit=4)
    rest = store.list_domains(after=first[-1].domain_id, limit=4)
    assert [d.domain_id for d in (*first, *rest)] == [make.DOMAIN_ID, *domain_ids(5)]
    (left,) = store.list_domains_under(make.ROOT_ID, after="", limit=100)
    assert left.domain_id == make.DOMAIN_ID
    assert store.list_domains_under(make.ROOT_ID, after=left.domain_id, limit=100) == []


async def test_a_rotation_is_kept_with_its_progress_and_its_trouble(store):
    assert store.get_last_root_rotation() is None
    await store.write(lambda tx: tx.insert_root_rotation(ROTATION))
    assert store.get_last_root_rotation() == ROTATION
    begun = ROTATION._replace(
        state=RotationState.REWRAPPING, root_id=make.ROOT_ID, published_at=11.0, n_domains=7
    )
    await store.write(lambda tx: tx.change_root_rotation(begun))
    await store.write(lambda tx: tx.note_root_rotation(begun.rotation_id, 3, at=12.0, trouble="x" * 2_000))
    await store.write(lambda tx: tx.note_root_rotation(begun.rotation_id, 2, at=13.0))
    assert store.get_last_root_rotation() == begun._replace(n_rewrapped=5, last_at=13.0)
    later = ROTATION._replace(rotation_id="1" * 36, started_at=20.0)
    await store.write(lambda tx: tx.insert_root_rotation(later))
    assert store.get_last_root_rotation() == later
    assert [one.rotation_id for one in store.list_root_rotations()] == ["0" * 36, "1" * 36]
    with pytest.raises(StorageError, match="no rotation"):
        await store.write(lambda tx: tx.change_root_rotation(later._replace(rotation_id="2" * 36)))
