"""Operators and condition keys, one by one: what they mean, and what happens where a key is not there."""

import pytest

from policy_support import ACCOUNT, ALICE, ROOT, document, says, statement
from strongroom.policy import MalformedPolicyError

TENANT = "kms:EncryptionContext:tenant"
SEVEN, EIGHT, NONE = {"tenant": "7"}, {"tenant": "8"}, {}


def holds(condition, **asked):
    """Whether a condition holds, which must be the same in an Allow and in a Deny."""
    allowed = says(statement(condition=condition), **asked) == "allow"
    denied = says(statement(), statement("Deny", condition=condition), **asked) == "deny"
    assert allowed is denied
    return allowed


TABLE = [
    ("StringEquals", "7", (True, False, False)),
    ("StringEquals", ["6", "7"], (True, False, False)),
    ("StringEquals", "*", (False, False, False)),
    ("StringNotEquals", "7", (False, True, True)),
    ("StringEqualsIfExists", "7", (True, False, True)),
    ("StringNotEqualsIfExists", "7", (False, True, True)),
    ("StringLike", "?", (True, True, False)),
    ("StringNotLike", "7*", (False, True, True)),
    ("StringLikeIfExists", "7*", (True, False, True)),
    ("StringEqualsIgnoreCase", "7", (True, False, False)),
    ("StringNotEqualsIgnoreCase", "7", (False, True, True)),
    ("ForAnyValue:StringEquals", "7", (True, False, False)),
    ("ForAllValues:StringEquals", "7", (True, False, True)),
    ("ForAnyValue:StringNotEquals", "7", (False, True, False)),
    ("Null", "true", (False, False, True)),
    ("Null", False, (True, True, False)),
]


@pytest.mark.parametrize(("operator", "values", "expected"), TABLE)
def test_operators_on_the_encryption_context(operator, values, expected):
    condition = {operator: {TENANT: values}}
    assert tuple(holds(condition, context=context) for context in (SEVEN, EIGHT, NONE)) == expected


def test_all_conditions_must_hold_and_any_of_their_values_may():
    condition = {
        "StringEquals": {TENANT: ["7", "8"], "kms:EncryptionContext:app": "x"},
        "Null": {TENANT: "false"},
    }
    assert holds(condition, context={"tenant": "8", "app": "x"})
    assert not holds(condition, context={"tenant": "8", "app": "y"})


def test_case_counts_in_values_but_not_in_names():
    condition = {"StringEquals": {"KMS:encryptioncontext:TENANT": "Seven"}}
    assert holds(condition, context={"tenant": "Seven"})
    assert not holds(condition, context={"tenant": "seven"})
    assert holds({"StringEqualsIgnoreCase": {TENANT: "SEVEN"}}, context={"tenant": "seven"})


def test_names_that_differ_in_case_only_open_nothing_and_hide_nothing():
    condition = {"StringEquals": {TENANT: "7"}}
    both = {"tenant": "7", "Tenant": "8"}
    assert says(statement(condition=condition), context=both) == "nothing"
    assert says(statement(), statement("Deny", condition=condition), context=both) == "deny"


def test_names_in_the_encryption_context_as_a_set():
    only = {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["app", "tenant"]}}
    some = {"ForAnyValue:StringLike": {"kms:EncryptionContextKeys": "ten*"}}
    assert holds(only, context={"app": "1", "tenant": "2"})
    assert holds(only, context={})
    assert not holds(only, context={"app": "1", "other": "2"})
    assert holds(some, context={"app": "1", "tenant": "2"})
    assert not holds(some, context={"app": "1"})
    assert not holds(some, context={})


