"""Policies and requests for tests: short ways to write them."""

import json

from strongroom.policy import AccessRequest, KeyFacts, PolicyDocument

ACCOUNT = "123456789012"
KEY_ID = "0f2f2f2e-1111-4222-8333-444455556666"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"


def statement(effect="Allow", *, principal=ALICE, action="kms:*", resource="*", condition=None, **more):
    made = {"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": resource, **more}
    if condition is not None:
        made["Condition"] = condition
    return made


def policy_text(*statements, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def document(*statements):
    return PolicyDocument(policy_text(*statements))


def request(action="Encrypt", *, principal=ALICE, key_id=KEY_ID, **more):
    key = more.pop("key", KeyFacts(key_id))
    return AccessRequest(action, principal_arn=principal, account_id=ACCOUNT, key=key, **more)


def says(*statements, **asked):
    return document(*statements).answer(request(**asked)).says.value
