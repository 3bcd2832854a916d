"""Main carries approvals to a real worker on SoftHSM, which judges for itself: what was not approved is not begun, and what a
member missed it is told of later."""

import asyncio
import contextlib

import msgspec
import pytest

from custody_worker import (
    CREATE,
    SPEC,
    USAGE,
    Asking,
    CustodyHome,
    admission,
    chain,
    genesis,
    key_named,
    seconds,
)
from fakes_custody import approve, change
from strongroom.config import load_config
from strongroom.config._config import CustodyConfig
from strongroom.core import ApprovalRequiredError, ConfigError, Deadline, KeySpec, KeyUsage, SystemClock
from strongroom.custody import Chain, document_hash, write_document
from strongroom.hsm.cluster import MemberState, Rules, WorkerEntry
from strongroom.hsm.wire import GenerateDirect, PinCustody
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._custody_telling import CustodyTelling, WorkerDoor
from strongroom.runtime._key_making import KeyMaking
from strongroom.runtime._key_requests import MakeKey
from strongroom.runtime._reconciling import Reconciling
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    CopyState,
    CustodyDocumentRecord,
    HsmKeyCopyRecord,
    HsmKeyRecord,
    HsmKeyState,
    SignatureKind,
    Store,
)
from strongroom.testing import RecordingEvents
from strongroom.wiring.custody_home import chain_of_home
from strongroom.wiring.members_door import MembersRequest

VICTIM = key_named(1)
PAIR = ("dora", "emil")
KEY_ID = "00000000-0000-4000-8000-000000000001"
OTHER_KEY_ID = "00000000-0000-4000-8000-000000000002"


def deadline():
    return Deadline.after(SystemClock(), 60)


class Main:
    """What main has of custody: database, chain, and one member that serves."""

    def __init__(self, home, door, store):
        self.home, self.door, self.store = home, door, store
        self.events, self.clock = RecordingEvents(), SystemClock()
        self.custody = CustodyKeeping(
            store, chain(), begun=home.home.custody / "begun" / "main", events=self.events, clock=self.clock
        )
        self.ask = Asking(chain().state)
        if door is None:
            return
        bootstrap = door.bootstrap
        entry = WorkerEntry("alpha", 0, 1, MemberState.ACTIVE, bootstrap.use_path, pid=door.child.pid)
        self.keys = Reconciling(
            store, lambda: [entry], rules=Rules(1), revive=lambda _name: None, refused=lambda _entry, _why: None,
            before=self.custody.before, events=self.events, clock=self.clock,
        )  # fmt: skip
        self.making = KeyMaking(
            store, self.keys, most_keys=50, custody=self.custody, events=self.events, clock=self.clock
        )
        self.worker = WorkerDoor("alpha", bootstrap.admin_path, door.child.pid)

    async def approved(self, verb, parameters, *names, state=ApprovalState.EXECUTED, request=None):
        """Officers approve; returns the id of the request."""
        request = request or self.ask(verb, parameters)
        data = write_document(request)
        at = seconds() if state is ApprovalState.EXECUTED else None
        record = ApprovalRecord(
            document_hash(data), verb, request.requester, data, "ac" * 32, request.created, request.expires, state, at, "",
        )  # fmt: skip
        rows = [
            ApprovalSignatureRecord(record.id, name, signature, 1.0)
            for name, signature in zip(names or PAIR, approve(request, *(names or PAIR)), strict=True)
        ]

        def insert(tx):
            tx.insert_approval(record)
            for row in rows:
                tx.insert_approval_signature(row)

        await self.store.write(insert)
        return record.id

    async def held(self):
        return {cka_id for _, cka_id, _ in await self.door.objects()}


@pytest.fixture
async def main_alone(initialised_home, tmp_path):
    """Main before any member serves."""
    home = CustodyHome(initialised_home, tmp_path)
    home.put_genesis()
    with contextlib.ExitStack() as stack:
        stack.callback(home.close)
        store = stack.enter_context(contextlib.closing(Store.open(home.home.database)))
        await store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, genesis())))
        yield Main(home, None, store)


