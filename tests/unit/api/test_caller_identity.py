"""STS GetCallerIdentity: forms in, XML out, signed for ``sts`` and for nothing else."""

import xml.etree.ElementTree as ET

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from api_support import ACCESS_KEY, ACCOUNT, HOST, REGION, SECRET_KEY
from strongroom.api import ApiError, sign_request
from strongroom.api._arns import Arns
from strongroom.api._sts import prepare_sts, render_error, sts_operation
from strongroom.core import AuditUnavailableError, Secret

FORM = b"Action=GetCallerIdentity&Version=2011-06-15"
NAMESPACE = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/"}


async def ask(
    api, body=FORM, *, service="sts", secret=SECRET_KEY, kind="application/x-www-form-urlencoded", **headers
):
    signed = sign_request(
        method="POST", path="/", host=HOST, headers={"Content-Type": kind, **headers}, body=body,
        access_key_id=ACCESS_KEY, secret_access_key=Secret(secret.encode()), region=REGION, clock=api.clock,
        service=service,
    )  # fmt: skip
    return await api.send("POST", "/", signed, body)


def parsed(body):
    return ET.fromstring(body)  # noqa: S314  # our own answer


def error_of(answer):
    root = parsed(answer.body)
    assert answer.headers["content-type"] == "text/xml"
    assert root.findtext("sts:RequestId", None, NAMESPACE) == answer.headers["x-amzn-requestid"]
    return answer.status, root.findtext("sts:Error/sts:Code", None, NAMESPACE)


@pytest.mark.parametrize("kind", [
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-Urlencoded",
])  # fmt: skip
async def test_a_caller_learns_who_it_is(api, kind):
    answer = await ask(api, kind=kind)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    root = parsed(answer.body)
    result = {
        child.tag.rpartition("}")[2]: child.text
        for child in root.find("sts:GetCallerIdentityResult", NAMESPACE)
    }
    assert result["Account"] == ACCOUNT
    assert result["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/developer"
    assert result["UserId"].startswith("AIDA")
    assert len(result["UserId"]) == 21
    [(verb, caller)] = api.service.outcomes
    assert (verb, caller.principal) == ("GetCallerIdentity", "user/developer")
    assert api.service.refusals == []


async def test_a_user_id_stays_the_same_and_is_another_for_another(api):
    first, again = [(await ask(api)).body for _ in range(2)]
    api.service.credentials[ACCESS_KEY] = api.service.credentials[ACCESS_KEY]._replace(principal="user/<&>")
    other = (await ask(api)).body

    def user_id(body):
        return parsed(body).findtext(".//sts:UserId", None, NAMESPACE)

    assert user_id(first) == user_id(again) != user_id(other)
    assert parsed(other).findtext(".//sts:Arn", None, NAMESPACE).endswith(":user/<&>")


async def test_a_signature_for_one_service_is_none_for_the_other(api):
    assert error_of(await ask(api, service="kms")) == (403, "SignatureDoesNotMatch")
    for _ in range(3):  # neither when it is known already
        await ask(api)
        await api.call("ListKeys")
        body = b"{}"
        headers = sign_request(
            method="POST", path="/", host=HOST, body=body, access_key_id=ACCESS_KEY, region=REGION, clock=api.clock,
            secret_access_key=Secret(SECRET_KEY.encode()), service="sts",
            headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.ListKeys"},
        )  # fmt: skip
        answer = await api.send("POST", "/", headers, body)
        assert (answer.status, answer.code) == (400, "InvalidSignatureException")
        assert "'kms'" in answer.message


@pytest.mark.parametrize(("body", "code"), [
    (b"Action=AssumeRole&Version=2011-06-15", "InvalidAction"),
    (b"Action=GetCallerIdentity", "InvalidAction"),
    (b"Action=GetCallerIdentity&Version=2010-05-08", "InvalidAction"),
    (b"Version=2011-06-15", "InvalidAction"),
    (b"Action=GetCallerIdentity&Action=GetCallerIdentity&Version=2011-06-15", "MalformedQueryString"),
    (b"", "InvalidAction"), (b"Action", "MalformedQueryString"), (b"\xff=1", "MalformedQueryString"),
    (b"Action=%ff&Version=2011-06-15", "MalformedQueryString"),
    (FORM + b"&a=b" * 20, "MalformedQueryString"),
])  # fmt: skip
async def test_other_forms_are_refused_in_the_words_of_sts(api, body, code):
    assert error_of(await ask(api, body)) == (400, code)
    assert api.service.outcomes == []
    [refusal] = api.service.refusals
    assert refusal.operation == "-"


async def test_wrong_credentials_are_refused_in_the_words_of_sts(api):
    assert error_of(await ask(api, secret="wrong")) == (403, "SignatureDoesNotMatch")
    assert [refusal.operation for refusal in api.service.refusals] == ["GetCallerIdentity"]
    api.service.credentials.clear()
    assert error_of(await ask(api)) == (403, "InvalidClientTokenId")
    unsigned = await api.send("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, FORM)
    assert error_of(unsigned) == (403, "MissingAuthenticationToken")


async def test_faults_of_ours_are_told_as_such(api):
    api.service.fail_with = AuditUnavailableError("ENOSPC")
    assert error_of(await ask(api)) == (500, "InternalFailure")
    api.service.fail_with = None
    api.service.audit_broken = True
    assert error_of(await ask(api, b"Action=x")) == (500, "InternalFailure")


async def test_a_form_that_names_a_target_is_for_kms(api):
    answer = await ask(api, b"{}", service="kms", **{"X-Amz-Target": "TrentService.ListKeys"})
    assert (answer.status, answer.json["Keys"]) == (200, [])


@given(
    st.binary(max_size=200)
    | st.text("Action=GetCallerIdentity&Version2011-06-15%+;", max_size=80).map(str.encode)
)
def test_any_bytes_are_read_or_refused(body):
    refusal = None
    try:
        prepare_sts(body, Arns(ACCOUNT, REGION))
    except ApiError as error:
        refusal = error.code
    assert refusal in {None, "SerializationException", "UnknownOperationException"}
    assert sts_operation(body) == ("GetCallerIdentity" if refusal is None else "-")


@given(st.text(), st.sampled_from(["AccessDeniedException", "ThrottlingException"]))
def test_any_message_gives_xml_that_parses(message, code):
    status, body = render_error(ApiError(code, message), "request-id")
    said = parsed(body).findtext("sts:Error/sts:Message", None, NAMESPACE)
    assert status in {400, 403}
    assert len(said or "") == len(message.replace("\r\n", "\n"))


def sts_client(served, **credentials):
    named = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, **credentials}
    return boto3.session.Session().client(
        "sts", endpoint_url=f"http://127.0.0.1:{served.port}", region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}), **named,
    )  # fmt: skip


def test_boto3_asks_who_it_is_over_real_http(served):
    client = sts_client(served)
    told = client.get_caller_identity()
    assert (told["Account"], told["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/developer")
    with pytest.raises(ClientError) as caught:
        client.get_session_token()
    assert caught.value.response["Error"]["Code"] == "InvalidAction"
    client.close()
    stranger = sts_client(served, aws_secret_access_key="wrong")
    with pytest.raises(ClientError) as caught:
        stranger.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    stranger.close()