@pytest.mark.parametrize(
    ("network", "address", "expected"),
    [
        ("192.0.2.0/24", "192.0.2.200", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.77/24", "192.0.2.1", True),
        ("192.0.2.0/24", "::ffff:192.0.2.1", True),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::5", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "2001:db8::5", False),
        ("::ffff:192.0.2.9/120", "192.0.2.1", True),
        ("::ffff:192.0.2.9/120", "::ffff:192.0.3.1", False),
        ("::ffff:0:0/96", "198.51.100.1", True),
    ],
)
def test_addresses_of_callers(network, address, expected):
    assert holds({"IpAddress": {"aws:SourceIp": network}}, source_address=address) is expected
    assert holds({"NotIpAddress": {"aws:SourceIp": network}}, source_address=address) is not expected


@pytest.mark.parametrize("operator", ["IpAddress", "NotIpAddress"])
def test_a_caller_from_nobody_knows_where_gets_through_no_condition_on_addresses(operator):
    condition = {operator: {"aws:SourceIp": "192.0.2.0/24"}}
    assert says(statement(condition=condition), source_address="a socket") == "nothing"
    assert says(statement(), statement("Deny", condition=condition), source_address="a socket") == "deny"


def test_truths_of_a_request():
    assert holds({"Bool": {"aws:SecureTransport": "true"}}, is_tls=True)
    assert holds({"Bool": {"aws:SecureTransport": False}}, is_tls=False)
    assert not holds({"BoolIfExists": {"aws:SecureTransport": "True"}}, is_tls=False)
    assert holds({"Bool": {"kms:GrantIsForAWSResource": "false", "aws:ViaAWSService": "false"}})


def test_who_asks():
    for operator, arn in [
        ("ArnLike", f"arn:aws:iam::{ACCOUNT}:user/al*"), ("ArnEquals", f"arn:aws:iam::{ACCOUNT}:user/ali?e"),
        ("StringEquals", ALICE), ("StringLike", "arn:*:user/alice"), ("ArnLike", ALICE),
        ("ArnNotEquals", ROOT), ("ArnNotLike", f"arn:aws:iam::{ACCOUNT}:role/*"),
    ]:  # fmt: skip
        assert holds({operator: {"aws:PrincipalArn": arn}}), operator
    assert not holds({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}})
    assert not holds({"ArnLike": {"aws:PrincipalArn": "arn:*:*:::user/alice"}})
    names = {"aws:username": "alice", "aws:PrincipalType": "User", "kms:CallerAccount": ACCOUNT}
    assert holds({"StringEquals": {**names, "aws:PrincipalAccount": ACCOUNT}})


def test_keys_that_only_some_actions_have():
    further = {"kms:grantoperations": ("Decrypt", "Encrypt"), "kms:granteeprincipal": (ALICE,)}
    only = {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "Encrypt"]}}
    assert holds(only, further=further)
    assert not holds({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}, further=further)
    assert holds({"StringEquals": {"kms:GranteePrincipal": ALICE}}, further=further)
    assert not holds({"StringEquals": {"kms:GranteePrincipal": ALICE}})


@pytest.mark.parametrize(
    "key", ["kms:ViaService", "aws:SourceVpce", "aws:PrincipalOrgID", "aws:PrincipalTag/team"]
)
def test_what_only_aws_could_add_to_a_request_is_decided_as_absent_and_told_of(key):
    """Never left out: an Allow that asks for it does not apply, a Deny of whoever lacks it does."""
    assert says(statement(condition={"StringEquals": {key: "x"}})) == "nothing"
    assert says(statement(condition={"StringLike": {key: "*"}})) == "nothing"
    assert says(statement(), statement("Deny", condition={"StringNotEquals": {key: "x"}})) == "deny"
    assert says(statement(), statement("Deny", condition={"StringEquals": {key: "x"}})) == "allow"
    assert document(statement(condition={"StringEquals": {key: "x"}})).not_present == (key.lower(),)


NOT_UNDERSTOOD = [
    {"StringMatches": {TENANT: "7"}}, {"stringequals": {TENANT: "7"}}, {"DateLessThan": {"aws:CurrentTime": "x"}},
    {"NumericEquals": {TENANT: "7"}}, {"NullIfExists": {TENANT: "true"}}, {"ForAllValues:Null": {TENANT: "true"}},
    {"ForSomeValues:StringEquals": {TENANT: "7"}}, {":StringEquals": {TENANT: "7"}}, {"IfExists": {TENANT: "7"}},
    {"StringEquals": {"aws:ResourceTag/x": "7"}}, {"StringEquals": {"kms:EncryptionContext": "7"}},
    {"StringEquals": {"kms:EncryptionContext:": "7"}}, {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}},
    {"StringEquals": {"aws:SourceIp": "192.0.2.7"}}, {"IpAddress": {TENANT: "192.0.2.7"}},
    {"IpAddress": {"aws:SourceIp": "192.0.2.300"}}, {"IpAddress": {"aws:SourceIp": "192.0.2.0/33"}},
    {"Bool": {TENANT: "true"}}, {"Bool": {"aws:SecureTransport": "yes"}}, {"Null": {TENANT: "maybe"}},
    {"Null": {TENANT: ["true", "false"]}}, {"ArnLike": {TENANT: "arn:*"}}, {"ArnLike": {"aws:PrincipalArn": "alice"}},
    {"StringEquals": {"kms:EncryptionContextKeys": "tenant"}}, {"StringEquals": {TENANT: []}},
    {"StringEquals": {TENANT: 7}}, {"StringEquals": {TENANT: None}}, {"StringEquals": {TENANT: {"a": "b"}}},
    {"StringEquals": {TENANT: "${aws:username}"}}, {"StringEquals": {TENANT: "7", TENANT.upper(): "8"}},
]  # fmt: skip


@pytest.mark.parametrize("condition", NOT_UNDERSTOOD, ids=str)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_a_condition_that_is_not_understood_is_refused_when_the_document_is_read(condition, effect):
    with pytest.raises(MalformedPolicyError, match="statement 1"):
        document(statement(effect, condition=condition))
