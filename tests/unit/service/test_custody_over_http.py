"""Officers, rules, requests and signatures over HTTP: read, asked for, signed by stock OpenSSH, proved; and nothing malformed is a 5xx."""

import hashlib
import json
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_door import AdminDoor
from custody_service import KEY, armoured, give_officers, request_of
from fakes_custody import key_of
from strongroom.custody import MalformedDocumentError, armour, document_hash, verify_evidence, write_document
from strongroom.service import Asker, Role
from unit.service.custody_calls import ASKING, CUSTODY_CALLS, ONLY_ASKING, READING

OFFICER = {
    "id": "ida", "name": "Ida", "roles": ["crypto-officer"], "keys": [key_of("ida").public.line],
    "principals": ["user/ida"], "recipient": "",
}  # fmt: skip


@pytest.fixture
async def custody(bench):
    return await give_officers(bench)


@pytest.fixture
def door(bench):
    return AdminDoor(bench)


async def asked(door, verb="CreateHsmKey", parameters=KEY, by="user/crypto-officer"):
    answer = await door.ask("approvals", {"verb": verb, "parameters": parameters}, by=by)
    assert answer.status == 200, answer.json
    return answer.json


async def signed(bench, door, approval, name, action="approve"):
    signature = armoured(bench.store, approval, name, "approval" if action == "approve" else "rejection")
    return await door.ask(f"approvals/{approval}/{action}", {"signature": signature})


async def test_officers_and_rules_are_shown(door, custody):
    answer = (await door.ask("custody", by="user/auditor")).json
    assert answer["genesisSha256"] == answer["head"]
    officers = {one["id"]: one for one in answer["officers"]}
    assert officers["anna"]["roles"] == ["security-officer"]
    assert answer["rules"]["CreateHsmKey"] == {
        "m": 2, "role": "crypto-officer", "expiresS": 3600, "standing": True,
    }  # fmt: skip


async def test_a_request_is_made_read_signed_executed_and_proved(bench, door, custody):
    made = await asked(door)
    assert made["stands"] == "open"
    assert made["id"] == hashlib.sha256(made["document"].encode()).hexdigest()
    assert any("2 people who are crypto-officer" in line for line in made["words"])
    first = await signed(bench, door, made["id"], "dora")
    assert first.json == {"approval": made["id"], "officer": "dora", "did": "counted"}
    assert (await signed(bench, door, made["id"], "emil")).json["did"] == "decided"
    shown = (await door.ask(f"approvals/{made['id'][:12]}")).json
    assert shown["stands"] == "approved"
    assert [one["officer"] for one in shown["signatures"]] == ["dora", "emil"]
    assert (await door.ask(f"approvals/{made['id']}/evidence")).code == "NotFoundException"
    await custody.desk.require("CreateHsmKey", KEY, Asker("user/crypto-officer"))
    evidence = (await door.ask(f"approvals/{made['id']}/evidence")).json
    proved = verify_evidence(evidence["evidence"].encode())
    assert {one.officer for one in proved.approvers} == {"dora", "emil"}
    assert evidence["sha256"] == document_hash(evidence["evidence"].encode())
    assert (await door.ask(f"approvals/{made['id']}")).json["stands"] == "executed"
    assert bench.entries()[-1].event == "strongroom.DescribeApproval"


async def test_requests_are_listed_newest_first_in_pages_and_by_how_they_stand(bench, door, custody):
    made = []
    for number in range(5):
        made.append((await asked(door, parameters={**KEY, "spec": str(number)}))["id"])
        bench.clock.advance(1)
    await signed(bench, door, made[1], "dora", "reject")
    found, marker = [], ""
    while marker is not None:
        query = f"limit=2{marker and '&marker='}{marker.replace('=', '%3D')}"
        page = (await door.ask("approvals", query=query)).json
        found += [one["id"] for one in page["approvals"]]
        marker = page["nextMarker"]
    assert found == made[::-1]
    rejected = (await door.ask("approvals", query="stands=rejected")).json["approvals"]
    assert [(one["id"], one["endedBy"]) for one in rejected] == [(made[1], "dora")]
    assert len((await door.ask("approvals", query="stands=open")).json["approvals"]) == 4
    refused = await door.ask("approvals", query="stands=null")
    assert (refused.status, refused.json["__type"]) == (400, "ValidationException")


