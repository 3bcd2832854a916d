"""Schemathesis on the admin API's own OpenAPI document: valid and near-valid requests, against a real service.

Each is answered as the document says, none by a 5xx, none without an entry in the audit log; what breaks the document is refused.
"""

import json
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from admin_door import AdminDoor
from custody_service import give_officers
from strongroom.api._admin_routes import ADMIN_ROUTES
from strongroom.api._json import encode_document
from strongroom.api._openapi import openapi_document

BASE = "http://localhost:8443"
CHECKS = [
    not_a_server_error, content_type_conformance, negative_data_rejection, response_schema_conformance, status_code_conformance,
]  # fmt: skip


def for_tests(schema):
    """Return the document as the generator understands it: bytes are of a format, and bodies are JSON (others test MessagePack)."""
    if isinstance(schema, list):
        return [for_tests(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("contentEncoding") == "base64":
        return {"type": "string", "format": "byte"}
    return {name: for_tests(value) for name, value in schema.items() if name != "application/msgpack"}


DOCUMENT = for_tests(json.loads(encode_document(openapi_document(ADMIN_ROUTES))))
OPERATIONS = {
    found.ok().label: found.ok() for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
}
SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture
async def door(bench):
    await give_officers(bench)
    return AdminDoor(bench)


def test_the_document_describes_every_route():
    assert len(OPERATIONS) == len(ADMIN_ROUTES)


async def try_one(bench, door, key_id, data, label):
    """Send one request that the document allows, or one that it nearly does."""
    mode = data.draw(st.sampled_from(GenerationMode))
    known = {"keyId": key_id} if "{keyId}" in label and data.draw(st.booleans()) else None
    case = data.draw(OPERATIONS[label].as_strategy(generation_mode=mode, path_parameters=known))
    request = requests.Request(**_sent(case)).prepare()
    parts, body = urlsplit(request.url), request.body or b""
    body = body.encode() if isinstance(body, str) else body
    kind = request.headers.get("Content-Type", "")
    answer = await door.send(request.method, parts.path, body, query=parts.query, kind=kind)
    headers = {name: [value] for name, value in answer.headers.items()}
    case.validate_response(Response(answer.status, headers, answer.body, request, 0.1, True), checks=CHECKS)
    request_id = answer.headers["x-amzn-requestid"]
    assert request_id in {entry.request_id for entry in bench.entries()[-64:]}


def _sent(case):
    kwargs = case.as_transport_kwargs(base_url=BASE)
    return {
        name: value
        for name, value in kwargs.items()
        if name in {"method", "url", "headers", "params", "data", "json", "cookies"}
    }


@pytest.mark.parametrize("label", OPERATIONS)
@settings(max_examples=20, **SETTINGS)
@given(data=st.data())
async def test_a_request_by_the_document_is_answered_by_it_and_recorded(bench, door, key_id, data, label):
    await try_one(bench, door, key_id, data, label)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("label", OPERATIONS)
@settings(max_examples=300, **SETTINGS)
@given(data=st.data())
async def test_many_requests_by_the_document_are_answered_by_it_and_recorded(
    bench, door, key_id, data, label
):
    await try_one(bench, door, key_id, data, label)
