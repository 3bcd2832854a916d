"""What main does about Direct keys in a home with officers: it begins nothing that members would not let be done."""

import uuid

import pytest

from fakes_act_gate import ACT_RULES
from fakes_custody import approve, ask, begun, genesis_body, signed_genesis
from fakes_replication import CLOCK, FakeCluster
from fresh_database import fresh_database
from strongroom.core import ApprovalRequiredError, KeyOrigin, KeySpec, KeyState, KeyUsage
from strongroom.custody import UNDO_S, document_hash, write_document
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._key_making import KeyMaking
from strongroom.runtime._key_requests import DestroyKey, MakeKey
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    CustodyDocumentRecord,
    DomainRecord,
    HsmKeyState,
    KeyRecord,
    KeyVersionRecord,
    Store,
)

AES, ENCRYPTS = KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT
CREATE = {"spec": "AES_256", "usage": "ENCRYPT_DECRYPT", "may_leave": True}
DOMAIN = "00000000-0000-4000-8000-000000000001"


class Officers:
    """A cluster with officers, and main's making of keys in it."""

    def __init__(self, cluster, begun_file):
        self.cluster, self.store = cluster, cluster.store
        self.chain = begun(rules=ACT_RULES)
        self.custody = CustodyKeeping(
            self.store, self.chain, begun=begun_file, events=cluster.events, clock=CLOCK
        )
        self.making = KeyMaking(
            self.store,
            cluster.replication,
            most_keys=10,
            custody=self.custody,
            events=cluster.events,
            clock=CLOCK,
        )
        self._number = 0

    async def approved(self, verb, parameters, *names):
        self._number += 1
        now = int(CLOCK.now())
        request = ask(self.chain.state, verb, parameters, number=self._number, now=now)
        data = write_document(request)
        record = ApprovalRecord(
            document_hash(data), verb, request.requester, data, "ac" * 32, now, request.expires, ApprovalState.EXECUTED, now
        )  # fmt: skip
        names = names or ("dora", "emil")
        signed = zip(names, approve(request, *names), strict=True)
        rows = [ApprovalSignatureRecord(record.id, name, signature, now) for name, signature in signed]

        def insert(tx):
            tx.insert_approval(record)
            for row in rows:
                tx.insert_approval_signature(row)

        await self.store.write(insert)
        return record.id

    async def due_key(self):
        """A key of the service whose date of destruction has come, and the Direct key that it is."""
        key_id = str(uuid.uuid4())
        approval = await self.approved("CreateHsmKey", CREATE)
        made = await self.making.make(MakeKey(1, key_id, 1, AES, ENCRYPTS, approval), "api")
        record = KeyRecord(key_id, KeyState.SUSPENDED, "", 1.0, DOMAIN, 1, "ab" * 32)
        record = record._replace(origin=KeyOrigin.AWS_CLOUDHSM, destroy_at=2.0)
        version = KeyVersionRecord(key_id, 1, "ab" * 32, b"", 1.0, b"", made.hsm_key_id)

        def insert(tx):
            tx.insert_key(record)
            tx.insert_key_version(version)

        await self.store.write(insert)
        return key_id, made.hsm_key_id

    def state(self, hsm_key_id):
        return self.store.get_hsm_key(hsm_key_id).state


@pytest.fixture
async def officers(tmp_path):
    fresh_database(tmp_path / "strongroom.db")
    with Store.open(tmp_path / "strongroom.db") as store:
        cluster = FakeCluster(store, ("alpha", "beta"))
        await cluster.make()
        await cluster.join_all()
        domain = DomainRecord(DOMAIN, cluster.root.root_id, "shard", b"wrapped", 0, 1.0)
        genesis = signed_genesis(genesis_body(rules=ACT_RULES))

        def insert(tx):
            tx.insert_domain(domain)
            tx.append_custody_document(CustodyDocumentRecord(0, genesis))

        await store.write(insert)
        found = Officers(cluster, tmp_path / "begun" / "main")
        yield found
        found.making.close()


async def test_a_key_that_nobody_approved_is_not_begun(officers):
    wrong = await officers.approved("CreateHsmKey", {**CREATE, "may_leave": False})
    few = await officers.approved("CreateHsmKey", CREATE, "dora")
    for approval in ("", "ab" * 32, wrong, few):
        with pytest.raises(ApprovalRequiredError):
            await officers.making.make(MakeKey(1, str(uuid.uuid4()), 1, AES, ENCRYPTS, approval), "api")
    assert officers.store.count_hsm_keys() == 0


