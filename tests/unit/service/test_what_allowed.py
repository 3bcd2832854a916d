"""Entries say what allowed a call: a role of the access key, a statement of the key's policy, a grant, or that everybody may."""

import json

import pytest

from strongroom.core import Secret
from strongroom.keyring import KeyById

ACCOUNT = "123456789012"
ROOT, STRANGER = (f"arn:aws:iam::{ACCOUNT}:{name}" for name in ("root", "user/stranger"))


def allowed_by(bench) -> str:
    return bench.entries()[-1].detail["allowed_by"]


def policy(sid: str) -> str:
    all_of_it = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    decrypt = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": STRANGER},
        "Action": "kms:Decrypt",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [all_of_it, decrypt]})


@pytest.mark.parametrize(
    ("sid", "told"),
    [("App", "policy:App"), ("", "policy:2"), ("of two words", "policy:2"), ("3", "policy:2")],
)
async def test_a_statement_is_named_by_its_sid_where_that_is_one_word_else_by_its_number(
    bench, service, key_id, sid, told
):
    made = await service.encrypt(bench.caller(), KeyById(key_id), Secret(b"x"), context={})
    assert allowed_by(bench) == "role:crypto-user"
    await service.put_key_policy(bench.caller(), key_id, document=policy(sid), skip_lockout_check=False)
    assert allowed_by(bench) == "role:crypto-officer"
    await service.decrypt(bench.caller("user/stranger"), made.ciphertext, key=None, context={})
    assert allowed_by(bench) == told
    at_once = service.decrypt_now(bench.caller("user/stranger"), made.ciphertext, key=None, context={})
    assert at_once is not None
    assert at_once.entry.detail["allowed_by"] == told
    await service.encrypt(bench.caller(), KeyById(key_id), Secret(b"x"), context={})
    assert allowed_by(bench) == "role:crypto-user", "the policy leaves it to roles"


async def test_what_everybody_may_needs_no_permission(bench, service):
    await service.read_caller(bench.caller())
    assert allowed_by(bench) == "everybody"
