"""Single versions over the admin API: retired or refused with a reason, and inventories taken only with their own digest."""

import json

import msgspec
import pytest

from strongroom.core import INVENTORY_FORMAT, Inventory, VersionFound
from strongroom.keyring import VersionRetiredError


def post(api, path, members=None):
    body = b"" if members is None else msgspec.json.encode(members)
    path = f"/api/v1/keys/{path}"
    headers = api.sign(body, target=None, path=path, **{"Content-Type": "application/json"})
    return api.send("POST", path, headers, body)


def inventory_of(key_id):
    found = [VersionFound(1, 5, 5, 0)]
    return Inventory(INVENTORY_FORMAT, key_id, "lines", "a file", 1.5, 2.5, 5, 0, True, found)


def members_of(inventory, **changed):
    return {"inventory": msgspec.to_builtins(inventory) | changed, "sha256": inventory.digest}


async def test_a_former_version_is_retired(api):
    key_id = await api.new_key()
    await api.call("RotateKeyOnDemand", {"KeyId": key_id})
    refused = await post(api, f"{key_id}/versions/1/retire")
    assert (refused.status, refused.code) == (400, "AccessDeniedException")
    assert "in use within 30 days" in refused.json["message"]
    api.service.retirable.add(1)
    answer = await post(api, f"{key_id}/versions/1/retire")
    assert (answer.status, answer.json["version"], answer.json["closedBy"]) == (200, 1, "d" * 64)


@pytest.mark.parametrize(("version", "code"), [("1", "KMSInvalidStateException"), ("2", "NotFoundException")])
async def test_the_current_version_and_one_that_is_not_there_are_refused(api, version, code):
    answer = await post(api, f"{await api.new_key()}/versions/{version}/retire")
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize("version", ["0", "-1", "01", "x", "12345678901"])
async def test_what_is_no_version_is_no_path(api, version):
    assert (await post(api, f"{await api.new_key()}/versions/{version}/retire")).status == 404


async def test_an_inventory_is_kept_as_it_is(api):
    key_id = await api.new_key()
    inventory = inventory_of(key_id)
    answer = await post(api, f"{key_id}/inventories", members_of(inventory))
    assert (answer.status, answer.json["sha256"]) == (200, inventory.digest)
    assert api.service.inventories == [inventory]


@pytest.mark.parametrize(
    "changed", [{"scanned": 6}, {"complete": 1}, {"store": ""}, {"format": "2"}, {"more": 1}], ids=str
)
async def test_an_inventory_that_was_changed_is_refused(api, changed):
    key_id = await api.new_key()
    answer = await post(api, f"{key_id}/inventories", members_of(inventory_of(key_id), **changed))
    assert (answer.status, answer.code) == (400, "ValidationException")
    assert api.service.inventories == []


async def test_a_ciphertext_of_a_retired_version_says_so_to_clients_of_aws(api, monkeypatch):
    key_id = await api.new_key()

    async def refuse(*_args, **_more):
        raise VersionRetiredError(key_id, 3, material_id="a" * 64)

    monkeypatch.setattr(api.service, "enable_key", refuse)
    answer = await api.call("EnableKey", {"KeyId": key_id})
    assert (answer.status, answer.code) == (400, "KMSInvalidStateException")
    assert answer.json["message"].startswith(f"Version 3 of {api.arn(key_id)}")
    assert json.loads(answer.body)
