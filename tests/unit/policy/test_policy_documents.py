"""What a document of the AWS form says of a request, and which documents are refused."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_support import ACCOUNT, ALICE, BOB, KEY_ID, ROOT, document, policy_text, request, says, statement
from strongroom.policy import KeyFacts, MalformedPolicyError, PolicyDocument, Says, default_policy


def test_what_nothing_allows_is_not_allowed():
    assert says(statement(principal=BOB)) == "nothing"
    assert says(statement(action="kms:Decrypt")) == "nothing"


def test_a_statement_that_names_the_principal_allows():
    assert says(statement()) == "allow"
    assert says(statement(principal=[BOB, ALICE], action=["kms:Decrypt", "kms:Enc*"])) == "allow"
    assert says(statement(principal="*")) == "allow"


def test_a_statement_that_names_the_account_leaves_it_to_the_roles():
    assert says(statement(principal=ROOT)) == "delegate"
    assert says(statement(principal=ACCOUNT)) == "delegate"
    assert says(statement(principal="999999999999")) == "nothing"
    assert says(statement(principal=ROOT), statement()) == "allow"


@pytest.mark.parametrize("principal", [ALICE, "*", ROOT, ACCOUNT])
def test_an_explicit_deny_goes_before_everything(principal):
    assert says(statement(), statement(principal="*"), statement("Deny", principal=principal)) == "deny"


def test_a_deny_of_somebody_else_or_something_else_denies_nothing():
    assert says(statement(), statement("Deny", principal=BOB)) == "allow"
    assert says(statement(), statement("Deny", action="kms:Decrypt")) == "allow"


@pytest.mark.parametrize("action", ["*", "kms:*", "kms:encrypt", "KMS:ENCRYPT", "kms:En?rypt", "kms:*crypt"])
def test_actions_are_compared_without_regard_to_case(action):
    assert says(statement(action=action)) == "allow"


def test_not_action_is_everything_else():
    other = {"Effect": "Allow", "Principal": "*", "Resource": "*", "NotAction": ["kms:Decrypt", "kms:Put*"]}
    assert says(other) == "allow"
    assert says(other, action="Decrypt") == says(other, action="PutKeyPolicy") == "nothing"


def test_a_resource_is_this_key_in_whatever_region_its_caller_signed_for():
    def arn(region, key_id):
        return f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id}"

    for resource in (arn("eu-central-1", KEY_ID), arn("us-east-1", "*"), [arn("*", "0f2f*"), "*"]):
        assert says(statement(), statement("Deny", resource=resource)) == "deny"
    assert says(statement(), statement("Deny", resource=arn("*", "1f2f*"))) == "allow"
    assert says(statement(), statement("Deny", resource="arn:aws:kms:*:999999999999:key/*")) == "allow"


def test_the_default_policy_leaves_everything_to_the_roles():
    default = PolicyDocument(default_policy(ACCOUNT))
    assert default.is_plain_delegation(ACCOUNT)
    assert not default.is_plain_delegation("999999999999")
    assert default.answer(request("PutKeyPolicy")).says is Says.DELEGATE
    assert json.loads(default_policy(ACCOUNT))["Id"] == "key-default-1"


@pytest.mark.parametrize(
    "other",
    [
        {"action": "kms:Encrypt*"},
        {"action": "kms:*a*"},
        {"action": "kms:A*"},
        {"action": ["kms:*ing*", "kms:?*"]},
        {"principal": [ROOT, ALICE]},
        {"principal": [ROOT, "999999999999"]},
        {"resource": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{KEY_ID}"},
        {"condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
)
def test_what_says_anything_more_is_no_plain_delegation(other):
    assert not document(statement(**{"principal": ROOT, **other})).is_plain_delegation(ACCOUNT)
    assert not document(statement("Deny", principal=ROOT)).is_plain_delegation(ACCOUNT)


def test_an_answer_names_its_statement():
    answer = document(statement(principal=BOB), statement(Sid="Let Alice in")).answer(request())
    assert (answer.says, answer.number, answer.sid) == (Says.ALLOW, 2, "Let Alice in")


GOOD = statement()
MALFORMED = {
    "nothing": "", "no JSON": "{", "a list": "[]", "a number": "1", "no statement": "{}", "BOM": "\ufeff{}",
    "an empty list": json.dumps({"Statement": []}), "a text for a statement": json.dumps({"Statement": ["x"]}),
    "another version": policy_text(GOOD, Version="2020-01-01"), "a list as version": policy_text(GOOD, Version=[]),
    "an unknown element": policy_text(GOOD, Statements=[]), "an id that is no text": policy_text(GOOD, Id=1),
    "an unknown element of a statement": policy_text({**GOOD, "NotResource": "*"}),
    "a principal left out": policy_text({**GOOD, "NotPrincipal": "*"}),
    "no effect": policy_text({**GOOD, "Effect": "allow"}), "a list as effect": policy_text({**GOOD, "Effect": []}),
    "no action": policy_text({k: v for k, v in GOOD.items() if k != "Action"}),
    "both actions": policy_text({**GOOD, "NotAction": "kms:*"}), "no actions": policy_text(statement(action=[])),
    "an action without service": policy_text(statement(action="Encrypt")),
    "an action of another service": policy_text(statement(action="s3:GetObject")),
    "a service with a wildcard": policy_text(statement(action="k*:Encrypt")),
    "an action that is a number": policy_text(statement(action=5)),
    "an empty action": policy_text(statement(action="kms:")),
    "no resource": policy_text({k: v for k, v in GOOD.items() if k != "Resource"}),
    "a resource that is no ARN": policy_text(statement(resource="key/*")),
    "an alias as resource": policy_text(statement(resource=f"arn:aws:kms:*:{ACCOUNT}:alias/x")),
    "no principal": policy_text({k: v for k, v in GOOD.items() if k != "Principal"}),
    "an empty principal": policy_text({**GOOD, "Principal": {}}), "an unknown kind": policy_text({**GOOD, "Principal": {"Federated": "x"}}),
    "a principal with a wildcard": policy_text(statement(principal=f"arn:aws:iam::{ACCOUNT}:user/*")),
    "a bare name": policy_text(statement(principal="alice")), "an id of AWS": policy_text(statement(principal="AIDAJQABLZS4A3QDU576Q")),
    "another partition": policy_text(statement(principal=f"arn:aws-cn:iam::{ACCOUNT}:user/alice")),
    "a group": policy_text(statement(principal=f"arn:aws:iam::{ACCOUNT}:group/all")),
    "a text as service": policy_text({**GOOD, "Principal": {"Service": "*"}}),
    "a text for an id": policy_text({**GOOD, "Sid": 5}), "an id with a line end": policy_text({**GOOD, "Sid": "a\nb"}),
    "a condition that is a list": policy_text(statement(condition=[])),
    "keys that are a list": policy_text(statement(condition={"StringEquals": []})),
    "a lone surrogate": policy_text(GOOD)[:-1] + ', "Id": "\\ud800"}'.replace("Id", "Version"),
    "doubled": '{"Statement": [], "Statement": []}', "NaN": '{"Statement": NaN}', "huge number": '{"Statement": ' + "1" * 20_000 + "}",
    "deep": "[" * 30_000, "deep objects": '{"a":' * 6_000, "too long": policy_text(GOOD) + " " * 32_768,
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_understood_is_refused(name):
    with pytest.raises(MalformedPolicyError) as refused:
        PolicyDocument(MALFORMED[name])
    assert 5 < len(refused.value.message) < 300


def test_a_doubled_member_is_refused_whatever_it_is():
    with pytest.raises(MalformedPolicyError, match="twice"):
        PolicyDocument(policy_text(GOOD).replace('"Effect": "Allow"', '"Effect": "Deny", "Effect": "Allow"'))


def test_a_service_of_aws_as_principal_is_nobody_here_and_told_of():
    service = {**statement(), "Principal": {"Service": "logs.amazonaws.com"}}
    assert document(service).not_present == ("logs.amazonaws.com",)
    assert says(service) == "nothing"
    assert says(service, statement()) == "allow"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["Version", "Id", "Statement", "Sid", "Effect", "Principal", "Action", "Resource", "Condition"]
)


@given(st.text(max_size=200) | json_values.map(json.dumps))
def test_no_text_raises_anything_but_the_one_error(text):
    with contextlib.suppress(MalformedPolicyError):
        PolicyDocument(text)


@given(names, json_values)
def test_no_element_raises_anything_but_the_one_error(name, value):
    for text in (policy_text({**GOOD, name: value}), policy_text(GOOD, **{name: value})):
        with contextlib.suppress(MalformedPolicyError):
            PolicyDocument(text).answer(request())


principals = st.sampled_from([ALICE, BOB, ROOT, ACCOUNT, "*", "999999999999"])
actions = st.sampled_from(["kms:*", "kms:Encrypt", "kms:Dec*", "*", "kms:*Key*"])
conditions = st.sampled_from(
    [
        None,
        {"StringEquals": {"kms:EncryptionContext:tenant": "7"}},
        {"StringNotEquals": {"kms:EncryptionContext:tenant": "7"}},
        {"Null": {"kms:EncryptionContext:tenant": "true"}},
        {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
        {"StringLike": {"kms:ViaService": "*"}},
    ]
)
statements = st.builds(
    lambda effect, principal, action, condition: statement(effect, principal=principal, action=action, condition=condition),
    st.sampled_from(["Allow", "Deny"]), principals, actions, conditions,
)  # fmt: skip
requests = st.builds(
    lambda action, principal, context, address: request(action, principal=principal, context=context, source_address=address),
    st.sampled_from(["Encrypt", "Decrypt", "DescribeKey"]),
    st.sampled_from([ALICE, BOB]),
    st.sampled_from([{}, {"tenant": "7"}, {"Tenant": "8", "tenant": "7"}]),
    st.sampled_from(["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", ""]),
)  # fmt: skip
RANK = {Says.DENY: 0, Says.NOTHING: 1, Says.DELEGATE: 2, Says.ALLOW: 3}


@given(st.lists(statements, min_size=1, max_size=5), statements, requests)
@settings(max_examples=300)
def test_one_more_deny_never_allows_and_one_more_allow_never_denies(known, added, asked):
    before = RANK[document(*known).answer(asked).says]
    after = RANK[document(*known, added).answer(asked).says]
    if added["Effect"] == "Deny":
        assert after <= before
        assert after in {before, RANK[Says.DENY]}
    else:
        assert after >= before


@given(st.lists(statements, min_size=2, max_size=5), st.randoms(use_true_random=False), requests)
def test_the_order_of_statements_does_not_matter(known, chance, asked):
    before = document(*known).answer(asked).says
    shuffled = list(known)
    chance.shuffle(shuffled)
    assert document(*shuffled).answer(asked).says is before


@given(st.lists(statements, min_size=1, max_size=5), st.lists(requests, max_size=6))
def test_what_a_document_remembers_changes_no_answer(known, asked):
    remembering = document(*known)
    for one in asked:
        assert remembering.answer(one) == document(*known).answer(one)


def test_kinds_of_keys_are_told_apart():
    rsa = KeyFacts(KEY_ID, "RSA_2048", "SIGN_VERIFY", "AWS_KMS")
    asked = {
        "StringEquals": {"kms:KeySpec": "RSA_2048", "kms:KeyUsage": "SIGN_VERIFY", "kms:KeyOrigin": "AWS_KMS"}
    }
    assert says(statement(condition=asked), key=rsa) == "allow"
    assert says(statement(condition=asked)) == "nothing"
