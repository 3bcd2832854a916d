"""Main keeps the books about custodians for the home's owner alone, and every change is in the audit log."""

import asyncio
from types import SimpleNamespace

import pytest

from fakes_custody import PEOPLE, genesis_body, key_of, signed_genesis
from fresh_database import fresh_database
from held_sets import make_set, put_backup, put_set
from strongroom.audit import AuditLog, read_entries
from strongroom.config import CustodiansConfig
from strongroom.core import ApprovalRequiredError
from strongroom.custody import Chain, CustodyError, OfficerPrivateKey
from strongroom.runtime._custodian_keeping import CustodianCareError, CustodianKeeping
from strongroom.runtime._custodian_reminders import CustodianReminders
from strongroom.shares import PossessionError
from strongroom.storage import CustodianState, Store
from strongroom.testing import FakeClock, RecordingEvents
from strongroom.wiring.custodian_documents import (
    NAMESPACE_CUSTODIAN,
    CustodianDocumentError,
    answer_challenge,
    write_custodian_document,
)
from strongroom.wiring.custodian_door import CustodianRequest
from strongroom.wiring.custodian_sets import active_set, duty_for

API_PID = 4_242
DAY = 86_400.0
MADE = make_set()


class Bench:
    """A database with a set of 3 of 5, and main's part over it."""

    def __init__(self, store, audit, folder):
        self.store, self.audit, self.folder = store, audit, folder
        self.clock, self.events = FakeClock(), RecordingEvents()
        self.reminders = CustodianReminders(store, CustodiansConfig(), events=self.events, clock=self.clock)
        self.keep(None)

    def keep(self, custody):
        self.keeping = CustodianKeeping(
            self.store,
            self.audit,
            api_pids=lambda: {API_PID},
            custody=custody,
            changed=self.reminders.look,
            clock=self.clock,
        )

    async def ask(self, action, pid=1, **fields):
        return await self.keeping.answer(CustodianRequest(action, **fields), pid)

    async def challenge(self, name):
        (made,) = (await self.ask("challenge", custodian=name)).challenges
        return made.document

    async def prove(self, name, share=None):
        proof = answer_challenge(await self.challenge(name), share or MADE.shares[name])
        return await self.ask("record-proof", document=write_custodian_document(proof))

    def record(self, name):
        return self.store.get_custodian(MADE.set_id, name)

    def signature(self, name, key, namespace=NAMESPACE_CUSTODIAN):
        found = active_set(self.store)
        return key.sign(write_custodian_document(duty_for(found, found.holder(name))), namespace)

    def told(self, event):
        return [(e.kind, e.outcome, e.detail) for e in read_entries(self.folder) if e.event == event]


@pytest.fixture
async def bench(tmp_path):
    fresh_database(tmp_path / "strongroom.db")
    audit = AuditLog.open(tmp_path / "audit", "main", clock=FakeClock())
    try:
        with Store.open(tmp_path / "strongroom.db") as store:
            bench = Bench(store, audit, tmp_path / "audit")
            await put_set(store, MADE, at=bench.clock.now())
            yield bench
    finally:
        audit.close()


async def test_everybody_who_holds_a_share_is_challenged_and_an_answer_is_recorded_once(bench):
    answer = await bench.ask("challenge")
    assert [one.custodian for one in answer.challenges] == list(MADE.shares)
    bench.clock.advance(5 * DAY)
    for one in answer.challenges:
        proof = write_custodian_document(answer_challenge(one.document, MADE.shares[one.custodian]))
        assert (await bench.ask("record-proof", document=proof)).custodian == one.custodian
        assert bench.record(one.custodian).proved_at == bench.clock.now()
        with pytest.raises(CustodianCareError, match="no challenge waits"):
            await bench.ask("record-proof", document=proof)
    kinds = [(kind, outcome) for kind, outcome, _ in bench.told("custodian.RecordProof")]
    assert kinds == [("intent", ""), ("outcome", "ok")] * 5
    assert bench.told("custodian.Challenge")[1][2] == {"set": MADE.set_id.hex(), "custodian": "anna"}


async def test_a_challenge_that_waits_is_given_again_until_it_expires(bench):
    first = await bench.challenge("anna")
    bench.clock.advance(29 * DAY)
    assert await bench.challenge("anna") == first
    bench.clock.advance(2 * DAY)
    assert await bench.challenge("anna") != first
    proof = write_custodian_document(answer_challenge(first, MADE.shares["anna"]))
    with pytest.raises(CustodianDocumentError, match="another challenge"):
        await bench.ask("record-proof", document=proof)


