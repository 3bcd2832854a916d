"""Domains over HTTP: the routes of the admin API, and the tag by which a client of AWS KMS says a key's domain."""

import json

import pytest

KEY_ID = "12345678-1234-1234-1234-123456789012"


async def ask(api, method, path, members=None, *, query=""):
    body = b"" if members is None else json.dumps(members).encode()
    kind = {"Content-Type": "application/json"}
    headers = api.sign(body, target=None, path=path, method=method, query=query, **kind)
    return await api.send(method, path, headers, body, query=query)


async def made(api, name="tenant-7"):
    return (await ask(api, "POST", "/api/v1/domains", {"name": name})).json


async def created(api, *tags):
    tags = [{"TagKey": key, "TagValue": value} for key, value in tags]
    return await api.call("CreateKey", {"Tags": tags})


async def test_a_domain_is_made_found_by_both_its_names_and_listed(api):
    domain = await made(api)
    assert domain["kind"] == "named"
    assert len(domain["rootId"]) == 32
    for name in ("tenant-7", domain["domainId"]):
        assert (await ask(api, "GET", f"/api/v1/domains/{name}")).json == domain
    pages, after = [], ""
    while after is not None:
        query = "limit=1" + (f"&after={after}" if after else "")
        page = (await ask(api, "GET", "/api/v1/domains", query=query)).json
        pages += page["domains"]
        after = page["nextAfter"]
    assert domain in pages
    assert len(pages) == 2


async def test_the_tag_puts_a_new_key_into_a_domain_and_is_kept(api):
    domain = await made(api)
    answer = await created(api, ("strongroom:domain", "tenant-7"), ("team", "payroll"))
    key_id = answer.json["KeyMetadata"]["KeyId"]
    shown = (await ask(api, "GET", f"/api/v1/keys/{key_id}/domain")).json
    assert shown == domain | {"nKeys": 1}
    tags = (await api.call("ListResourceTags", {"KeyId": key_id})).json["Tags"]
    assert {"TagKey": "strongroom:domain", "TagValue": "tenant-7"} in tags


@pytest.mark.parametrize("value", ["nobody", "", "Tenant-7", "shard", "x" * 256])
async def test_a_tag_that_names_no_domain_makes_no_key(api, value):
    answer = await created(api, ("strongroom:domain", value))
    assert (answer.status, answer.code) == (400, "TagException")
    assert not api.service.domain_of


async def test_a_key_inside_hsms_is_put_into_no_domain(api):
    members = {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1"}
    members["Tags"] = [{"TagKey": "strongroom:domain", "TagValue": "dedicated"}]
    answer = await api.call("CreateKey", members)
    assert (answer.status, answer.code) == (400, "TagException")
    assert api.service.refusals[-1].operation == "CreateKey"


async def test_a_full_domain_is_a_limit(api, monkeypatch):
    monkeypatch.setattr("fakes_domains.MAX_KEYS", 0)
    await made(api)
    answer = await created(api, ("strongroom:domain", "tenant-7"))
    assert (answer.status, answer.code) == (400, "LimitExceededException")


async def test_a_key_is_made_in_a_domain_without_the_words_of_aws(api):
    await made(api)
    members = {"domain": "tenant-7", "keySpec": "ECC_NIST_P256", "keyUsage": "SIGN_VERIFY"}
    answer = await ask(api, "POST", "/api/v1/keys", members)
    assert answer.json["keyId"].startswith("arn:")
    assert (
        await ask(api, "POST", "/api/v1/keys", {**members, "domain": "nobody"})
    ).code == "NotFoundException"
    for bad in ({"keySpec": "ECC_NIST_P256"}, {"keySpec": "SM2"}, {"keyUsage": "SIGN_VERIFY"}):
        refused = await ask(api, "POST", "/api/v1/keys", {"domain": "tenant-7", **bad})
        assert (refused.status, refused.code) == (400, "ValidationException")


async def test_a_key_moves_and_a_domain_is_rotated(api):
    domain = await made(api)
    key_id = (await created(api)).json["KeyMetadata"]["KeyId"]
    moved = (await ask(api, "POST", f"/api/v1/keys/{key_id}/move", {"domain": "tenant-7"})).json
    assert moved == domain | {"nKeys": 1}
    rotated = (await ask(api, "POST", "/api/v1/domains/tenant-7/rotate")).json
    assert rotated["domainId"] != domain["domainId"]
    assert rotated["replaces"]["domainId"] == domain["domainId"]
    assert (rotated["replaces"]["keysLeft"], rotated["replaces"]["keysTotal"]) == (1, 1)
    again = await ask(api, "POST", "/api/v1/domains/tenant-7/rotate")
    assert (again.status, again.code) == (400, "KMSInvalidStateException")


@pytest.mark.parametrize(("method", "path", "members", "code"), [
    ("GET", "domains/nobody", None, "NotFoundException"),
    ("POST", "domains/nobody/rotate", None, "NotFoundException"),
    ("POST", "domains", {"name": "tenant-7"}, "AlreadyExistsException"),
    ("POST", "domains", {"name": "dedicated"}, "ValidationException"),
    ("POST", "domains", {}, "ValidationException"),
    ("POST", "domains", {"name": "a", "kind": "shard"}, "ValidationException"),
    ("POST", f"keys/{KEY_ID}/move", {"domain": "tenant-7"}, "NotFoundException"),
    ("POST", f"keys/{KEY_ID}/move", {"domain": ""}, "ValidationException"),
    ("GET", f"keys/{KEY_ID}/domain", None, "NotFoundException"),
])  # fmt: skip
async def test_what_cannot_be_done_is_refused(api, method, path, members, code):
    await made(api)
    answer = await ask(api, method, f"/api/v1/{path}", members)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=" + "a" * 37, "x=1"])
async def test_a_page_that_cannot_be_is_refused(api, query):
    assert (await ask(api, "GET", "/api/v1/domains", query=query)).code == "ValidationException"


@pytest.mark.parametrize("path", ["domains/Tenant", "domains/a%20b", "domains/-a", "domains/" + "a" * 65])
async def test_what_names_no_domain_is_no_path(api, path):
    assert (await ask(api, "GET", f"/api/v1/{path}")).status == 404
