"""Inventories: one digest for one content, and nothing that was changed is taken for what was handed out."""

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.core import (
    INVENTORY_FORMAT,
    MAX_INVENTORY_BYTES,
    Inventory,
    InventoryUnreadableError,
    VersionFound,
    read_inventory,
)

COUNTS = st.integers(0, 2**53)
DATES = st.floats(1, 5e9).map(lambda date: round(date, 3))
VERSIONS = st.lists(
    st.builds(VersionFound, st.integers(1, 2**32 - 1), COUNTS, COUNTS, COUNTS),
    max_size=10,
    unique_by=lambda found: found.version,
)
INVENTORIES = st.builds(
    lambda key_id, began_at, lasted, *rest: Inventory(
        INVENTORY_FORMAT, str(key_id), "table", "a table", began_at, began_at + lasted, *rest
    ),
    st.uuids(),
    DATES,
    st.integers(0, 10_000),
    COUNTS,
    COUNTS,
    st.booleans(),
    VERSIONS,
)
ONE = Inventory(
    INVENTORY_FORMAT,
    str(uuid.UUID(int=7)),
    "lines",
    "a file",
    10.0,
    20.0,
    3,
    0,
    True,
    [VersionFound(1, 3, 3, 0)],
)


@settings(deadline=None)
@given(INVENTORIES)
def test_an_inventory_is_read_as_it_was_written(inventory):
    read = read_inventory(inventory.file())
    assert (read, read.digest) == (inventory, inventory.digest)
    assert json.loads(inventory.canonical()) == json.loads(inventory.file())["inventory"]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_what_is_none_is_refused(data):
    with pytest.raises(InventoryUnreadableError):
        read_inventory(data)


@pytest.mark.parametrize(
    "change",
    [
        {"scanned": 4}, {"complete": False}, {"store": "another"}, {"versions": []}, {"began_at": 30.0},
        {"versions": [{"version": 1, "found": 3, "rewrapped": 3, "left": 1}]},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_is_changed_is_seen(change):
    document = json.loads(ONE.file())
    document["inventory"] |= change
    with pytest.raises(InventoryUnreadableError):
        read_inventory(json.dumps(document).encode())


@pytest.mark.parametrize(
    "changed",
    [
        {"began_at": 30.0}, {"versions": [VersionFound(1, 1, 1, 0)] * 2},
    ],
    ids=["ends before it begins", "a version twice"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_whoever_made_the_digest(changed):
    fields = {name: getattr(ONE, name) for name in ONE.__struct_fields__}
    with pytest.raises(InventoryUnreadableError):
        read_inventory(Inventory(**(fields | changed)).file())


def test_the_digest_does_not_depend_on_how_the_file_is_written():
    document = json.loads(ONE.file())
    shuffled = json.dumps(dict(reversed(document.items())), indent=7).encode()
    assert read_inventory(shuffled) == ONE
    with pytest.raises(InventoryUnreadableError, match="larger"):
        read_inventory(ONE.file() + b" " * MAX_INVENTORY_BYTES)
