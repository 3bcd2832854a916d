"""Custodians in the database: a challenge is answered once, and who has left never counts again."""

import pytest

from strongroom.core import StorageError
from strongroom.storage import BackupSetRecord, BackupSetState, CustodianRecord, CustodianState

SET = bytes(range(16))


@pytest.fixture
async def held(store):
    """A store with an active set, which anna and ben hold shares of."""
    await store.write(lambda tx: tx.insert_backup_set(BackupSetRecord(SET, b"", BackupSetState.MAKING, 1.0)))
    await store.write(lambda tx: tx.activate_backup_set(SET, b"{}", at=2.0, holders=("anna", "ben")))
    return store


def anna(**changes):
    return CustodianRecord(SET, "anna", proved_at=2.0)._replace(**changes)


async def challenge(store, text=b"c1", at=3.0):
    return await store.write(lambda tx: tx.challenge_custodian(SET, "anna", text, at=at))


async def prove(store, text=b"c1", at=4.0):
    return await store.write(lambda tx: tx.record_possession(SET, "anna", challenge=text, proof=b"p", at=at))


async def leave(store, name="anna"):
    return await store.write(lambda tx: tx.note_custodian_left(SET, name, because="moved", at=9.0))


async def test_a_statement_of_duty_is_kept_and_can_be_made_anew(held):
    for at, document in ((3.0, b"first"), (4.0, b"second")):
        assert await held.write(
            lambda tx, at=at, document=document: tx.acknowledge_custody(SET, "anna", document, at=at)
        )
    assert held.get_custodian(SET, "anna") == anna(acknowledged_at=4.0, acknowledgement=b"second")
    assert held.get_custodian(SET, "ben") == CustodianRecord(SET, "ben", proved_at=2.0)


async def test_a_challenge_is_answered_once_and_only_the_last_one(held):
    assert await challenge(held)
    assert await challenge(held, b"c2", at=3.5)
    assert not await prove(held, b"c1")
    assert held.get_custodian(SET, "anna") == anna(challenge=b"c2", challenged_at=3.5)
    assert await prove(held, b"c2")
    assert held.get_custodian(SET, "anna") == anna(proved_at=4.0, proof=b"p")
    assert not await prove(held, b"c2", at=5.0)
    assert not await prove(held, b"", at=5.0), "an empty challenge is none"


async def test_of_who_left_nothing_changes_any_more(held):
    await challenge(held)
    assert await leave(held)
    gone = anna(state=CustodianState.LEFT, left_at=9.0, left_because="moved")
    assert held.get_custodian(SET, "anna") == gone
    assert not await leave(held)
    assert not await challenge(held)
    assert not await prove(held)
    assert not await held.write(lambda tx: tx.acknowledge_custody(SET, "anna", b"d", at=3.0))
    assert held.list_custodians(SET) == [gone, CustodianRecord(SET, "ben", proved_at=2.0)]


async def test_somebody_who_is_no_custodian_has_no_record_and_gets_none(held):
    assert held.get_custodian(SET, "carl") is None
    assert not await leave(held, "carl")
    assert held.list_custodians(bytes(16)) == []


async def test_a_document_that_is_too_long_is_refused(held):
    with pytest.raises(StorageError, match="rule of the schema"):
        await held.write(lambda tx: tx.acknowledge_custody(SET, "anna", b"d" * 65537, at=3.0))
    with pytest.raises(StorageError, match="rule of the schema"):
        await challenge(held, b"c" * 4097)