async def test_of_a_key_that_is_due_just_what_was_approved_is_destroyed(officers):
    key_id, hsm_key_id = await officers.due_key()
    right = {"key_id": key_id, "hsm_keys": [hsm_key_id.hex()]}
    for parameters in ({**right, "key_id": DOMAIN}, {**right, "hsm_keys": ["ab" * 16]}, None):
        approval = "" if parameters is None else await officers.approved("DestroyHsmKey", parameters)
        with pytest.raises(ApprovalRequiredError):
            await officers.making.destroy(DestroyKey(1, key_id, approval))
    assert officers.state(hsm_key_id) is HsmKeyState.ACTIVE
    approval = await officers.approved("DestroyHsmKey", right)
    assert (await officers.making.destroy(DestroyKey(1, key_id, approval))).was_due
    assert officers.state(hsm_key_id) is HsmKeyState.DESTROYED


async def test_what_belongs_to_no_version_goes_while_it_can_be_undone_and_else_when_officers_approve(
    officers, monkeypatch
):
    approval = await officers.approved("CreateHsmKey", CREATE)
    made = await officers.making.make(MakeKey(1, str(uuid.uuid4()), 1, AES, ENCRYPTS, approval), "api")
    record = officers.store.get_hsm_key(made.hsm_key_id)
    assert officers.custody.lets_destroy(record)
    old = record._replace(created_at=CLOCK.now() - UNDO_S)
    assert not officers.custody.lets_destroy(old)
    await officers.store.write(lambda tx: tx.move_hsm_key(old, was=HsmKeyState.ACTIVE))
    monkeypatch.setattr(officers.custody, "lets_destroy", lambda _record: False)
    await officers.making.start()
    assert officers.state(made.hsm_key_id) is HsmKeyState.ACTIVE
    (event,) = [one for one in officers.cluster.events.events if one.name == "key.unclaimed_needs_approval"]
    assert event.fields["keys"] == made.hsm_key_id.hex()
    monkeypatch.undo()
    await officers.approved("DestroyHsmKey", {"key_id": "", "hsm_keys": [made.hsm_key_id.hex()]})
    officers.custody._late._read_at = float("-inf")  # as if some seconds had passed
    assert officers.custody.lets_destroy(old)


async def test_that_a_destruction_was_begun_while_it_was_approved_main_knows_by_itself(officers, monkeypatch):
    """Whoever writes the database writes there that an expired request was executed in time."""
    key_id, hsm_key_id = await officers.due_key()
    old = officers.store.get_hsm_key(hsm_key_id)._replace(created_at=CLOCK.now() - UNDO_S)
    await officers.approved("DestroyHsmKey", {"key_id": key_id, "hsm_keys": [hsm_key_id.hex()]})
    begun_one = await officers.approved("DestroyHsmKey", {"key_id": DOMAIN, "hsm_keys": ["ab" * 16]})
    act = officers.custody.approved(begun_one, "DestroyHsmKey", {"key_id": DOMAIN, "hsm_keys": ["ab" * 16]})
    officers.custody.begin(act)
    now = CLOCK.now()
    monkeypatch.setattr(CLOCK, "now", lambda: now + 4_000)
    assert not officers.custody.lets_destroy(old)
    (late,) = [officers.custody._find_late("DestroyHsmKey", "ab" * 16)]
    assert (late.approval, late.admission.executed) == (begun_one, int(now))


async def test_uses_of_a_standing_approval_are_counted_over_all_members_whatever_the_database_says(officers):
    now = int(CLOCK.now())
    terms = {
        "verb": "CreateHsmKey", "fixed": CREATE, "free": [], "uses": 2, "rate_uses": 2, "rate_s": 1,
        "begins": now - 60, "ends": now + 600,
    }  # fmt: skip
    approval = await officers.approved("AllowStanding", terms)
    await officers.making.make(MakeKey(1, str(uuid.uuid4()), 1, AES, ENCRYPTS, approval), "api")
    await officers.custody.claimed(
        approval, "CreateHsmKey", CREATE, "local/0"
    )  # as who asks main itself does
    with pytest.raises(ApprovalRequiredError, match="as often as it allows"):
        await officers.making.make(MakeKey(2, str(uuid.uuid4()), 1, AES, ENCRYPTS, approval), "api")
    with pytest.raises(ApprovalRequiredError, match="as often as it allows"):
        await officers.custody.claimed(approval, "CreateHsmKey", CREATE, "local/0")
    assert officers.store.count_hsm_keys() == 1


async def test_one_approval_makes_one_key_over_all_members(officers):
    approval = await officers.approved("CreateHsmKey", CREATE)
    await officers.making.make(MakeKey(1, str(uuid.uuid4()), 1, AES, ENCRYPTS, approval), "api")
    with pytest.raises(ApprovalRequiredError, match="executed or rejected already"):
        await officers.making.make(MakeKey(2, str(uuid.uuid4()), 1, AES, ENCRYPTS, approval), "api")
    assert officers.store.count_hsm_keys() == 1
