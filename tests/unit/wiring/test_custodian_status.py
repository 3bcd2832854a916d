"""Who is counted on: those who hold a share, proved it within the period, and were not revoked as officers since."""

import msgspec
import pytest

from fakes_custody import change, signed_genesis
from fresh_database import fresh_database
from held_sets import make_set, put_backup, put_set
from strongroom.config import CustodiansConfig
from strongroom.core import KeySpec, KeyUsage, StorageError
from strongroom.custody import Chain
from strongroom.storage import (
    BackupSetRecord,
    BackupSetState,
    CustodyDocumentRecord,
    HsmKeyRecord,
    HsmKeyState,
    RootRecord,
    RootState,
    Store,
)
from strongroom.wiring.custodian_reshare import (
    SetNotRetirableError,
    read_old_sets,
    require_retirable,
    still_opened,
)
from strongroom.wiring.custodian_sets import held_set
from strongroom.wiring.custodian_status import custodian_warnings, read_all_status, read_set_status

DAY = 86_400.0
AT = 1_790_000_000.0
RULES = CustodiansConfig()
FIRST, SECOND = make_set(), make_set("ab" * 16, 2, ("Bern", "Zug", "Genf"))


@pytest.fixture
def store(tmp_path):
    fresh_database(tmp_path / "strongroom.db")
    with Store.open(tmp_path / "strongroom.db") as opened:
        yield opened


async def leave(store, *names):
    for name in names:
        await store.write(
            lambda tx, name=name: tx.note_custodian_left(FIRST.set_id, name, because="left", at=AT)
        )


async def prove(store, name, *, at):
    def work(tx):
        tx.challenge_custodian(FIRST.set_id, name, b"c", at=at)
        return tx.record_possession(FIRST.set_id, name, challenge=b"c", proof=b"p", at=at)

    assert await store.write(work)


def counted(found):
    return {one.custodian for one in found.custodians if one.is_counted}


def test_without_a_set_there_is_nothing_to_tell(store):
    assert read_set_status(store, RULES, now=AT) is None
    assert read_old_sets(store) == []


async def test_a_new_set_counts_everybody_from_its_first_moment(store):
    await put_set(store, FIRST, at=AT)
    found = read_set_status(store, RULES, now=AT)
    assert counted(found) == set(FIRST.shares)
    assert (found.threshold, found.count, found.losses.people, found.is_too_few) == (3, 5, 2, False)
    assert [one.share for one in found.custodians] == [1, 2, 3, 4, 5]
    assert {one.proved_at for one in found.custodians} == {AT}


async def test_reminders_begin_before_the_period_ends_and_nobody_counts_after_it(store):
    await put_set(store, FIRST, at=AT)
    await prove(store, "anna", at=AT + 200 * DAY)
    for day, due, n_counted in ((334, 0, 5), (335, 4, 5), (364, 4, 5), (365, 4, 1), (566, 5, 0)):
        found = read_set_status(store, RULES, now=AT + day * DAY)
        assert sum(one.is_due for one in found.custodians) == due, day
        assert len(counted(found)) == n_counted, day
    assert counted(read_set_status(store, RULES, now=AT + 400 * DAY)) == {"anna"}


async def test_with_a_period_of_zero_nobody_is_asked(store):
    await put_set(store, FIRST, at=AT)
    found = read_set_status(store, CustodiansConfig(prove_every_days=0), now=AT + 9_999 * DAY)
    assert len(counted(found)) == 5
    assert not any(one.is_due or one.due_at for one in found.custodians)


async def test_two_of_five_who_left_raise_the_alarm_and_three_say_that_it_may_be_lost(store):
    await put_set(store, FIRST, at=AT)
    await leave(store, "anna")
    assert not read_set_status(store, RULES, now=AT).is_too_few
    await leave(store, "dora")
    found = read_set_status(store, RULES, now=AT)
    assert found.is_too_few
    assert found.losses.is_recoverable
    assert "one more loss may be one too many" in custodian_warnings(found)[0]
    await leave(store, "emil")
    worse = read_set_status(store, RULES, now=AT)
    assert not worse.losses.is_recoverable
    assert "may be lost already" in custodian_warnings(worse)[0]


async def test_an_officer_who_was_revoked_counts_as_custodian_only_after_another_proof(store):
    await put_set(store, FIRST, at=AT)
    genesis = signed_genesis()
    record = change(
        Chain.from_documents(genesis), "RevokeOfficer", {"officer": "emil", "reason": "x"}, now=int(AT) + 10
    )
    for sequence, data in enumerate((genesis, record)):
        row = CustodyDocumentRecord(sequence, data)
        await store.write(lambda tx, row=row: tx.append_custody_document(row))
    found = read_set_status(store, RULES, now=AT + 20)
    assert counted(found) == set(FIRST.shares) - {"emil"}
    assert any("emil (share 5) is no officer any more" in said for said in custodian_warnings(found))
    await prove(
        store, "emil", at=AT + 10
    )  # in the very second of the revocation: which was first, nobody knows
    assert "emil" not in counted(read_set_status(store, RULES, now=AT + 20))
    await prove(store, "emil", at=AT + 30)
    assert "emil" in counted(read_set_status(store, RULES, now=AT + 40))


async def test_who_has_not_acknowledged_their_duty_is_named(store):
    await put_set(store, FIRST, at=AT)
    await store.write(lambda tx: tx.acknowledge_custody(FIRST.set_id, "anna", b"garbage", at=AT))
    found = read_set_status(store, RULES, now=AT)
    (missing,) = [said for said in custodian_warnings(found) if "acknowledged" in said]
    assert "ben, cleo, dora, emil (" in missing
    assert "does not verify" in found.custodians[0].acknowledged_by