@pytest.fixture
async def main(initialised_home, tmp_path):
    home = CustodyHome(initialised_home, tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(home.close)
        async with home.worker("administer") as door:
            await door.call(GenerateDirect(VICTIM, "a key of before", may_leave=True))
            home.put_genesis()
            await door.call(PinCustody(genesis()))
        store = stack.enter_context(contextlib.closing(Store.open(home.home.database)))
        await store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, genesis())))
        door = await stack.enter_async_context(home.worker())
        found = Main(home, door, store)
        stack.callback(found.keys.close)
        stack.callback(found.custody.close)
        yield found


async def test_a_key_is_made_when_officers_approved_just_that_and_once(main):
    def asks(version, approval):
        return MakeKey(version, KEY_ID, version, SPEC, USAGE, approval)

    before = await main.held()
    for approval in ("", "ab" * 32, await main.approved("CreateHsmKey", CREATE, "dora")):
        with pytest.raises(ApprovalRequiredError):
            await main.making.make(asks(1, approval), "an api process")
    assert await main.held() == before
    approval = await main.approved("CreateHsmKey", CREATE)
    made = await main.making.make(asks(1, approval), "an api process")
    assert made.hsm_key_id in await main.held()
    other = await main.approved("CreateHsmKey", {**CREATE, "spec": "RSA_2048", "usage": "SIGN_VERIFY"})
    for spent in (approval, other):
        with pytest.raises(ApprovalRequiredError):
            await main.making.make(MakeKey(9, OTHER_KEY_ID, 1, SPEC, USAGE, spent), "an api process")
    assert await main.held() == before | {made.hsm_key_id}


async def test_rotations_on_a_schedule_go_on_under_a_standing_approval_as_often_as_it_allows(main):
    terms = {
        "verb": "CreateHsmKey", "fixed": CREATE, "free": [], "uses": 2, "rate_uses": 2, "rate_s": 1, "begins": seconds() - 60,
        "ends": seconds() + 3_600,
    }  # fmt: skip
    approval = await main.approved("AllowStanding", terms, state=ApprovalState.STANDING)
    made = [
        await main.making.make(MakeKey(n, KEY_ID[:-1] + str(n), 1, SPEC, USAGE, approval), "x")
        for n in (1, 2)
    ]
    assert {one.hsm_key_id for one in made} <= await main.held()
    with pytest.raises(ApprovalRequiredError, match="as often as it allows"):
        await main.making.make(MakeKey(3, KEY_ID[:-1] + "3", 1, SPEC, USAGE, approval), "x")
    other = MakeKey(4, KEY_ID[:-1] + "4", 1, KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY, approval)
    with pytest.raises(ApprovalRequiredError, match="does not cover"):
        await main.making.make(other, "x")


async def test_a_member_that_has_not_destroyed_a_key_does_so_when_it_is_told_who_approved_it(main):
    record = HsmKeyRecord(
        VICTIM.key_id, SPEC, USAGE, "a key of before", True, HsmKeyState.ACTIVE, b"", seconds() - 86_400
    )

    def insert(tx):
        tx.insert_hsm_key(record)
        tx.put_hsm_key_copy(HsmKeyCopyRecord(VICTIM.key_id, "alpha", CopyState.HELD))

    await main.store.write(insert)
    destroyed = await main.keys.destroy_chosen(lambda _tx: [VICTIM.key_id], deadline=deadline())
    assert [one.left_on for one in destroyed] == [("alpha",)], (
        "the worker lets nobody destroy what nobody approved"
    )
    assert VICTIM.key_id in await main.held()
    (answer,) = (await main.keys.answer(MembersRequest("reconcile", None))).reports
    assert any("no approval covers it" in drift.cause for drift in answer.drifts)
    # Officers had approved it, main had begun it, and an officer has gone since.
    parameters = {"key_id": KEY_ID, "hsm_keys": [VICTIM.key_id.hex()]}
    approval = await main.approved("DestroyHsmKey", parameters)
    main.custody.begin(main.custody.approved(approval, "DestroyHsmKey", parameters))
    data = change(chain(), "RevokeOfficer", {"officer": "emil", "reason": "left"}, now=seconds())
    await main.store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(1, data)))
    main.custody._late._read_at = float("-inf")  # as if some seconds had passed
    (answer,) = (await main.keys.answer(MembersRequest("reconcile", None))).reports
    assert [drift.repair for drift in answer.drifts if drift.object_id == VICTIM.key_id.hex()] == [
        "destroyed"
    ]
    assert VICTIM.key_id not in await main.held()
    assert (await main.door.place()).sequence == 1, "it was shown the newest record before"


