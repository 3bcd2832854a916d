"""Routes, probes and metrics; and that no bytes whatever make a 500."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_support import Api
from strongroom.api._http import MAX_BODY_BYTES
from strongroom.api._kms import NOT_SERVED_YET, OPERATIONS


async def test_a_body_of_exactly_the_limit_is_read(api):
    answer = await api.raw("ListKeys", b"{" + b" " * (MAX_BODY_BYTES - 2) + b"}")
    assert answer.status == 200


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 405), ("DELETE", "/", 405), ("POST", "/healthz", 405), ("POST", "/metrics", 405),
    ("GET", "/x", 404), ("GET", "//", 404), ("GET", "/%2e/", 404), ("POST", "/api/v1/status", 405), ("OPTIONS", "*", 404),
])  # fmt: skip
async def test_only_known_paths_and_methods_are_served(api, method, path, status):
    answer = await api.send(method, path, {})
    assert (answer.status, answer.code) == (status, "UnknownOperationException")


async def test_probes_need_no_signature_and_are_not_recorded(api):
    assert (await api.send("GET", "/healthz", {})).json == {"healthy": True}
    assert (await api.send("GET", "/readyz", {})).json == {"ready": True}
    api.health.reasons.append("no HSM member is active")
    answer = await api.send("GET", "/readyz", {})
    assert (answer.status, answer.json) == (503, {"ready": False, "reasons": ["no HSM member is active"]})
    assert (await api.send("GET", "/healthz", {})).status == 200
    head = await api.send("HEAD", "/healthz", {})
    assert head.status == 200
    assert api.service.refusals == []


async def test_a_probe_that_fails_is_a_500_without_detail(api, monkeypatch):
    monkeypatch.setattr(api.health, "readiness", lambda: 1 / 0)
    answer = await api.send("GET", "/readyz", {})
    assert (answer.status, answer.json) == (500, {"error": "the probe failed"})


async def test_the_status_is_for_those_who_sign_and_whom_the_service_lets(api):
    headers = api.sign(b"", target=None, method="GET", path="/api/v1/status")
    answer = await api.send("GET", "/api/v1/status", headers)
    assert answer.json == {"members": [{"name": "alpha", "state": "active"}]}
    assert answer.headers["content-type"] == "application/json"
    assert api.service.outcomes[0][0] == "ReadStatus"


async def test_metrics_count_requests_by_operation_and_code(api):
    await api.call("ListKeys")
    await api.call("ListKeys", {"Limit": 0})
    await api.call("Frobnicate")
    await api.send("POST", "/", {"X-Amz-Target": 'TrentService.x"} 1\nfake{a="'})
    answer = await api.send("GET", "/metrics", {})
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    assert 'strongroom_api_requests_total{operation="ListKeys",code="OK"} 1' in lines
    assert 'strongroom_api_requests_total{operation="ListKeys",code="ValidationException"} 1' in lines
    assert 'strongroom_api_requests_total{operation="-",code="UnknownOperationException"} 1' in lines
    assert 'strongroom_api_request_seconds_bucket{operation="ListKeys",le="0.0005"} 0' in lines
    assert 'strongroom_api_request_seconds_bucket{operation="ListKeys",le="+Inf"} 2' in lines
    assert 'strongroom_api_request_seconds_count{operation="ListKeys"} 2' in lines
    assert lines[-1] == "strongroom_members_active 2"
    assert "fake" not in answer.body.decode()


def _check(answer):
    assert answer.status in {200, 400, 404, 405, 413, 431}, answer
    if answer.status != 200:
        document = json.loads(answer.body)
        assert set(document) == {"__type", "message"}
        assert document["__type"].endswith("Exception")
        assert "Traceback" not in document["message"]


operations = st.sampled_from(sorted(OPERATIONS) * 3 + sorted(NOT_SERVED_YET)) | st.text(max_size=8)
latin = st.text(st.characters(max_codepoint=0xFF), max_size=40)
member_names = st.sampled_from(
    ["KeyId", "Plaintext", "CiphertextBlob", "EncryptionContext", "GrantTokens", "NumberOfBytes", "KeySpec", "Limit",
     "Marker", "AliasName", "TargetKeyId", "Description", "Policy", "Tags", "DryRun", "Recipient", "Origin",
     "EncryptionAlgorithm", "KeyUsage", "MultiRegion", "ResourceOwners"]
)  # fmt: skip
plausible = st.sampled_from(
    ["alias/x", "12345678-1234-1234-1234-123456789012", "arn:aws:kms:eu-central-1:123456789012:key/", "AAAA", "AES_256",
     "SYMMETRIC_DEFAULT", "SELF", "AUs", "", 0, 1, 32, 4096, -1, 2**63, True, False, None, [], {}, {"a": "b"}, ["x"], "\x00"]
)  # fmt: skip
values = plausible | st.text(max_size=12) | st.integers() | st.floats() | st.lists(plausible, max_size=2)


@settings(deadline=None)
@given(operations, st.dictionaries(member_names, values, max_size=5))
def test_a_signed_request_of_near_valid_members_never_fails_in_the_server(operation, members):
    body = json.dumps(members).encode()
    target = f"TrentService.{operation}".encode().decode("latin-1")
    api = Api()
    headers = api.sign(body, target=target)
    answer = asyncio.run(api.send("POST", "/", headers, body))
    _check(answer)
    assert len(api.service.outcomes) + len(api.service.refusals) == 1


@settings(deadline=None)
@given(operations, st.binary(max_size=300))
def test_a_signed_request_of_any_bytes_never_fails_in_the_server(operation, body):
    api = Api()
    headers = api.sign(body, target=f"TrentService.{operation}".encode().decode("latin-1"))
    _check(asyncio.run(api.send("POST", "/", headers, body)))


@settings(deadline=None)
@given(latin, latin, latin, st.lists(st.tuples(latin, latin), max_size=5), st.binary(max_size=100))
def test_an_unsigned_request_of_any_bytes_never_fails_in_the_server(method, path, query, headers, body):
    api = Api()
    for where in ("/", f"/{path}"):
        answer = asyncio.run(
            api.send(
                method,
                where,
                [(n.encode().decode("latin-1"), v.encode().decode("latin-1")) for n, v in headers],
                body,
                query=query,
            )
        )
        _check(answer)