async def test_a_document_of_another_set_in_the_database_is_refused():
    record = BackupSetRecord(SECOND.set_id, b"", BackupSetState.ACTIVE, AT)
    from strongroom.backup import write_set

    with pytest.raises(StorageError, match="another set"):
        held_set(record._replace(document=write_set(FIRST.document)))


async def test_the_newest_set_counts_and_the_one_before_is_told_with_its_backups(store):
    await put_set(store, FIRST, at=AT)
    await put_backup(store, FIRST, "old", at=AT + 1)
    assert read_old_sets(store) == []
    await put_set(store, SECOND, at=AT + 2)
    assert read_set_status(store, RULES, now=AT + 3).set_id == SECOND.set_id.hex()
    assert [one.set_id for one in read_all_status(store, RULES, now=AT + 3)] == [
        SECOND.set_id.hex(),
        FIRST.set_id.hex(),
    ]
    (old,) = read_old_sets(store)
    assert (old.state, [one.backup_id for one in old.backups]) == ("active", ["old"])
    assert old.hinders == "no backup has been made under the new set"


async def test_a_set_is_retired_when_a_backup_under_the_new_one_is_there_and_not_before(store):
    await put_set(store, FIRST, at=AT)
    with pytest.raises(SetNotRetirableError, match="no other set"):
        require_retirable(store, FIRST.set_id)
    await put_set(store, SECOND, at=AT + 2)
    with pytest.raises(SetNotRetirableError, match="no backup has been made") as caught:
        require_retirable(store, FIRST.set_id)
    assert "backup create" in caught.value.next_step
    await put_backup(store, SECOND, "new", at=AT + 3)
    require_retirable(store, FIRST.set_id)
    with pytest.raises(SetNotRetirableError, match="never was active"):
        require_retirable(store, bytes(16))


async def test_backups_of_a_retired_set_are_told_until_they_are_destroyed(store):
    await put_set(store, FIRST, at=AT)
    for number in (1, 2):
        await put_backup(store, FIRST, f"old-{number}", at=AT + number)
    await put_set(store, SECOND, at=AT + 3)
    await store.write(lambda tx: tx.retire_backup_set(FIRST.set_id, at=AT + 4))
    (old,) = read_old_sets(store)
    assert [(one.backup_id, one.state) for one in old.backups] == [
        ("old-2", "to_destroy"),
        ("old-1", "to_destroy"),
    ]
    for number in (1, 2):
        await store.write(lambda tx, number=number: tx.note_backup_destroyed(f"old-{number}", at=AT + 5))
    (old,) = read_old_sets(store)
    assert (old.backups, old.n_destroyed) == ((), 2)
    assert "said to be destroyed" in old.words[0]


def root(number, **changes):
    return RootRecord(
        bytes([number]) * 16, 1, "CKA_CHECK_VALUE", "dc95c0", b"canary", bytes(32), AT
    )._replace(**changes)


async def test_what_old_shares_still_open_is_said_until_the_root_is_another_and_the_old_one_gone(store):
    await store.write(lambda tx: tx.insert_root(root(1)))
    direct = HsmKeyRecord(
        bytes(16), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT, "k", True, HsmKeyState.ACTIVE, b"", AT
    )
    await store.write(lambda tx: tx.insert_hsm_key(direct))
    await put_set(store, FIRST, at=AT)
    await put_backup(store, FIRST, "old", at=AT + 1)
    await put_set(store, SECOND, at=AT + 2)

    def words():
        return " ".join(read_old_sets(store)[0].words)

    assert "Any 3 of the 5 old shares" in words()
    assert "still in use are among it (0101010101010101)" in words()
    assert "Direct keys that are still in use are among it (1)" in words()

    def rotate(tx):
        tx.insert_root(root(2, state=RootState.PENDING, created_at=AT + 5))
        tx.publish_root(root(2, state=RootState.PENDING, created_at=AT + 5))

    await store.write(rotate)
    assert "still in use are among it (0101010101010101)" in words(), "the old root is not destroyed yet"
    gone = root(1, state=RootState.DESTROYED, destroyed_at=AT + 6)
    await store.write(lambda tx: tx.move_root(gone, was=RootState.OLD))
    assert "No root in them is in use any more" in words()
    assert "stays readable" in words()


async def test_a_root_that_was_made_after_a_backup_is_not_said_to_be_in_it(store):
    await store.write(lambda tx: tx.insert_root(root(2, created_at=AT + 50)))
    await put_set(store, FIRST, at=AT)
    await put_backup(store, FIRST, "old", at=AT + 1)
    await put_set(store, SECOND, at=AT + 2)
    assert read_old_sets(store)[0].backups[0].roots_in_use == ()


async def test_keys_that_signed_backups_of_earlier_sets_are_no_direct_keys_to_replace(store):
    signing = bytes.fromhex(FIRST.document.signing_key.cka_id)
    direct = HsmKeyRecord(
        signing, KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY, "s", True, HsmKeyState.ACTIVE, b"k", AT
    )
    await store.write(lambda tx: tx.insert_hsm_key(direct))
    await put_set(store, FIRST, at=AT)
    await put_backup(store, FIRST, "old", at=AT + 1)
    await put_set(store, SECOND, at=AT + 2)
    assert read_old_sets(store)[0].backups[0].direct_keys_in_use == 0


def test_words_about_no_backup_still_tell_to_destroy_the_shares():
    assert "have the shares destroyed" in still_opened(3, 5, ())[0]


async def test_status_and_old_sets_are_plain_json(store):
    await put_set(store, FIRST, at=AT)
    await put_set(store, SECOND, at=AT + 2)
    msgspec.json.encode([read_set_status(store, RULES, now=AT), read_old_sets(store)])