async def test_a_change_of_officers_reaches_the_members_that_serve(main):
    await main.custody.introduce(main.worker)
    main.custody.start(lambda: [main.worker])
    data = change(chain(), "RevokeOfficer", {"officer": "emil", "reason": "left"})
    await main.store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(1, data)))
    async with asyncio.timeout(60):
        while (await main.door.place()).pinned_sequence != 1:
            await asyncio.sleep(0.1)
    assert main.custody.chain.state.officers["emil"].is_revoked
    request = Asking(main.custody.chain.state)("CreateHsmKey", CREATE)
    (signature,) = approve(request, "finn", kind="rejection")
    rejected = await main.approved("CreateHsmKey", CREATE, state=ApprovalState.REJECTED, request=request)
    row = ApprovalSignatureRecord(rejected, "finn", signature, 2.0, SignatureKind.REJECTION)
    await main.store.write(lambda tx: tx.insert_approval_signature(row))
    await CustodyTelling(main.store, main.custody, events=main.events).look([main.worker])
    with pytest.raises(ApprovalRequiredError, match="executed or rejected already"):
        await main.door.call(admission(request, "dora", "finn"))
    with pytest.raises(ApprovalRequiredError, match="have changed"):
        main.custody.approved(await main.approved("CreateHsmKey", CREATE), "CreateHsmKey", CREATE)


async def test_what_is_asked_of_main_itself_is_spent_by_main_once(main_alone):
    root = {"root_id": main_alone.store.get_current_root().root_id.hex()}
    approval = await main_alone.approved("RotateRoot", root, "anna", "ben", state=ApprovalState.OPEN)
    with pytest.raises(ApprovalRequiredError, match="other parameters"):
        await main_alone.custody.claimed(approval, "RotateRoot", {"root_id": "ab" * 16}, "local/0")
    act = await main_alone.custody.claimed(approval[:12], "RotateRoot", root, "local/0")
    assert act.approval == approval
    assert main_alone.custody.root_named(approval[:8]) == root["root_id"]
    assert len(main_alone.custody.evidence_sha256(act)) == 64
    with pytest.raises(ApprovalRequiredError, match="executed or rejected already"):
        await main_alone.custody.claimed(approval, "RotateRoot", root, "local/0")


async def test_home_configuration_and_database_must_name_one_genesis(main_alone):
    config = load_config(main_alone.home.home.root)
    with pytest.raises(ConfigError, match=r"strongroom.toml has no \[custody\]"):
        chain_of_home(main_alone.home.home, config, main_alone.store)
    named = msgspec.structs.replace(config, custody=CustodyConfig(document_hash(genesis())))
    assert isinstance(chain_of_home(main_alone.home.home, named, main_alone.store), Chain)
    main_alone.home.home.genesis_file.unlink()
    with pytest.raises(ConfigError, match="there is no"):
        chain_of_home(main_alone.home.home, named, main_alone.store)
    main_alone.home.put_genesis(genesis() + b" ")
    with pytest.raises(ConfigError, match="not the genesis that"):
        chain_of_home(main_alone.home.home, named, main_alone.store)
