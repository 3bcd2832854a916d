"""Main's tree: entries come under checkpoints that a key in the HSM signed, also after nobody could sign for a while."""

import asyncio

import pytest

from fakes_act_gate import ACT_RULES
from fakes_custody import approve, ask, begun
from fakes_replication import CLOCK
from fresh_database import fresh_database
from strongroom.audit import AuditLog, Checkpoint, CheckpointFiles, KeyKind, verify_note
from strongroom.config import Home
from strongroom.core import (
    AUDIT_KEY_LABEL,
    ApprovalRequiredError,
    HsmKey,
    HsmKeyId,
    HsmRequestError,
    KeySpec,
    SystemClock,
    random_bytes,
)
from strongroom.custody import document_hash, write_document
from strongroom.hsm.cluster import Replica
from strongroom.runtime import _audit_tree
from strongroom.runtime._audit_signing import HsmSigner
from strongroom.runtime._audit_tree import AuditTree, origin_of_log
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    HsmKeyRecord,
    HsmKeyState,
    Store,
)
from strongroom.testing import FakeHsm, FakeMember


class KeysOfOneMember:
    """A ``CheckpointKeys`` over a fake HSM."""

    def __init__(self, store: Store) -> None:
        self.store, self.hsm = store, FakeHsm("hsm-1")
        self.serves = True
        self.refuses = ()
        self.n_made = 0

    def serving(self):
        return [Replica("hsm-1", None, FakeMember(self.hsm))] if self.serves else []

    async def create(self, spec, usage, label, *, may_leave, deadline, made_for=""):
        if error := dict(self.refuses).get(spec):
            raise error
        self.n_made += 1
        key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage)
        public_key = self.hsm.direct.generate(key, label, may_leave=may_leave)
        record = HsmKeyRecord(*key, label, may_leave, HsmKeyState.ACTIVE, public_key, 1.0)
        await self.store.write(lambda tx: tx.insert_hsm_key(record))
        return record


class Told:
    def __init__(self):
        self.events = []

    def emit(self, event, **fields):
        self.events.append((event, fields))


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    fresh_database(home.database)
    return home


@pytest.fixture
def store(home):
    store = Store.open(home.database)
    yield store
    store.close()


@pytest.fixture
def keys(store):
    return KeysOfOneMember(store)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def audit(home):
    log = AuditLog.open(home.audit, "main", clock=SystemClock())
    yield log
    log.close()


@pytest.fixture
def make(home, store, keys, told, monkeypatch):
    for name in ("_GATHER_EVERY_S", "_CHECKPOINT_EVERY_S", "_TRY_AGAIN_S"):
        monkeypatch.setattr(_audit_tree, name, 0.02)

    def make():
        return AuditTree(home, store, keys, origin="strongroom/test/host", events=told, clock=SystemClock())

    return make


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def covered(home) -> int:
    last = CheckpointFiles(home.audit).last()
    return 0 if last is None else last.checkpoint.size


async def test_entries_come_under_signed_and_cosigned_checkpoints(home, keys, make, audit, told):
    tree = make()
    tree.start()
    for _ in range(3):
        await audit.record("event", "e")
    await until(lambda: covered(home) == 3)
    await audit.record("event", "e")
    await tree.finish()
    files = CheckpointFiles(home.audit)
    last, trusted = files.last(), files.keys()
    assert last.checkpoint.size == 4
    assert [key.kind for key in trusted] == [KeyKind.ED25519, KeyKind.MLDSA44_COSIGNER]
    assert len(verify_note(last.note, trusted)) == 2
    assert (keys.n_made, told.events) == (1, [])
    assert (home.root / _audit_tree.COSIGNER_FILE).stat().st_mode & 0o777 == 0o400
    assert "strongroom_audit_tree_entries 4" in tree.metrics()
    assert "strongroom_audit_checkpoint_behind 0" in tree.metrics()


async def test_the_same_keys_sign_after_a_restart(home, keys, make, audit):
    for _ in range(2):
        tree = make()
        tree.start()
        await audit.record("event", "e")
        await tree.finish()
    assert keys.n_made == 1
    assert len(CheckpointFiles(home.audit).keys()) == 2
    assert covered(home) == 2


async def test_members_that_do_no_ed25519_sign_by_p256(home, keys, store, make, audit):
    keys.refuses = [(KeySpec.ECC_NIST_EDWARDS25519, HsmRequestError("no such key"))]
    tree = make()
    tree.start()
    await audit.record("event", "e")
    await tree.finish()
    assert CheckpointFiles(home.audit).keys()[0].kind is KeyKind.ECDSA_P256
    assert [record.label for record in store.list_hsm_keys()] == [AUDIT_KEY_LABEL]
    assert covered(home) == 1