async def test_a_change_of_officers_is_done_by_its_last_signature(bench, door, custody):
    made = await asked(door, "AddOfficer", {"person": OFFICER}, by="user/operator")
    await signed(bench, door, made["id"], "anna")
    assert (await signed(bench, door, made["id"], "ben")).json["did"] == "changed"
    answer = (await door.ask("custody")).json
    assert answer["record"] == 1
    assert "ida" in {one["id"] for one in answer["officers"]}
    late = await signed(bench, door, made["id"], "cleo")
    assert late.code == "KMSInvalidStateException"
    assert "executed already" in late.json["message"]


@pytest.mark.parametrize(
    ("verb", "parameters", "code"),
    [
        ("AddOfficer", {}, "ValidationException"),
        (
            "AddOfficer",
            {"person": {**OFFICER, "roles": ["auditor", "crypto-officer"]}},
            "ValidationException",
        ),
        ("AddOfficer", {"person": {**OFFICER, "keys": ["ssh-rsa AAAA"]}}, "ValidationException"),
        ("RevokeOfficer", {"officer": "nobody", "reason": "r"}, "ValidationException"),
        ("RemoveQuorumRule", {"verb": "AddOfficer"}, "ValidationException"),
        ("ScheduleKeyDeletion", {"a": 1.5}, "ValidationException"),
        ("CreateHsmKey", {**KEY, "mayLeave": True}, "ValidationException"),
        ("RotateRoot", {"root_id": "00"}, "ValidationException"),
        ("AllowStanding", {"verb": "CreateHsmKey"}, "AccessDeniedException"),
        ("NoSuchVerb", {}, "AccessDeniedException"),
        ("x", {}, "ValidationException"),
    ],
)
async def test_what_cannot_be_approved_is_refused_when_it_is_asked_for(door, custody, verb, parameters, code):
    answer = await door.ask("approvals", {"verb": verb, "parameters": parameters})
    assert (answer.status, answer.code) == (400, code), answer.json
    assert custody.reader.list_approvals(limit=1) == []


@pytest.mark.parametrize(
    ("verb", "parameters", "word"),
    [
        ("CreateHsmKey", {"spec": "AES_256", "usage": "ENCRYPT_DECRYPT", "mayLeave": True}, "mayLeave"),
        ("CreateHsmKey", {"spec": "AES_256", "usage": "ENCRYPT_DECRYPT"}, "may_leave"),
        ("DestroyHsmKey", {"key_id": "k", "hsm_keys": ["AB" * 16]}, "hsm_keys"),
        ("DestroyHsmKey", {"key_id": "k", "hsm_keys": ["ab" * 16, "00" * 16]}, "not sorted"),
        ("RotateRoot", {"root": "00" * 16}, "root"),
    ],
)
async def test_an_act_that_would_be_signed_and_cover_nothing_is_refused_before(
    custody, verb, parameters, word
):
    for ask in (custody.desk.require, custody.desk.ask):
        with pytest.raises(MalformedDocumentError, match=word):
            await ask(verb, parameters, Asker("user/crypto-officer"))
    assert custody.reader.list_approvals(limit=1) == []


