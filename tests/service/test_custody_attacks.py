"""Attacks on a member that has officers, at the sockets of a real worker on SoftHSM: all are refused, each in its own words, and
nothing happens in the token.

One worker for the whole table. Whoever attacks is given what main has, its place at the admin socket: a broken-into API process has
less, as the first rows show.
"""

import asyncio
import subprocess
import sys

import msgspec
import pytest
import pytest_asyncio

from custody_worker import (
    BODY,
    CREATE,
    Asking,
    CustodyHome,
    admission,
    chain,
    genesis,
    key_named,
    seconds,
)
from fakes_custody import approve, change, signed_genesis
from strongroom.core import HsmIntegrityError, StrongroomError, TransportKind, new_backup_transport_id
from strongroom.custody import Chain, canonical_json, write_document
from strongroom.hsm.wire import (
    AdmitAct,
    DestroyDirect,
    DestroyRoot,
    GenerateDirect,
    GenerateRoot,
    MakeBackupPair,
    OfferBackup,
    OfferTransport,
    PinCustody,
    WireClient,
    WrapOut,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

VICTIM = key_named(1)
DESTROY = {"key_id": "a-key", "hsm_keys": [VICTIM.key_id.hex()]}
PAIR = ("dora", "emil")
NEW_ROOT = b"\xab" * 16
ANOTHER_PROCESS = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    try:
        sock.sendall(bytes.fromhex(sys.argv[2]))
        print(len(sock.recv(100)))
    except ConnectionError:
        print(0)
"""


def generate(number=9):
    return GenerateDirect(key_named(number), "a key", may_leave=True)


class Attacked:
    """A worker whose chain has a record: finn was an officer once. It holds a key and a root that somebody wants to be rid of."""

    def __init__(self, home, door, grown):
        self.home, self.door, self.chain = home, door, grown
        self.ask = Asking(grown.state)
        self.root, self.record = b"", b""

    async def admit(self, request, *names, **more):
        await self.door.call(admission(request, *(names or PAIR), **more))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(initialised_home, tmp_path_factory):
    home = CustodyHome(initialised_home, tmp_path_factory.mktemp("attacked"))
    try:
        async with home.worker("administer") as door:
            await door.call(GenerateDirect(VICTIM, "a key to lose", may_leave=True))
            home.put_genesis()
            await door.call(PinCustody(genesis()))
        record = change(chain(), "RevokeOfficer", {"officer": "finn", "reason": "left"})
        async with home.worker() as door:
            await door.follow(record)
            found = Attacked(home, door, chain().extended(record))
            found.record = record
            found.root = next(
                cka_id for _, cka_id, label in await door.objects() if label == "strongroom-root"
            )
            yield found
    finally:
        home.close()


async def _another_process_at_the_admin_socket(attacked):
    sent = msgspec.msgpack.encode(
        [[1, 5.0, msgspec.msgpack.decode(msgspec.msgpack.encode(DestroyDirect(VICTIM)))]]
    )
    frame = (len(sent).to_bytes(4, "big") + sent).hex()
    argv = [sys.executable, "-c", ANOTHER_PROCESS, attacked.door.bootstrap.admin_path, frame]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"0\n"
    raise StrongroomError("cut off without an answer")


async def _an_admin_call_at_the_use_socket(attacked):
    client = await WireClient.connect(attacked.door.bootstrap.use_path)
    try:
        await client.call(DestroyDirect(VICTIM), timeout_s=60)
    finally:
        client.close()


async def _nobody_approved(attacked):
    await attacked.door.call(DestroyRoot(attacked.root))


async def _self_approval(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY, requester="officer/dora"))


async def _self_approval_as_a_user_of_the_service(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY, requester="user/emil"))


async def _replay(attacked):
    request = attacked.ask("CreateHsmKey", CREATE)
    await attacked.admit(request)
    await attacked.door.call(generate())
    await attacked.door.call(DestroyDirect(generate().key))  # its own, and just made
    await attacked.admit(request)


async def _another_key_than_was_approved(attacked):
    other = {**DESTROY, "hsm_keys": [key_named(2).key_id.hex()]}
    await attacked.admit(attacked.ask("DestroyHsmKey", other))
    await attacked.door.call(DestroyDirect(VICTIM))


async def _a_parameter_changed_after_it_was_signed(attacked):
    other = {**DESTROY, "hsm_keys": [key_named(2).key_id.hex()]}
    request = attacked.ask("DestroyHsmKey", other)
    forged = msgspec.structs.replace(request, parameters=DESTROY)
    await attacked.door.call(AdmitAct(write_document(forged), approve(request, *PAIR)))


async def _expired(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY, now=seconds() - 3_700))


async def _dated_in_the_future(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY, now=seconds() + 3_600))


async def _longer_than_its_rule(attacked):
    request = attacked.ask("DestroyHsmKey", DESTROY)
    await attacked.admit(msgspec.structs.replace(request, expires=request.expires + 1))


async def _revoked_officer(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY), "dora", "finn")


async def _one_person_twice(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY), "dora", "dora")


async def _one_person_with_two_keys(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY), "dora", "dora-2")


async def _policy_changed_meanwhile(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY, state=chain().state))


async def _another_verb(attacked):
    await attacked.admit(attacked.ask("RotateRoot", {"root_id": attacked.root.hex()}), "anna", "ben")
    await attacked.door.call(DestroyRoot(attacked.root))


async def _a_verb_without_a_rule(attacked):
    request = attacked.ask("CreateHsmKey", CREATE)
    ruleless = {"member": "alpha", "hsm_keys": DESTROY["hsm_keys"]}
    await attacked.admit(msgspec.structs.replace(request, verb="ReplaceHsmKey", parameters=ruleless))


async def _another_cluster(attacked):
    other = Chain.from_documents(signed_genesis(msgspec.structs.replace(BODY, cluster="0d" * 16)))
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY, state=other.state))


async def _a_signature_cut_off(attacked):
    request = attacked.ask("DestroyHsmKey", DESTROY)
    one, two = approve(request, *PAIR)
    await attacked.door.call(AdmitAct(write_document(request), [one, two[:-1]]))


async def _too_few(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY), "dora")


async def _an_officer_of_another_kind(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY), "dora", "anna")


async def _a_key_of_nobody(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY), "dora", "stranger")


async def _rejections_for_approvals(attacked):
    await attacked.admit(attacked.ask("DestroyHsmKey", DESTROY), kind="rejection")


async def _a_creation_of_long_ago(attacked):
    await attacked.admit(
        attacked.ask("CreateHsmKey", CREATE, now=seconds() - 9_000), executed=seconds() - 8_900
    )


async def _more_than_a_standing_approval_allows(attacked):
    terms = {
        "verb": "CreateHsmKey", "fixed": CREATE, "free": [], "uses": 1, "rate_uses": 1, "rate_s": 1,
        "begins": seconds() - 60, "ends": seconds() + 60,
    }  # fmt: skip
    request = attacked.ask("AllowStanding", terms)
    told = {**CREATE, "may_leave": False}
    await attacked.admit(request, parameters=canonical_json(told))


async def _a_session_at_a_member_that_serves(attacked):
    await attacked.admit(attacked.ask("AddMember", {"member": "gamma", "token_serial": "1"}), "anna", "ben")
    await attacked.door.call(OfferTransport(NEW_ROOT))


def _out(set_id):
    return WrapOut(key_named(1).key_id, TransportKind.AES, new_backup_transport_id(set_id))


async def _a_backup_that_nobody_approved(attacked):
    await attacked.door.call(_out(NEW_ROOT))


async def _a_backup_under_another_set(attacked):
    await attacked.admit(attacked.ask("CreateBackup", {"set_id": attacked.root.hex()}))
    await attacked.door.call(_out(NEW_ROOT))


async def _a_backup_key_made_at_a_member_that_serves(attacked):
    parameters = {"threshold": 2, "count": 3, "members": ["alpha", "beta"]}
    await attacked.admit(attacked.ask("MakeBackupSet", parameters), "anna", "ben")
    await attacked.door.call(MakeBackupPair(bytes(32)))


async def _a_backup_opened_at_a_member_that_serves(attacked):
    await attacked.admit(attacked.ask("RestoreBackup", {"bundle_sha256": "5a" * 32}), "anna", "ben")
    await attacked.door.call(OfferBackup(NEW_ROOT, bytes(32), b"wrapped", 1))


async def _a_change_of_officers_by_nobody(attacked):
    await attacked.door.follow(
        change(attacked.chain, "RemoveQuorumRule", {"verb": "DestroyHsmKey"}, "anna", "dora")
    )


async def _another_past(attacked):
    await attacked.door.follow(change(chain(), "RemoveQuorumRule", {"verb": "DestroyHsmKey"}))


async def _another_genesis(attacked):
    await attacked.door.call(PinCustody(signed_genesis(msgspec.structs.replace(BODY, cluster="0d" * 16))))


async def _what_is_no_request(attacked):
    await attacked.door.call(AdmitAct(b"{}", []))


ATTACKS = {
    _another_process_at_the_admin_socket: "cut off without an answer",
    _an_admin_call_at_the_use_socket: "connection to the worker was lost",
    _nobody_approved: "DestroyRoot: (no approval covers it|the approvals are for another verb)",
    _self_approval: "nobody approves their own request: dora",
    _self_approval_as_a_user_of_the_service: "nobody approves their own request: emil",
    _replay: "the request was executed or rejected already",
    _another_key_than_was_approved: "DestroyDirect: the approvals are for other parameters",
    _a_parameter_changed_after_it_was_signed: "a signature does not verify",
    _expired: "the request has expired",
    _dated_in_the_future: "the request is dated in the future",
    _longer_than_its_rule: "would live longer than its rule allows",
    _revoked_officer: "that was revoked: finn",
    _one_person_twice: "one person counts once, whatever keys they hold: dora",
    _one_person_with_two_keys: "one person counts once, whatever keys they hold: dora",
    _policy_changed_meanwhile: "officers or policy have changed since the request was made",
    _another_verb: "DestroyRoot: the approvals are for another verb",
    _a_verb_without_a_rule: "the policy has no rule for this verb: ReplaceHsmKey",
    _another_cluster: "the request is for another cluster",
    _a_signature_cut_off: "a signature does not verify",
    _too_few: "not enough officers have approved: 1 of 2",
    _an_officer_of_another_kind: "anna is no crypto-officer",
    _a_key_of_nobody: "a signature is by a key that no officer has",
    _rejections_for_approvals: "a signature does not verify",
    _a_creation_of_long_ago: "none that a member may be told of afterwards",
    _more_than_a_standing_approval_allows: "the standing approval does not cover this call",
    _a_session_at_a_member_that_serves: "OfferTransport: .*this member serves",
    _a_backup_that_nobody_approved: "WrapOut: (no approval covers it|the approvals are for another verb)",
    _a_backup_under_another_set: "WrapOut: the approvals are for other parameters",
    _a_backup_key_made_at_a_member_that_serves: "MakeBackupPair: .*this member serves",
    _a_backup_opened_at_a_member_that_serves: "OfferBackup: .*this member serves",
    _a_change_of_officers_by_nobody: "record 2: an officer does not hold the role",
    _another_past: "record 1: this member followed another one in its place",
    _another_genesis: "a genesis is pinned while members are initialised",
    _what_is_no_request: "the document is not a ApprovalRequest",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
async def test_an_attack_is_refused_in_its_own_words_and_nothing_happens(attacked, attack):
    before = await attacked.door.objects()
    with pytest.raises(StrongroomError, match=ATTACKS[attack]):
        await attack(attacked)
    assert await attacked.door.objects() == before
    assert (await attacked.door.place()).sequence == 1


async def test_what_was_approved_is_done_of_two_who_race_by_one(attacked):
    request = attacked.ask("CreateHsmKey", CREATE)
    other = await WireClient.connect(attacked.door.bootstrap.admin_path)
    try:
        for client in (attacked.door.client, other):
            await client.call(admission(request, *PAIR), timeout_s=60)
        calls = [
            client.call(generate(20 + n), timeout_s=60)
            for n, client in enumerate((attacked.door.client, other))
        ]
        done = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        other.close()
    assert sorted(isinstance(one, StrongroomError) for one in done) == [False, True]
    made = {entry[1] for entry in await attacked.door.objects()} & {key_named(n).key_id for n in (20, 21)}
    assert len(made) == 1


async def test_neither_a_restart_nor_an_older_end_of_the_chain_gives_a_second_use(attacked):
    request = attacked.ask("CreateHsmKey", CREATE)
    await attacked.admit(request)
    await attacked.door.call(generate(30))
    by_finn = Asking(chain().state)("CreateHsmKey", CREATE)
    async with attacked.home.worker() as fresh:
        before = await fresh.objects()
        assert ((await fresh.place()).sequence, (await fresh.place()).pinned_sequence) == (0, 1)
        for one, names in ((by_finn, ("dora", "finn")), (request, PAIR)):
            with pytest.raises(StrongroomError, match="ends before a record that this member followed"):
                await fresh.call(admission(one, *names))
        with pytest.raises(StrongroomError, match="ends before a record"):
            await fresh.call(generate(31))
        await fresh.follow(attacked.record)
        with pytest.raises(StrongroomError, match="executed or rejected already"):
            await fresh.call(admission(request, *PAIR))
        with pytest.raises(StrongroomError, match="no approval covers it"):
            await fresh.call(GenerateRoot(NEW_ROOT, "root"))
        assert await fresh.objects() == before


@pytest.mark.parametrize(
    "data", [b"", signed_genesis(msgspec.structs.replace(BODY, cluster="0d" * 16))], ids=["none", "another"]
)
async def test_a_member_does_not_serve_without_the_very_genesis_that_it_pinned(attacked, data):
    with pytest.raises(HsmIntegrityError, match="pinned the genesis"):
        async with attacked.home.worker(genesis=data):
            pass


async def test_what_officers_approve_is_destroyed_once(attacked):
    """The last word: the very destruction that the rows above asked for in vain, on a key of its own."""
    request = attacked.ask("CreateHsmKey", CREATE)
    await attacked.admit(request)
    await attacked.door.call(generate(40))
    named = {"key_id": "another", "hsm_keys": [key_named(40).key_id.hex()]}
    await attacked.admit(attacked.ask("DestroyHsmKey", named))
    await attacked.door.call(DestroyDirect(key_named(40)))
    assert key_named(40).key_id not in {cka_id for _, cka_id, _ in await attacked.door.objects()}
