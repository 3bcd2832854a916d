"""The table of routes of the admin API: what it finds, refuses and says of itself."""

import contextlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from strongroom.api._admin import PATH_PARAMETERS, PREFIX, AdminRoute, AdminRouter, read_query
from strongroom.api._admin_routes import ADMIN_ROUTER, ADMIN_ROUTES
from strongroom.api._errors import ApiError
from strongroom.service import FOR_EVERYBODY, ROLES_FOR

KEY = "12345678-1234-1234-1234-123456789012"
VALUES = {"keyId": KEY, "jobId": KEY, "domain": "tenant-7", "version": "7", "approval": "ab" * 32}


def path_of(route):
    return PREFIX + re.sub(r"\{(\w+)\}", lambda name: VALUES[name[1]], route.path)


def signed(api, path, body=b"", *, method="GET", kind="application/json", query=""):
    headers = api.sign(body, target=None, path=path, method=method, query=query, **{"Content-Type": kind})
    return api.send(method, path, headers, body, query=query)


@pytest.mark.parametrize("route", ADMIN_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_is_found_and_needs_a_verb_that_somebody_may(route):
    matched = ADMIN_ROUTER.find(route.method, path_of(route))
    assert matched is not None
    assert matched.route is route
    assert matched.path == {name: VALUES[name] for name in re.findall(r"\{(\w+)\}", route.path)}
    assert route.verbs
    assert set(route.verbs) <= ROLES_FOR.keys() | FOR_EVERYBODY
    assert route.method != "GET" or route.request is None


def test_operations_are_named_once():
    names = [route.operation for route in ADMIN_ROUTES]
    assert len(set(names)) == len(names)
    assert VALUES.keys() == PATH_PARAMETERS.keys()


def test_two_routes_of_one_path_and_method_are_a_mistake():
    with pytest.raises(ValueError, match="two routes"):
        AdminRouter((ADMIN_ROUTES[0], ADMIN_ROUTES[0]))


@pytest.mark.parametrize("route", ADMIN_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_another_method_is_answered_with_those_that_there_are(api, route):
    answer = await signed(api, path_of(route), method="PATCH")
    assert (answer.status, answer.code) == (405, "UnknownOperationException")
    assert route.method in answer.headers["allow"].split(", ")
    assert api.service.refusals[-1].error_code == "UnknownOperationException"


@pytest.mark.parametrize(
    "path", ["", "keys/", "openapi.json/", "nothing", f"keys/{KEY}/batch/burn", "keys/../status", "STATUS"]
)
async def test_what_is_not_there_is_not_found_and_recorded(api, path):
    answer = await signed(api, PREFIX + path)
    assert (answer.status, answer.code) == (404, "UnknownOperationException")
    assert answer.headers["content-type"] == "application/json"
    assert api.service.refusals[-1].error_code == "UnknownOperationException"


@pytest.mark.parametrize("route", ADMIN_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_nobody_is_answered_who_is_not_known(api, route):
    answer = await api.send(route.method, path_of(route), {"Host": "localhost"})
    assert (answer.status, answer.code) == (400, "MissingAuthenticationTokenException")
    assert api.service.refusals[-1].operation == route.operation
    assert not api.service.outcomes


async def test_the_description_of_the_api_has_every_route(api):
    answer = await signed(api, f"{PREFIX}openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    document = answer.json
    assert document["openapi"] == "3.1.0"
    listed = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert listed == {(route.method.lower(), PREFIX + route.path) for route in ADMIN_ROUTES}
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()
    assert api.service.outcomes[-1][0] == "ReadApiDescription"


@pytest.mark.parametrize(("query", "status"), [("", 200), ("limit=1", 400), ("x", 400)])
async def test_a_query_that_means_nothing_is_refused(api, query, status):
    assert (await signed(api, f"{PREFIX}status", query=query)).status == status


class Paging(Struct, frozen=True, forbid_unknown_fields=True):
    limit: int = 100
    marker: str | None = None


PAGED = AdminRoute(
    method="GET", path="x", operation="X", verbs=(), summary="", call=None, answer=Paging, query=Paging
)


@pytest.mark.parametrize("query", [
    "limit=1&limit=2", "limit=x", "limit=", "other=1", "limit", "&", "limit=1&&marker=a", "marker=%ff", "marker=" + "&a=" * 40,
])  # fmt: skip
def test_a_query_is_read_strictly(query):
    with pytest.raises(ApiError) as refused:
        read_query(PAGED, query)
    assert refused.value.code == "ValidationException"


def test_a_query_is_decoded_once():
    assert read_query(PAGED, "limit=7&marker=a%2Bb%2525") == Paging(7, "a+b%25")
    assert read_query(PAGED, "") == Paging()


@settings(max_examples=200, deadline=None)
@given(
    path=st.text(max_size=60) | st.sampled_from([path_of(route) for route in ADMIN_ROUTES]),
    query=st.text(max_size=60),
)
def test_any_path_and_query_is_found_or_refused(path, query):
    ADMIN_ROUTER.find("GET", path)
    with contextlib.suppress(ApiError):
        read_query(PAGED, query)