async def test_attacks_by_signatures_are_refused_in_words(bench, door, custody):
    made = await asked(door, by="user/crypto-officer")
    other = await asked(door, parameters={**KEY, "spec": "AES_128"})
    cases = {
        "another request": armoured(bench.store, other["id"], "dora"),
        "wrong role": armoured(bench.store, made["id"], "anna"),
        "auditor": armoured(bench.store, made["id"], "gus"),
        "unknown": armoured(bench.store, made["id"], "stranger"),
        "rejection": armoured(bench.store, made["id"], "dora", "rejection"),
    }
    for case, signature in cases.items():
        answer = await door.ask(f"approvals/{made['id']}/approve", {"signature": signature})
        assert (answer.status, answer.code) == (400, "KMSInvalidSignatureException"), case
    good = armoured(bench.store, made["id"], "dora")
    for case in (good[:-40], good.replace("SSH SIGNATURE", "PGP SIGNATURE"), "", "x" * 8_193):
        answer = await door.ask(f"approvals/{made['id']}/approve", {"signature": case})
        assert (answer.status, answer.code) == (400, "ValidationException"), case
    assert (await door.ask(f"approvals/{made['id']}")).json["signatures"] == []


@pytest.mark.parametrize("verb", CUSTODY_CALLS)
async def test_each_verb_is_for_its_roles_and_leaves_an_entry(bench, door, custody, verb):
    made = await asked(door)
    signature = armoured(bench.store, made["id"], "dora")
    path, members = CUSTODY_CALLS[verb](made["id"], signature)
    allowed = ASKING if verb in ONLY_ASKING else READING
    for role in Role:
        answer = await door.ask(path, members, by=f"user/{role}")
        assert (answer.code != "AccessDeniedException") == (str(role) in allowed), (role, answer.json)
        entry = bench.entries()[-1]
        assert entry.event == f"strongroom.{verb}"
        assert (entry.outcome == "AccessDeniedError") == (str(role) not in allowed)


@pytest.mark.parametrize("verb", CUSTODY_CALLS)
async def test_a_home_without_officers_says_so(bench, door, verb):
    path, members = CUSTODY_CALLS[verb]("ab" * 32, armoured_example())
    answer = await door.ask(path, members)
    assert (answer.status, answer.code) == (400, "UnsupportedOperationException")


def armoured_example():
    return armour(key_of("dora").sign(b"anything", "approval@strongroom")).decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
VERBS = (
    st.sampled_from(["CreateHsmKey", "AddOfficer", "AllowStanding", "SetQuorumRule", "RotateRoot"])
    | st.text()
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    verb=VERBS, parameters=JSON, path=st.text(alphabet="0123456789abcdef", max_size=70), signature=st.text()
)
async def test_nothing_that_anybody_sends_is_our_fault(bench, verb, parameters, path, signature):
    if bench.service.custody is None:
        await give_officers(bench)
    door = AdminDoor(bench)
    body = json.dumps({"verb": verb, "parameters": parameters}).encode()
    for answer in (
        await door.send("POST", "/api/v1/approvals", body),
        await door.send("GET", f"/api/v1/approvals/{path}"),
        await door.send(
            "POST", f"/api/v1/approvals/{path}/approve", json.dumps({"signature": signature}).encode()
        ),
        await door.send("GET", f"/api/v1/approvals/{path}/evidence", query="use=1"),
    ):
        assert answer.status < 500, answer.json


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen (openssh-client) is not installed")
async def test_an_approval_by_stock_ssh_keygen_is_accepted(bench, door, custody, tmp_path):
    made = await asked(door)
    key_file, request_file = tmp_path / "id_ed25519", tmp_path / "request.json"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ida", "-f", str(key_file)],
        check=True,
        timeout=60,
    )
    line = " ".join((tmp_path / "id_ed25519.pub").read_text().split()[:2])
    added = await asked(door, "AddOfficerKey", {"officer": "dora", "key": line})
    for name in ("anna", "ben"):
        await signed(bench, door, added["id"], name)
    made = await asked(door)
    request_file.write_text(made["document"])
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "approval@strongroom", "-f", str(key_file), str(request_file)],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    signature = (tmp_path / "request.json.sig").read_text()
    answer = await door.ask(f"approvals/{made['id']}/approve", {"signature": signature})
    assert answer.json == {"approval": made["id"], "officer": "dora", "did": "counted"}
    assert write_document(request_of(bench.store, made["id"])) == request_file.read_bytes()
