"""``keys versions``, ``retire-version`` and ``inventory`` against the API, served in this process."""

import asyncio
import json

from cli_support import run
from strongroom.core import INVENTORY_FORMAT, Inventory, VersionFound
from strongroom.service import Caller


def made(api):
    result = run("keys", "create", "--json")
    return json.loads(result.stdout[result.stdout.index("{") :])["key_id"]


def rotate(api, key_id):
    caller = Caller("user/x", "AKIA", "127.0.0.1", "us-east-1", "r")
    asyncio.run(api.service.rotate_key_on_demand(caller, key_id))


def inventory_of(key_id, **fields):
    found = [VersionFound(1, 5, 4, 1), VersionFound(2, 0, 0, 4)]
    made = Inventory(INVENTORY_FORMAT, key_id, "lines", "a file", 1.5, 2.5, 5, 0, True, found)
    return Inventory(**({name: getattr(made, name) for name in made.__struct_fields__} | fields))


def test_versions_are_shown_with_how_they_stand(api):
    result = run("keys", "versions", made(api))
    assert result.exit_code == 0, result.stderr
    assert "is active" in result.stdout
    assert "current" in result.stdout


def test_nothing_is_retired_without_a_yes_or_an_approval(api):
    key_id = made(api)
    rotate(api, key_id)
    assert run("keys", "retire-version", key_id, "1").exit_code == 2
    refused = run("keys", "retire-version", key_id, "1", "--yes")
    assert refused.exit_code == 1
    assert "in use within 30 days" in refused.stderr
    api.service.retirable.add(1)
    done = run("keys", "retire-version", key_id, "1", "--yes", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["version"] == 1


def test_an_inventory_is_handed_in_from_its_file(api, tmp_path):
    file = tmp_path / "inventory.json"
    inventory = inventory_of(made(api))
    file.write_bytes(inventory.file())
    done = run("keys", "inventory", file)
    assert done.exit_code == 0, done.stderr
    assert "version 1, 2" in done.stdout
    assert api.service.inventories == [inventory]


def names_in(document):
    if isinstance(document, list):
        return {name for item in document for name in names_in(item)}
    if not isinstance(document, dict):
        return set()
    return set(document) | names_in(list(document.values()))


def test_documents_about_a_key_have_names_of_one_style_and_its_id_and_arn(api, tmp_path):
    key_id = made(api)
    rotate(api, key_id)
    api.service.retirable.add(1)
    file = tmp_path / "inventory.json"
    file.write_bytes(inventory_of(key_id).file())
    commands = [
        ("show", key_id), ("versions", key_id), ("outstanding", key_id), ("cryptoperiod", key_id, "--none"), ("activate", key_id, "--now"),
        ("retire-version", key_id, "1", "--yes"), ("inventory", file), ("compromise", key_id, "--yes"),
    ]  # fmt: skip
    for command in commands:
        document = json.loads(run("keys", *command, "--json").stdout)
        assert (document["key_id"], document["arn"].rpartition(":")[2]) == (key_id, f"key/{key_id}"), command
        assert all(name == name.lower() for name in names_in(document)), command


def test_a_file_that_was_changed_is_not_handed_in(api, tmp_path):
    file = tmp_path / "inventory.json"
    file.write_bytes(inventory_of(made(api)).file().replace(b'"left": 1', b'"left": 0'))
    refused = run("keys", "inventory", file)
    assert refused.exit_code == 1
    assert "was changed" in refused.stderr
    assert api.service.inventories == []
