"""Callers of the admin API known by a client certificate: the same principals, and nothing that another site's page could send."""

import json

import pytest

from api_support import ACCOUNT, FakeKeyService, FixedClock, Health
from oidc_support import Issuer, claims_at
from strongroom.api import ClientIdentities, Handler, Request

IDENTITIES = ClientIdentities({"dns:app.internal": "user/app"}, region="eu-central-1")
KEY = "12345678-1234-1234-1234-123456789012"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


class Door:
    def __init__(self, issuer):
        self.clock = FixedClock()
        self.service = FakeKeyService(self.clock)
        self.issuer = issuer
        self.handler = Handler(
            self.service, Health(), clock=self.clock, account_id=ACCOUNT, identities=IDENTITIES,
            tokens=issuer.tokens(self.clock),
        )  # fmt: skip

    async def send(self, method, path, *, identity="dns:app.internal", body=b"", **headers):
        named = tuple((name.lower().replace("_", "-"), value) for name, value in headers.items())
        request = Request(method, path, "", (("host", "localhost"), *named), body, "127.0.0.1", identity)
        response = await self.handler.handle(request)
        return response.status, json.loads(response.body)


@pytest.fixture
def door(issuer):
    return Door(issuer)


async def test_a_certificate_opens_the_admin_api_to_its_principal(door):
    status, answer = await door.send("GET", "/api/v1/caller")
    assert (status, answer["principal"], answer["credential"]) == (200, "user/app", "dns:app.internal")
    assert answer["arn"] == f"arn:aws:iam::{ACCOUNT}:user/app"


@pytest.mark.parametrize("kind", [
    None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json",
    "application/json-patch+json",
])  # fmt: skip
async def test_what_a_form_of_another_site_can_send_changes_nothing(door, kind):
    headers = {} if kind is None else {"content_type": kind}
    status, answer = await door.send("POST", f"/api/v1/keys/{KEY}/compromise", **headers)
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert not door.service.outcomes
    assert door.service.refusals[-1].operation == "MarkKeyCompromised"


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/msgpack"]
)
async def test_programs_say_what_they_send(door, kind):
    status, answer = await door.send("POST", f"/api/v1/keys/{KEY}/compromise", content_type=kind)
    assert (status, answer["__type"]) == (400, "NotFoundException")
    assert door.service.outcomes[-1][1].principal == "user/app"


async def test_no_other_site_is_given_leave_to_send_more(door):
    status, answer = await door.send("OPTIONS", "/api/v1/keys", origin="https://evil.example")
    assert (status, answer["__type"]) == (405, "UnknownOperationException")


async def test_a_token_goes_before_a_certificate(door):
    token = door.issuer.main.token(claims_at(door.clock.at))
    _, answer = await door.send("GET", "/api/v1/caller", authorization=f"Bearer {token}")
    assert answer["principal"] == "user/alice"
    status, answer = await door.send("GET", "/api/v1/caller", authorization="Bearer x.y.z")
    assert (status, answer["__type"]) == (401, "InvalidBearerTokenException")


@pytest.mark.parametrize("identity", ["", "dns:nobody.internal", "cn:dns:app.internal"])
async def test_a_certificate_that_is_not_configured_is_nobodys(door, identity):
    status, answer = await door.send("GET", "/api/v1/caller", identity=identity)
    assert (status, answer["__type"]) == (400, "MissingAuthenticationTokenException")
