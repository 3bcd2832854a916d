"""The admin API over a real service: who calls, keys and their states, principals, decisions; authorised and recorded."""

import json
import sqlite3
from contextlib import closing

import pytest

from admin_door import STATUS, AdminDoor
from api_support import ACCOUNT
from fakes_keyring import count_a_change
from strongroom.service import Role
from strongroom.storage import AccessKeyRecord

ABSENT = "12345678-1234-1234-1234-123456789012"
WITHOUT_OPERATORS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/operator"}, "Action": "kms:DescribeKey", "Resource": "*"},
    ],
}  # fmt: skip


@pytest.fixture
def door(bench):
    return AdminDoor(bench)


async def test_a_caller_is_told_who_it_is_and_what_its_roles_allow(bench, door):
    answer = (await door.ask("caller", by="user/operator")).json
    assert (answer["principal"], answer["credential"]) == ("user/operator", "AKIA-operator")
    assert answer["arn"] == f"arn:aws:iam::{ACCOUNT}:user/operator"
    assert "ReadStatus" in answer["verbs"]
    assert not {"Encrypt", "CreateKey"} & set(answer["verbs"])
    entry = bench.entries()[-1]
    assert (entry.event, entry.outcome, entry.principal) == ("strongroom.ReadCaller", "ok", "user/operator")


async def test_health_is_told_to_whoever_is_known(bench, door):
    assert (await door.ask("health", by="user/crypto-user")).json == {"isReady": True, "reasons": []}
    door.health.reasons = ["the service is stopping"]
    answer = await door.ask("health", by="user/crypto-user")
    assert (answer.status, answer.json["isReady"]) == (200, False)
    assert bench.entries()[-1].event == "strongroom.ReadHealth"


async def test_keys_are_listed_with_their_states_in_pages(bench, door):
    made = sorted([(await bench.service.create_key(bench.caller(), description="")).key_id for _ in range(5)])
    await bench.service.disable_key(bench.caller(), made[1])
    await bench.service.mark_key_compromised(bench.caller(), made[2])
    found, marker, pages = [], None, 0
    while pages == 0 or marker is not None:
        query = "limit=2" + ("" if marker is None else f"&marker={marker.replace('=', '%3D')}")
        page = (await door.ask("keys", query=query)).json
        found += page["keys"]
        marker, pages = page["nextMarker"], pages + 1
    listed = {key["keyId"]: key["state"] for key in found}
    assert list(listed) == sorted(listed)
    assert {key_id: listed[key_id] for key_id in made} == dict(
        zip(made, ["active", "suspended", "compromised", "active", "active"], strict=True)
    )
    assert "description" not in found[0]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "marker=abc", "marker=QUFB", "marker=", "color=red"]
)
async def test_pages_that_there_are_not_are_refused(door, query):
    answer = await door.ask("keys", query=query)
    assert answer.status == 400
    assert answer.code in {"ValidationException", "InvalidMarkerException"}


async def test_of_a_key_whose_policy_keeps_a_caller_out_only_the_id_is_listed(bench, door):
    key_id = (await bench.service.create_key(bench.caller(), description="")).key_id
    await bench.service.put_key_policy(
        bench.caller(), key_id, document=json.dumps(WITHOUT_OPERATORS), skip_lockout_check=False
    )
    for principal, state in (("user/operator", None), ("user/crypto-user", "active")):
        listed = {key["keyId"]: key for key in (await door.ask("keys", by=principal)).json["keys"]}
        assert listed[key_id]["state"] == state
    assert (await door.ask(f"keys/{key_id}", by="user/operator")).code == "AccessDeniedException"


async def test_a_key_whose_policy_is_damaged_is_listed_by_its_id_among_the_others(bench, door):
    damaged, sound = [
        (await bench.service.create_key(bench.caller(), description="")).key_id for _ in range(2)
    ]
    await bench.service.put_key_policy(
        bench.caller(), damaged, document=json.dumps(WITHOUT_OPERATORS), skip_lockout_check=False
    )
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute("UPDATE key_policies SET document = '{' WHERE key_id = ?", (damaged,))
        connection.execute("UPDATE access_changes SET n_changes = n_changes + 1")
    count_a_change(bench.path)
    listed = {key["keyId"]: key for key in (await door.ask("keys", by="user/operator")).json["keys"]}
    assert (listed[damaged]["state"], listed[sound]["state"]) == (None, "active")


