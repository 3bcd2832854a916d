"""Tables of signed requests: each verifies, no two are alike, and each asks for what it should."""

import base64
import json

import msgspec
import pytest

from strongroom.api import ApiError, Request
from strongroom.api._sigv4 import SignatureVerifier
from strongroom.bench import (
    BATCH_OPERATIONS,
    SINGLE_OPERATIONS,
    BenchError,
    KmsCaller,
    RequestFailedError,
    RequestMaker,
    render_request,
)
from strongroom.client import AccessKey, Endpoint, Service
from strongroom.core import Secret
from strongroom.service import Credential
from strongroom.testing import FakeClock

ACCESS_KEY, SECRET_KEY = "AKIDBENCH", "a secret of the bench"


@pytest.fixture
def clock():
    return FakeClock()


def _caller(endpoint, clock):
    key = AccessKey(ACCESS_KEY, Secret.from_text(SECRET_KEY))
    return KmsCaller(Service(endpoint, key, "us-east-1"), clock=clock)


@pytest.fixture
def maker(key_server, clock):
    return RequestMaker(_caller(key_server.endpoint, clock), table_size=30)


def _parsed(raw):
    """Take the bytes of a request apart, as a server does."""
    head, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = start.split(" ")
    headers = tuple((name.lower(), value) for name, value in (line.split(": ", 1) for line in lines))
    assert dict(headers)["content-length"] == str(len(body))
    return Request(method=method, path=path, query="", headers=headers, body=body, peer="-")


def _verifier(clock):
    credential = Credential(ACCESS_KEY, "user/bench", Secret.from_text(SECRET_KEY))
    return SignatureVerifier({ACCESS_KEY: credential}.get, clock)


@pytest.mark.parametrize("operation", SINGLE_OPERATIONS)
def test_every_request_of_a_table_is_signed_and_no_two_are_alike(maker, key_server, clock, operation):
    raw = [render_request(request, key_server.endpoint) for request in maker.requests(operation)]
    assert len(set(raw)) == 30
    for one in raw:
        request = _parsed(one)
        assert _verifier(clock).verify(request).principal == "user/bench"
        assert dict(request.headers)["x-amz-target"] == f"TrentService.{operation}"


def test_a_table_is_signed_anew_each_time(maker, key_server, clock):
    maker.requests("Encrypt")
    clock.advance(400)
    fresh = _parsed(render_request(maker.requests("Encrypt")[0], key_server.endpoint))
    _verifier(clock).verify(fresh)
    clock.advance(301)
    with pytest.raises(ApiError, match="expired"):
        _verifier(clock).verify(fresh)


def test_encrypt_asks_for_plaintexts_of_32_bytes_under_one_key(maker):
    documents = [json.loads(request.body) for request in maker.requests("Encrypt")]
    assert {document["KeyId"] for document in documents} == {"made-for-the-bench"}
    plaintexts = {base64.b64decode(document["Plaintext"]) for document in documents}
    assert len(plaintexts) == 30
    assert {len(plaintext) for plaintext in plaintexts} == {32}


def test_decrypt_asks_for_what_the_service_encrypted(maker):
    plaintexts = [json.loads(request.body)["Plaintext"] for request in maker.requests("Encrypt")]
    sealed = [json.loads(request.body)["CiphertextBlob"] for request in maker.requests("Decrypt")]
    assert [base64.b64decode(one)[::-1] for one in sealed] == [base64.b64decode(one) for one in plaintexts]


def test_one_key_is_made_and_only_when_none_is_named(maker, key_server):
    maker.requests("Encrypt")
    maker.requests("GenerateDataKey")
    assert [operation for operation, *_ in key_server.seen].count("CreateKey") == 1


def test_a_service_that_refuses_ends_the_measurement_before_it_begins(maker, key_server):
    key_server.refused = {"GenerateDataKey"}
    with pytest.raises(RequestFailedError, match=r"400.*DisabledException"):
        maker.requests("GenerateDataKey")


def test_a_service_that_is_not_there_is_an_error(clock):
    caller = _caller(Endpoint("http", "127.0.0.1", 1, None), clock)
    with pytest.raises(RequestFailedError, match="is the service running"):
        RequestMaker(caller, key_id="a key").requests("Encrypt")


def test_an_operation_that_is_not_measured_is_refused(maker):
    with pytest.raises(BenchError, match="CreateKey is not measured"):
        maker.requests("CreateKey")


@pytest.mark.parametrize("operation", BATCH_OPERATIONS)
def test_batches_are_signed_and_each_has_a_hundred_items_of_its_own(maker, key_server, clock, operation):
    requests = maker.requests(operation)
    items = []
    for made in requests:
        request = _parsed(render_request(made, key_server.endpoint))
        assert _verifier(clock).verify(request).principal == "user/bench"
        assert request.path == f"/api/v1/keys/made-for-the-bench/batch/{operation[5:].lower()}"
        items += msgspec.msgpack.decode(request.body)["items"]
    texts = {text for item in items for text in item.values()}
    assert len(items) == len(texts) == len(requests) * 100
    assert {len(text) for text in texts} == {64}


def test_batches_decrypt_what_the_service_encrypted(maker):
    plain = [msgspec.msgpack.decode(request.body) for request in maker.requests("BatchEncrypt")]
    sealed = [msgspec.msgpack.decode(request.body) for request in maker.requests("BatchDecrypt")]
    assert [[item["ciphertext"][::-1] for item in batch["items"]] for batch in sealed] == [
        [item["plaintext"] for item in batch["items"]] for batch in plain
    ]


@pytest.mark.parametrize("operation", BATCH_OPERATIONS)
def test_a_batch_with_an_item_that_failed_ends_the_measurement_before_it_begins(maker, key_server, operation):
    key_server.refused = {operation[5:].lower()}
    with pytest.raises(BenchError, match="100 items were answered, 1 failed"):
        maker.requests(operation)
