"""Custom key stores at the edge: what is refused, by which code, and that no password gets any further."""

import json

import pytest

from fakes_direct_keys import CLUSTER
from strongroom.api import _requests_key_stores as requests
from strongroom.api._json import decode_members

NEW = {"CustomKeyStoreName": "hsm", "CloudHsmClusterId": CLUSTER}
ABSENT = {"CustomKeyStoreId": "cks-00000000000000000"}
PASSWORD = "kmsPswd-77141"


async def created(api, **members):
    return {
        "CustomKeyStoreId": (await api.call("CreateCustomKeyStore", {**NEW, **members})).json[
            "CustomKeyStoreId"
        ]
    }


@pytest.mark.parametrize(("operation", "members", "code"), [
    ("CreateCustomKeyStore", {"CloudHsmClusterId": CLUSTER}, "ValidationException"),
    ("CreateCustomKeyStore", {"CustomKeyStoreName": "hsm"}, "ValidationException"),
    ("CreateCustomKeyStore", {**NEW, "CustomKeyStoreName": ""}, "ValidationException"),
    ("CreateCustomKeyStore", {**NEW, "CustomKeyStoreName": "x" * 257}, "ValidationException"),
    ("CreateCustomKeyStore", {**NEW, "CloudHsmClusterId": "cluster-1"}, "ValidationException"),
    ("CreateCustomKeyStore", {**NEW, "CloudHsmClusterId": CLUSTER + "\n"}, "ValidationException"),
    ("CreateCustomKeyStore", {**NEW, "CloudHsmClusterId": "cluster-other2hsms2"}, "CloudHsmClusterNotFoundException"),
    ("CreateCustomKeyStore", {**NEW, "CustomKeyStoreType": "EXTERNAL_KEY_STORE"}, "UnsupportedOperationException"),
    ("CreateCustomKeyStore", {**NEW, "CustomKeyStoreType": "OTHER"}, "ValidationException"),
    ("CreateCustomKeyStore", {**NEW, "TrustAnchorCertificate": "x"}, "UnsupportedOperationException"),
    ("CreateCustomKeyStore", {**NEW, "XksProxyUriPath": "x"}, "UnsupportedOperationException"),
    ("UpdateCustomKeyStore", {**ABSENT, "CloudHsmClusterId": "x"}, "ValidationException"),
    ("UpdateCustomKeyStore", {}, "ValidationException"),
    ("UpdateCustomKeyStore", ABSENT, "CustomKeyStoreNotFoundException"),
    ("ConnectCustomKeyStore", ABSENT, "CustomKeyStoreNotFoundException"),
    ("ConnectCustomKeyStore", {"CustomKeyStoreId": "x" * 65}, "ValidationException"),
    ("DisconnectCustomKeyStore", ABSENT, "CustomKeyStoreNotFoundException"),
    ("DeleteCustomKeyStore", ABSENT, "CustomKeyStoreNotFoundException"),
    ("GenerateRandom", {**ABSENT, "NumberOfBytes": 8}, "CustomKeyStoreNotFoundException"),
    ("DescribeCustomKeyStores", ABSENT, "CustomKeyStoreNotFoundException"),
    ("DescribeCustomKeyStores", {"CustomKeyStoreName": "nobody"}, "CustomKeyStoreNotFoundException"),
    ("DescribeCustomKeyStores", {**ABSENT, "CustomKeyStoreName": "x"}, "ValidationException"),
    ("DescribeCustomKeyStores", {"Limit": 0}, "ValidationException"),
    ("DescribeCustomKeyStores", {"Marker": "junk"}, "InvalidMarkerException"),
])  # fmt: skip
async def test_what_cannot_be_is_refused_by_its_code(api, operation, members, code):
    answer = await api.call(operation, members)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    ("operation", "members"), [("CreateCustomKeyStore", NEW), ("UpdateCustomKeyStore", ABSENT)]
)
async def test_a_password_is_refused_and_goes_nowhere(api, operation, members):
    sent = {**members, "KeyStorePassword": PASSWORD}
    answer = await api.call(operation, sent)
    assert (answer.code, "PINs of HSMs never come through the API" in answer.message) == (
        "UnsupportedOperationException",
        True,
    )
    assert PASSWORD not in answer.body.decode()
    assert api.service.outcomes == []
    assert PASSWORD not in str(api.service.refusals)
    kind = requests.CreateCustomKeyStoreMembers
    assert PASSWORD not in repr(decode_members(json.dumps(sent).encode(), kind))


async def test_states_that_do_not_fit_are_refused(api):
    store = await created(api)
    for operation in ("UpdateCustomKeyStore", "DeleteCustomKeyStore"):
        await api.call("ConnectCustomKeyStore", store)
        assert (await api.call(operation, store)).code == "CustomKeyStoreInvalidStateException"
    await api.call("DisconnectCustomKeyStore", store)
    assert (await api.call("DisconnectCustomKeyStore", store)).code == "CustomKeyStoreInvalidStateException"
    assert (await api.call("CreateCustomKeyStore", NEW)).code == "CustomKeyStoreNameInUseException"


async def test_stores_are_shown_one_by_one_and_page_by_page(api):
    made = [await created(api, CustomKeyStoreName=name) for name in "abc"]
    (entry,) = (await api.call("DescribeCustomKeyStores", made[1])).json["CustomKeyStores"]
    assert (entry["CustomKeyStoreName"], entry["ConnectionState"]) == ("b", "DISCONNECTED")
    named = await api.call("DescribeCustomKeyStores", {"CustomKeyStoreName": "c"})
    assert named.json["CustomKeyStores"][0]["CustomKeyStoreId"] == made[2]["CustomKeyStoreId"]
    first = (await api.call("DescribeCustomKeyStores", {"Limit": 2})).json
    rest = (await api.call("DescribeCustomKeyStores", {"Limit": 2, "Marker": first["NextMarker"]})).json
    ids = [entry["CustomKeyStoreId"] for entry in first["CustomKeyStores"] + rest["CustomKeyStores"]]
    assert ids == sorted(store["CustomKeyStoreId"] for store in made)
    assert (first["Truncated"], rest["Truncated"]) == (True, False)