async def test_a_key_is_described_in_the_words_of_this_house(bench, door, key_id):
    answer = (await door.ask(f"keys/{key_id}")).json
    assert answer["keyId"] == key_id
    assert answer["arn"].endswith(f":key/{key_id}")
    assert (answer["state"], answer["spec"], answer["usage"]) == (
        "active", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT",
    )  # fmt: skip
    assert (await door.ask(f"keys/{ABSENT}")).code == "NotFoundException"
    assert bench.entries()[-1].event == "kms.DescribeKey"


async def put_access_keys(bench, *records):
    await bench.store.write(lambda tx: [tx.insert_access_key(record) for record in records])


async def test_principals_are_listed_with_their_access_keys_and_no_secret(bench, door):
    wrapped = b"wrapped-secret-that-is-not-told"
    records = [
        AccessKeyRecord(f"AKIALIST{at}", principal, ("crypto-user",), wrapped, at != 1, 100.0 + at)
        for at, principal in enumerate(["user/a", "user/b", "user/a"])
    ]
    await put_access_keys(bench, *records)
    first = await door.ask("principals", query="limit=1", by="user/operator")
    second = await door.ask("principals", query=f"marker={first.json['nextMarker'].replace('=', '%3D')}")
    assert [one["principal"] for one in first.json["principals"]] == ["user/a"]
    assert [key["accessKeyId"] for key in first.json["principals"][0]["accessKeys"]] == [
        "AKIALIST0",
        "AKIALIST2",
    ]
    listed = {one["principal"]: one for one in second.json["principals"]}
    assert listed["user/b"]["accessKeys"] == [
        {
            "accessKeyId": "AKIALIST1",
            "roles": ["crypto-user"],
            "countingRoles": [],
            "isActive": False,
            "createdAt": 101.0,
            "usedAt": None,
        }
    ]
    assert b"wrapped" not in first.body + second.body


async def test_a_decision_is_told_with_what_it_rests_on(bench, door, key_id):
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
            {
                "Sid": "NotTenant7", "Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*",
                "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": "7"}},
            },
        ],
    }  # fmt: skip
    await bench.service.put_key_policy(
        bench.caller(), key_id, document=json.dumps(document), skip_lockout_check=False
    )
    case = {"principal": "user/crypto-user", "action": "Encrypt", "accessKeyId": "AKIA-crypto-user"}
    path = f"keys/{key_id}/policy-check"
    (allowed,) = (await door.ask(path, case)).json["decisions"]
    (denied,) = (await door.ask(path, {**case, "context": {"tenant": "7"}})).json["decisions"]
    assert (allowed["isAllowed"], denied["isAllowed"]) == (True, False)
    assert (denied["statement"], denied["sid"], denied["credential"]) == (2, "NotTenant7", "AKIA-crypto-user")
    assert (await door.ask(path, {**case, "accessKeyId": None, "principal": "user/nobody"})).json == {
        "decisions": []
    }
    entry = bench.entries()[-1]
    assert (entry.event, entry.key_id) == ("strongroom.CheckKeyPolicy", key_id)
    assert entry.detail == {
        "subject": "user/nobody",
        "action": "Encrypt",
        "allowed_by": "role:crypto-officer",
    }
    assert (await door.ask(f"keys/{ABSENT}/policy-check", case)).code == "NotFoundException"