async def test_a_stored_challenge_that_is_damaged_gives_way_to_a_new_one(bench):
    await bench.store.write(lambda tx: tx.challenge_custodian(MADE.set_id, "anna", b"garbage", at=1.0))
    assert (await bench.prove("anna")).custodian == "anna"


async def test_a_share_of_another_set_proves_nothing_and_that_is_told(bench):
    with pytest.raises(PossessionError):
        await bench.prove("anna", make_set("cd" * 16).shares["anna"])
    assert bench.record("anna").proof == b""
    assert bench.told("custodian.RecordProof")[-1][:2] == ("outcome", "PossessionError")


async def test_two_answers_at_the_same_moment_are_one_proof(bench):
    proof = answer_challenge(await bench.challenge("anna"), MADE.shares["anna"])
    request = {"document": write_custodian_document(proof)}
    done = await asyncio.gather(
        *(bench.ask("record-proof", **request) for _ in range(3)), return_exceptions=True
    )
    assert sorted(isinstance(one, CustodianCareError) for one in done) == [False, True, True]


async def test_who_left_is_asked_nothing_any_more(bench):
    await bench.ask("left", custodian="anna", words="moved to another company")
    assert bench.record("anna").state is CustodianState.LEFT
    assert [one.custodian for one in (await bench.ask("challenge")).challenges] == list(MADE.shares)[1:]
    for action in ("challenge", "acknowledge", "left"):
        with pytest.raises(CustodianCareError, match="has left"):
            await bench.ask(action, custodian="anna", words="x")
    assert bench.told("custodian.Left")[-1][2]["because"] == "moved to another company"


async def test_an_acknowledgement_is_taken_with_a_signature_or_from_paper(bench):
    key = OfficerPrivateKey.generate()
    answer = await bench.ask("acknowledge", custodian="anna", document=bench.signature("anna", key))
    assert (answer.key, answer.is_officer_key) == (key.public.fingerprint, False)
    assert bench.record("anna").acknowledged_at == bench.clock.now()
    assert bench.told("custodian.Acknowledge")[-1][2]["key"] == key.public.fingerprint
    await bench.ask("acknowledge", custodian="ben", words="Gus Grau")
    assert bench.told("custodian.Acknowledge")[-1][2]["seen_by"] == "Gus Grau"
    with pytest.raises(CustodianDocumentError, match="who saw"):
        await bench.ask("acknowledge", custodian="cleo")
    with pytest.raises(CustodyError):
        await bench.ask("acknowledge", custodian="cleo", document=bench.signature("anna", key))
    assert bench.record("cleo").acknowledged_at is None


async def test_who_is_an_officer_signs_with_a_key_of_theirs_and_nobody_else_does(bench):
    body = genesis_body(people={name: PEOPLE[name] for name in ("anna", "cleo", "dora", "emil")})
    bench.keep(SimpleNamespace(chain=Chain.from_documents(signed_genesis(body))))
    own = bench.signature("anna", key_of("anna"))
    assert (await bench.ask("acknowledge", custodian="anna", document=own)).is_officer_key
    with pytest.raises(CustodianCareError, match="none of officer cleo"):
        await bench.ask(
            "acknowledge", custodian="cleo", document=bench.signature("cleo", OfficerPrivateKey.generate())
        )
    with pytest.raises(CustodianCareError, match="a key of officer dora"):
        await bench.ask("acknowledge", custodian="ben", document=bench.signature("ben", key_of("dora")))
    assert bench.record("ben").acknowledged_at is None


async def test_a_destroyed_backup_is_noted_once_with_who_saw_it(bench):
    await put_backup(bench.store, MADE, "b-1", at=1.0)
    await bench.ask("destroyed", backup_id="b-1", words="Gus Grau")
    assert bench.store.get_backup("b-1").state == "destroyed"
    assert bench.told("backup.Destroyed")[-1][2]["seen_by"] == "Gus Grau"
    with pytest.raises(CustodianCareError, match="destroyed before"):
        await bench.ask("destroyed", backup_id="b-1", words="Gus Grau")
    with pytest.raises(CustodianCareError, match="no backups"):
        await bench.ask("destroyed", backup_id="b-9", words="Gus Grau")