async def test_entries_gather_while_nobody_signs_and_the_next_checkpoint_covers_them(home, keys, make, audit):
    keys.serves = False
    tree = make()
    tree.start()
    for _ in range(5):
        await audit.record("event", "e")
    await until(lambda: "strongroom_audit_checkpoint_behind 5" in tree.metrics())
    assert covered(home) == 0
    keys.serves = True
    await until(lambda: covered(home) == 5)
    await tree.finish()


async def test_a_key_that_officers_must_approve_is_told_once_and_the_tree_goes_on(
    home, keys, make, audit, told
):
    refusal = ApprovalRequiredError("no approval covers it")
    keys.refuses = [(spec, refusal) for spec in (KeySpec.ECC_NIST_EDWARDS25519, KeySpec.ECC_NIST_P256)]
    tree = make()
    tree.start()
    for number in range(1, 4):
        await audit.record("event", "e")
        await until(lambda number=number: f"strongroom_audit_tree_entries {number}" in tree.metrics())
    await tree.finish()
    assert [event for event, _ in told.events] == ["audit.tree_failed"]
    assert covered(home) == 0


@pytest.fixture
def custody(home, store, told):
    chain = begun(rules=ACT_RULES)
    return CustodyKeeping(store, chain, begun=home.root / "begun", events=told, clock=CLOCK)


async def request_key(store, custody, *officers):
    """Make a request for the key, with the signatures of some officers."""
    now = int(CLOCK.now())
    request = ask(custody._chain.state, "MakeAuditKey", {"spec": "ECC_NIST_P256"}, number=1, now=now)
    data = write_document(request)
    record = ApprovalRecord(
        document_hash(data), "MakeAuditKey", request.requester, data, "ac" * 32, now, request.expires
    )
    signatures = zip(officers, approve(request, *officers), strict=True) if officers else ()

    def insert(tx):
        tx.insert_approval(record)
        for name, signature in signatures:
            tx.insert_approval_signature(ApprovalSignatureRecord(record.id, name, signature, now))

    await store.write(insert)
    return record.id


@pytest.mark.parametrize("officers", [None, (), ("dora",)])
async def test_where_officers_are_no_key_is_made_before_enough_of_them_approved_it(
    store, keys, custody, officers
):
    if officers is not None:
        await request_key(store, custody, *officers)
    signer = HsmSigner(store, keys, custody=custody, clock=CLOCK)
    with pytest.raises(ApprovalRequiredError, match="needs the approval of officers"):
        await signer.sign(Checkpoint("o", 1, bytes(32)))
    assert keys.n_made == 0


async def test_where_officers_are_the_key_is_made_once_as_they_approved_it(store, keys, custody):
    approval = await request_key(store, custody, "dora", "emil")
    signer = HsmSigner(store, keys, custody=custody, clock=CLOCK)
    checkpoint = Checkpoint("o", 1, bytes(32))
    for _ in range(2):
        key, signature = await signer.sign(checkpoint)
        key.verify(checkpoint.text(), signature.data)
    assert key.kind is KeyKind.ECDSA_P256
    assert keys.n_made == 1
    assert store.get_approval(approval).state is ApprovalState.EXECUTED


async def test_an_approval_is_not_lost_when_no_member_makes_the_key(store, keys, custody):
    approval = await request_key(store, custody, "dora", "emil")
    keys.refuses = [(KeySpec.ECC_NIST_P256, HsmRequestError("no such key"))]
    signer = HsmSigner(store, keys, custody=custody, clock=CLOCK)
    with pytest.raises(HsmRequestError):
        await signer.sign(Checkpoint("o", 1, bytes(32)))
    assert store.get_approval(approval).state is ApprovalState.OPEN


async def test_a_damaged_tree_is_told_and_never_signed(home, make, audit, told):
    tree = make()
    tree.start()
    await audit.record("event", "e")
    await tree.finish()
    (home.audit / "tree" / "position").write_bytes(b"{}\n")
    tree = make()
    tree.start()
    await until(lambda: told.events)
    await tree.finish()
    assert told.events[0][0] == "audit.tree_failed"
    assert covered(home) == 1


def test_a_new_log_is_named_after_cluster_and_host():
    assert origin_of_log("My cluster+1").startswith("strongroom/My-cluster-1/")
    assert origin_of_log("").startswith("strongroom/home-")
    assert origin_of_log("") != origin_of_log("")