async def test_a_case_is_decided_for_each_credential_of_its_principal_and_for_no_other(bench, door, key_id):
    # One that stands in the configuration, and one of the database.
    await put_access_keys(
        bench, AccessKeyRecord("AKIAOTHER", "user/crypto-user", ("crypto-officer",), b"wrapped", True, 0.0)
    )
    path, case = f"keys/{key_id}/policy-check", {"principal": "user/crypto-user", "action": "Encrypt"}

    async def told(**members):
        decisions = (await door.ask(path, {**case, **members})).json["decisions"]
        return [(one["credential"], one["isAllowed"]) for one in decisions]

    assert await told() == [("AKIA-crypto-user", True), ("AKIAOTHER", False)]
    assert await told(accessKeyId="AKIA-crypto-user") == [("AKIA-crypto-user", True)]
    # What another principal's credential allows is not what this one may.
    assert await told(accessKeyId="AKIA-crypto-user", principal="user/operator") == [
        ("AKIA-crypto-user", False)
    ]


@pytest.mark.parametrize("members", [
    {}, {"principal": "user/x"}, {"principal": "user/x", "action": "kms:Encrypt"}, {"principal": "", "action": "Encrypt"},
    {"principal": "user/x\n", "action": "Encrypt"}, {"principal": "user/x", "action": "Encrypt", "dryRun": True},
    {"principal": "user/x", "action": "Encrypt", "context": {"a": 1}}, {"principal": "user/x", "action": "A" * 65},
])  # fmt: skip
async def test_a_case_that_is_none_is_refused(door, key_id, members):
    answer = await door.ask(f"keys/{key_id}/policy-check", members)
    assert (answer.status, answer.code) == (400, "ValidationException")


async def test_members_tell_of_their_workers_and_of_keys_in_quarantine(door):
    keys = ["00ff", "abcd"]
    door.health.status = lambda: STATUS | {"quarantined_keys": keys}
    told = (await door.ask("members", by="user/operator")).json
    assert told["quarantinedKeys"] == keys
    assert [worker["name"] for worker in told["members"]] == [one["name"] for one in STATUS["members"]]


@pytest.mark.parametrize(
    "body",
    [
        b'{"items":[{"plaintext":"QQ=="},{"plaintext":"QQ==","plaintext":"Qg=="}]}',
        b'{"items":[{"plaintext":"QQ==","context":{"a":"1","a":"2"}}]}',
        b'{"items":[{"plaintext":"QQ==","context":{"a":"1","\\u0061":"2"}}]}',
        b'{"items":[{"plaintext":"QQ=="}],"context":{},"context":{}}',
        b'{"items":[{"plaintext":"QQ==","context":null,"context":null}]}',
    ],
)
async def test_a_member_that_stands_twice_in_a_batch_is_refused(door, key_id, body):
    answer = await door.send("POST", f"/api/v1/keys/{key_id}/batch/encrypt", body)
    assert answer.code == "SerializationException"


async def test_a_batch_may_say_what_goes_without_saying(door, key_id):
    body = b'{"items":[{"plaintext":"QQ==","context":null},{"context":{"a:\\"b":"c:d"},"plaintext":"QQ=="}],"context":{}}'
    assert (await door.send("POST", f"/api/v1/keys/{key_id}/batch/encrypt", body)).status == 200


async def test_a_member_that_stands_twice_is_refused(door, key_id):
    body = b'{"principal":"user/a","action":"Encrypt","principal":"user/b"}'
    answer = await door.send("POST", f"/api/v1/keys/{key_id}/policy-check", body)
    assert answer.code == "SerializationException"


WATCHING = {"operator", "security-officer", "auditor"}
OVERSEEING = WATCHING | {"crypto-officer"}
LOOKING = OVERSEEING | {"crypto-user"}
ONLY = {
    "status": WATCHING,
    "members": WATCHING,
    "roots": WATCHING,
    "principals": OVERSEEING,
    "keys": LOOKING,
    "caller": set(Role),
    "health": set(Role),
}


@pytest.mark.parametrize("path", ONLY)
async def test_roles_decide_who_may_look(bench, door, path):
    for role in Role:
        answer = await door.ask(path, by=f"user/{role}")
        assert answer.status == (200 if str(role) in ONLY[path] else 400), (role, answer.body)
        entry = bench.entries()[-1]
        assert entry.outcome == ("ok" if answer.status == 200 else "AccessDeniedError")
        assert entry.principal == f"user/{role}"