async def test_a_backup_is_named_by_the_beginning_of_its_id_and_not_destroyed_while_its_file_is_there(
    bench, tmp_path
):
    for name in ("aabbccdd-1", "aabbccdd-2", "eeff0011-1"):
        await put_backup(bench.store, MADE, name, at=1.0, folder=tmp_path)
    (tmp_path / "eeff0011-1").write_bytes(b"bundle")
    with pytest.raises(CustodianCareError, match="still where it was written"):
        await bench.ask("destroyed", backup_id="eeff0011", words="Gus Grau")
    (tmp_path / "eeff0011-1").unlink()
    assert (await bench.ask("destroyed", backup_id="eeff0011", words="x")).backup_id == "eeff0011-1"
    for unclear in ("aabbccdd", "eeff"):
        with pytest.raises(CustodianCareError, match="begins with"):
            await bench.ask("destroyed", backup_id=unclear, words="x")


@pytest.mark.parametrize(
    "request_",
    [
        CustodianRequest("challenge", custodian="nobody"),
        CustodianRequest("left", custodian="nobody", words="x"),
        CustodianRequest("left", custodian="anna", words=" "),
        CustodianRequest("destroyed", backup_id="b", words=""),
        CustodianRequest("record-proof", document=b"{}"),
        CustodianRequest("acknowledge", custodian="anna", document=b"no signature"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(bench, request_):
    before = bench.store.list_custodians(MADE.set_id)
    with pytest.raises((CustodianCareError, CustodianDocumentError, CustodyError)):
        await bench.keeping.answer(request_, 1)
    assert bench.store.list_custodians(MADE.set_id) == before


async def test_an_api_process_is_not_heard(bench):
    with pytest.raises(ApprovalRequiredError):
        await bench.ask("left", pid=API_PID, custodian="anna", words="x")
    assert bench.record("anna").state is CustodianState.HOLDING


async def test_the_alarm_is_raised_when_a_second_of_five_leaves_and_once_a_day(bench):
    await bench.ask("left", custodian="anna", words="x")
    assert bench.events.named("custodians.too_few") == []
    await bench.ask("left", custodian="ben", words="x")
    bench.reminders.look()
    (told,) = bench.events.named("custodians.too_few")
    assert (told["counted"], told["threshold"]) == (3, 3)
    assert "strongroom_custodians_too_few 1" in bench.reminders.metrics()
    bench.clock.advance(DAY)
    bench.reminders.look()
    assert len(bench.events.named("custodians.too_few")) == 2
    await bench.ask("left", custodian="cleo", words="x")
    assert bench.events.named("custodians.too_few")[-1]["counted"] == 2


async def test_reminders_come_before_the_period_ends_and_stop_with_the_proof(bench):
    bench.clock.advance(334 * DAY)
    bench.reminders.look()
    assert bench.events.events == []
    bench.clock.advance(DAY)
    bench.reminders.look()
    assert [told["custodian"] for told in bench.events.named("custodian.due")] == list(MADE.shares)
    assert bench.reminders.metrics().count('strongroom_custodian_due{custodian="anna"} 1') == 1
    await bench.prove("anna")
    assert 'strongroom_custodian_due{custodian="anna"} 0' in bench.reminders.metrics()
    bench.clock.advance(31 * DAY)
    bench.reminders.look()
    assert bench.events.named("custodians.too_few")[-1]["counted"] == 1
    assert "strongroom_custodians_counted 1" in bench.reminders.metrics()


async def test_without_a_set_nothing_is_said_and_what_is_asked_is_refused(tmp_path):
    fresh_database(tmp_path / "strongroom.db")
    events = RecordingEvents()
    with Store.open(tmp_path / "strongroom.db") as store:
        reminders = CustodianReminders(store, CustodiansConfig(), events=events, clock=FakeClock())
        reminders.look()
        assert events.events == []
        assert "strongroom_backups_to_destroy 0" in reminders.metrics()
        assert "custodian_due" not in reminders.metrics()


async def test_a_set_that_cannot_be_read_is_told_and_stops_nobody(bench):
    def spoil(tx):
        tx.activate_backup_set(b"x" * 16, b"garbage", at=bench.clock.now() + 1, holders=())

    from strongroom.storage import BackupSetRecord, BackupSetState

    record = BackupSetRecord(b"x" * 16, b"", BackupSetState.MAKING, 1.0)
    await bench.store.write(lambda tx: tx.insert_backup_set(record))
    await bench.store.write(spoil)
    bench.reminders.look()
    assert len(bench.events.named("custodians.unreadable")) == 1
