"""Policies and grants over the API and the real service behind it: what is accepted, refused and answered."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_support import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY, Api, Health
from policy_support import policy_text, statement
from strongroom.api import Handler
from strongroom.core import Secret
from strongroom.policy import default_policy
from strongroom.service import Credential, Role
from strongroom.storage import AccessKeyRecord

ARN = f"arn:aws:iam::{ACCOUNT}:"
ROOT, APP, DEVELOPER = f"{ARN}root", f"{ARN}user/app", f"{ARN}user/developer"
DELEGATE = statement(principal=ROOT)
ABSENT = "12345678-1234-1234-1234-123456789012"


class RealApi(Api):
    """The API over a real service; ``act_as`` says whose access key signs from now on."""

    def __init__(self, bench):
        super().__init__()
        self.bench = bench
        self.service = bench.service
        self.handler = Handler(bench.service, Health(), clock=self.clock, account_id=ACCOUNT)

    async def act_as(self, name, *roles):
        record = AccessKeyRecord(ACCESS_KEY, f"user/{name}", tuple(map(str, roles)), b"wrapped", True, 1.0)

        def replace(tx):
            if any(known.access_key_id == ACCESS_KEY for known in tx.list_access_keys()):
                tx.delete_access_key(ACCESS_KEY)
            tx.insert_access_key(record)

        await self.bench.store.write(replace)
        secret = Secret(SECRET_KEY.encode())
        self.service.take_credentials({ACCESS_KEY: Credential(ACCESS_KEY, record.principal, secret)})


@pytest.fixture
async def real(bench):
    api = RealApi(bench)
    await api.act_as("developer", Role.CRYPTO_OFFICER, Role.CRYPTO_USER, Role.OPERATOR)
    return api


@pytest.fixture
async def key(real):
    return {"KeyId": await real.new_key()}


async def test_a_new_key_has_the_default_policy(real, key):
    answer = await real.call("GetKeyPolicy", key)
    assert answer.json == {"Policy": default_policy(ACCOUNT), "PolicyName": "default"}
    assert (await real.call("ListKeyPolicies", key)).json == {"PolicyNames": ["default"], "Truncated": False}
    other = await real.call("GetKeyPolicy", {**key, "PolicyName": "mine"})
    assert (other.code, other.message) == ("NotFoundException", "No such policy exists")


async def test_a_policy_comes_back_byte_for_byte(real, key):
    document = policy_text(DELEGATE, statement(principal=APP)).replace(" ", "\n\t ")
    assert (await real.call("PutKeyPolicy", {**key, "Policy": document, "PolicyName": "default"})).body == b""
    assert (await real.call("GetKeyPolicy", key)).json["Policy"] == document


@pytest.mark.parametrize(
    "document", ["{}", "x", policy_text(statement(action="s3:Get")), policy_text(DELEGATE) + " " * 40_000]
)
async def test_a_policy_that_is_not_understood_is_malformed(real, key, document):
    answer = await real.call("PutKeyPolicy", {**key, "Policy": document})
    assert (answer.status, answer.code) == (400, "MalformedPolicyDocumentException")


async def test_who_would_lock_itself_out_is_warned(real, key):
    asked = {**key, "Policy": policy_text(statement(principal=APP))}
    answer = await real.call("PutKeyPolicy", asked)
    assert (answer.code, answer.message) == (
        "MalformedPolicyDocumentException",
        "The new key policy will not allow you to update the key policy in the future.",
    )
    assert (await real.call("PutKeyPolicy", {**asked, "BypassPolicyLockoutSafetyCheck": True})).status == 200
    denied = await real.call("GetKeyPolicy", key)
    assert (denied.code, denied.message) == (
        "AccessDeniedException",
        f"User: {DEVELOPER} is not authorized to perform: kms:GetKeyPolicy",
    )


async def test_a_key_is_made_with_its_policy_or_not_at_all(real):
    document = policy_text(DELEGATE, statement(principal=APP, action="kms:Encrypt"))
    made = (await real.call("CreateKey", {"Policy": document})).json["KeyMetadata"]["KeyId"]
    assert (await real.call("GetKeyPolicy", {"KeyId": made})).json["Policy"] == document
    before = (await real.call("ListKeys")).json["Keys"]
    shut = {"Policy": policy_text(statement(principal=APP))}
    for refused in (shut, {"Policy": "{}"}, {"Policy": "{}", "BypassPolicyLockoutSafetyCheck": True}):
        assert (await real.call("CreateKey", refused)).code == "MalformedPolicyDocumentException"
    assert (await real.call("CreateKey", {"Policy": "\u0100"})).code == "ValidationException"
    assert (await real.call("ListKeys")).json["Keys"] == before
    assert (await real.call("CreateKey", {**shut, "BypassPolicyLockoutSafetyCheck": True})).status == 200
    await real.act_as("app")
    assert (await real.call("Encrypt", {"KeyId": made, "Plaintext": "eA=="})).status == 200


async def test_a_grant_is_made_shown_used_and_retired(real, key):
    asked = {**key, "GranteePrincipal": APP, "Operations": ["Encrypt", "RetireGrant"], "Name": "nightly"}
    asked["Constraints"] = {"EncryptionContextSubset": {"tenant": "7"}}
    made = (await real.call("CreateGrant", asked)).json
    assert (await real.call("CreateGrant", asked)).json["GrantId"] == made["GrantId"]
    (shown,) = (await real.call("ListGrants", key)).json["Grants"]
    assert shown.pop("CreationDate") > 0
    assert shown == {
        "KeyId": real.arn(key["KeyId"]), "GrantId": made["GrantId"], "Name": "nightly", "GranteePrincipal": APP,
        "IssuingAccount": ROOT, "Operations": ["Encrypt", "RetireGrant"],
        "Constraints": {"EncryptionContextSubset": {"tenant": "7"}},
    }  # fmt: skip
    await real.act_as("app")
    encrypt = {**key, "Plaintext": "eA==", "EncryptionContext": {"tenant": "7", "more": "x"}}
    assert (await real.call("Encrypt", encrypt)).status == 200
    assert (await real.call("Encrypt", {**encrypt, "GrantTokens": [made["GrantToken"]]})).status == 200
    assert (await real.call("Encrypt", {**encrypt, "EncryptionContext": {}})).code == "AccessDeniedException"
    assert (await real.call("RetireGrant", {"GrantToken": made["GrantToken"]})).body == b""
    assert (await real.call("Encrypt", encrypt)).code == "AccessDeniedException"
    assert (await real.call("Encrypt", {**encrypt, "GrantTokens": [made["GrantToken"]]})).code == (
        "InvalidGrantTokenException"
    )


async def test_a_grant_may_ask_for_eight_long_pairs(real, key):
    pairs = {str(at) + "n" * 383: "v" * 384 for at in range(8)}
    asked = {
        **key, "GranteePrincipal": APP, "Operations": ["Encrypt"], "Constraints": {"EncryptionContextEquals": pairs},
    }  # fmt: skip
    assert (await real.call("CreateGrant", asked)).status == 200


async def test_grant_tokens_are_read_however_their_name_is_written(real, key):
    body = json.dumps({**key, "Plaintext": "eA==", "GrantTokens": ["junk"]}).encode()
    for written in (body, body.replace(b"GrantTokens", b"Grant\\u0054okens")):
        assert (await real.raw("Encrypt", written)).code == "InvalidGrantTokenException"


BROKEN = {
    "no operations": ({"GranteePrincipal": APP}, "ValidationException"),
    "an empty list": ({"GranteePrincipal": APP, "Operations": []}, "ValidationException"),
    "an unknown operation": ({"GranteePrincipal": APP, "Operations": ["PutKeyPolicy"]}, "ValidationException"),
    "what the key cannot do": ({"GranteePrincipal": APP, "Operations": ["Sign"]}, "ValidationException"),
    "nobody": ({"Operations": ["Encrypt"]}, "ValidationException"),
    "a bare name": ({"GranteePrincipal": "app", "Operations": ["Encrypt"]}, "InvalidArnException"),
    "the account": ({"GranteePrincipal": ROOT, "Operations": ["Encrypt"]}, "InvalidArnException"),
    "another account": ({"GranteePrincipal": APP.replace("1", "9"), "Operations": ["Encrypt"]}, "InvalidArnException"),
    "a wildcard": ({"GranteePrincipal": f"{ARN}user/*", "Operations": ["Encrypt"]}, "ValidationException"),
    "a bad retiring principal": ({"GranteePrincipal": APP, "RetiringPrincipal": "x", "Operations": ["Encrypt"]}, "InvalidArnException"),
    "a service": ({"GranteeServicePrincipal": "a.amazonaws.com", "Operations": ["Encrypt"]}, "UnsupportedOperationException"),
    "a source": ({"GranteePrincipal": APP, "Operations": ["Encrypt"], "Constraints": {"SourceArn": "arn:aws:s3:::x"}}, "UnsupportedOperationException"),
    "nine pairs to have": ({"GranteePrincipal": APP, "Operations": ["Encrypt"], "Constraints": {"EncryptionContextSubset": dict.fromkeys("abcdefghi", "x")}}, "ValidationException"),
    "a long value": ({"GranteePrincipal": APP, "Operations": ["Encrypt"], "Constraints": {"EncryptionContextEquals": {"a": "x" * 385}}}, "ValidationException"),
    "a long name of a pair": ({"GranteePrincipal": APP, "Operations": ["Encrypt"], "Constraints": {"EncryptionContextEquals": {"a" * 385: "x"}}}, "ValidationException"),
    "a bad name": ({"GranteePrincipal": APP, "Operations": ["Encrypt"], "Name": "a b"}, "ValidationException"),
    "eleven tokens": ({"GranteePrincipal": APP, "Operations": ["Encrypt"], "GrantTokens": ["x"] * 11}, "ValidationException"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_a_grant_that_cannot_be_is_refused(real, key, name):
    members, code = BROKEN[name]
    answer = await real.call("CreateGrant", {**key, **members})
    assert (answer.status, answer.code) == (400, code)
    assert (await real.call("ListGrants", key)).json["Grants"] == []


async def test_grants_that_are_not_there(real, key):
    absent = "0" * 64
    for operation, members, code in (
        ("RevokeGrant", {**key, "GrantId": absent}, "NotFoundException"),
        ("RevokeGrant", {**key, "GrantId": "x"}, "InvalidGrantIdException"),
        ("RetireGrant", {**key, "GrantId": absent}, "NotFoundException"),
        ("RetireGrant", {"GrantToken": "x"}, "InvalidGrantTokenException"),
        ("RetireGrant", {"GrantToken": "x", "GrantId": absent}, "ValidationException"),
        ("RetireGrant", key, "ValidationException"),
        ("RetireGrant", {}, "ValidationException"),
        ("ListGrants", {**key, "GrantId": absent}, "NotFoundException"),
        ("ListGrants", {**key, "Marker": "x"}, "InvalidMarkerException"),
        ("ListGrants", {"KeyId": ABSENT}, "NotFoundException"),
        ("ListRetirableGrants", {}, "ValidationException"),
        ("ListKeyPolicies", {**key, "Marker": "x"}, "ValidationException"),
    ):
        answer = await real.call(operation, members)
        assert (operation, answer.status, answer.code) == (operation, 400, code)


async def test_grants_come_in_pages(real, key):
    asked = {**key, "GranteePrincipal": APP, "RetiringPrincipal": DEVELOPER, "Operations": ["Encrypt"]}
    made = sorted([(await real.call("CreateGrant", asked)).json["GrantId"] for _ in range(5)])
    for operation, members in (
        ("ListGrants", key),
        ("ListRetirableGrants", {"RetiringPrincipal": DEVELOPER}),
    ):
        found, page = [], {}
        for _ in range(3):
            answer = (await real.call(operation, {**members, "Limit": 2, **page})).json
            found += [grant["GrantId"] for grant in answer["Grants"]]
            page = {"Marker": answer.get("NextMarker")}
        assert (found, answer["Truncated"]) == (made, False)


async def test_a_rehearsal_answers_that_it_would_have_worked(real, key):
    asked = {**key, "GranteePrincipal": APP, "Operations": ["Encrypt"]}
    made = (await real.call("CreateGrant", asked)).json
    for operation, members in (
        ("CreateGrant", asked),
        ("RevokeGrant", {**key, "GrantId": made["GrantId"]}),
        ("RetireGrant", {"GrantToken": made["GrantToken"]}),
        ("Encrypt", {**key, "Plaintext": "eA=="}),
    ):
        assert (await real.call(operation, {**members, "DryRun": True})).code == "DryRunOperationException"
    assert len((await real.call("ListGrants", key)).json["Grants"]) == 1


async def test_a_caller_whose_access_key_was_disabled_is_not_recognised(real, key):
    await real.bench.store.write(lambda tx: tx.set_access_key_active(ACCESS_KEY, is_active=False))
    for operation in ("DescribeKey", "GetKeyPolicy"):
        assert (await real.call(operation, key)).code == "UnrecognizedClientException"


async def test_the_region_that_a_caller_signs_for_does_not_get_round_a_deny(real, key):
    deny = statement("Deny", principal=DEVELOPER, action="kms:Encrypt", resource=real.arn(key["KeyId"]))
    assert (await real.call("PutKeyPolicy", {**key, "Policy": policy_text(DELEGATE, deny)})).status == 200
    for region in (REGION, "us-east-1"):
        answer = await real.call("Encrypt", {**key, "Plaintext": "eA=="}, region=region)
        assert answer.code == "AccessDeniedException"


texts = st.text(max_size=30) | st.sampled_from([APP, ROOT, "*", "Encrypt", "kms:*", "2012-10-17", "Allow"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2_000) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
NAMES = ["Policy", "PolicyName", "GranteePrincipal", "RetiringPrincipal", "Operations", "Constraints", "Name", "GrantId",
         "GrantToken", "GrantTokens", "Limit", "Marker", "DryRun", "BypassPolicyLockoutSafetyCheck"]  # fmt: skip
OPERATIONS = ["GetKeyPolicy", "PutKeyPolicy", "ListKeyPolicies", "CreateGrant", "ListGrants", "ListRetirableGrants",
              "RetireGrant", "RevokeGrant"]  # fmt: skip


@given(st.sampled_from(OPERATIONS), st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_request_is_the_services_fault(real, operation, members):
    if not hasattr(real, "fuzzed"):
        real.fuzzed = await real.new_key()
    key = {} if operation == "ListRetirableGrants" else {"KeyId": real.fuzzed}
    answer = await real.call(operation, {**key, **members})
    assert answer.status in {200, 400}
    await real.bench.store.write(lambda tx: tx.delete_access_to(real.fuzzed))
