"""``POST /api/v1/keys/KEY-ID/compromise``: signed, without a body, and told in JSON."""

import json

import pytest

from strongroom.core import KeyState

ABSENT = "12345678-1234-1234-1234-123456789012"


async def post(api, path, body=b"", *, method="POST"):
    headers = api.sign(body, target=None, path=path, method=method)
    return await api.send(method, path, headers, body)


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_a_key_is_marked_and_the_api_of_aws_says_so(api, body):
    key_id = await api.new_key()
    answer = await post(api, f"/api/v1/keys/{key_id}/compromise", body)
    assert (answer.status, json.loads(answer.body)) == (
        200,
        {"keyId": api.arn(key_id), "state": "compromised"},
    )
    assert answer.headers["content-type"] == "application/json"
    assert api.service.keys[key_id].state is KeyState.COMPROMISED
    assert (await api.call("DescribeKey", {"KeyId": key_id})).json["KeyMetadata"]["KeyState"] == "Disabled"


async def test_an_unsigned_request_is_refused_and_recorded(api):
    key_id = await api.new_key()
    answer = await api.send("POST", f"/api/v1/keys/{key_id}/compromise", {"Host": "localhost"}, b"")
    assert answer.code == "MissingAuthenticationTokenException"
    assert api.service.refusals[-1].operation == "MarkKeyCompromised"
    assert api.service.keys[key_id].state is KeyState.ACTIVE


@pytest.mark.parametrize(("path", "method", "status"), [
    (f"/api/v1/keys/{ABSENT}/compromise", "POST", 400), (f"/api/v1/keys/{ABSENT}/compromise", "GET", 405),
    (f"/api/v1/keys/{ABSENT}/heal", "POST", 404), ("/api/v1/keys/x/compromise", "POST", 404),
])  # fmt: skip
async def test_what_is_not_there_is_not_found(api, path, method, status):
    assert (await post(api, path, method=method)).status == status


async def test_members_are_refused_not_ignored(api):
    key_id = await api.new_key()
    answer = await post(api, f"/api/v1/keys/{key_id}/compromise", b'{"undo": true}')
    assert answer.code == "ValidationException"
    assert api.service.outcomes[-1][0] == "CreateKey"
