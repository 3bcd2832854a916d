"""An operator sees over the admin API which roots there are and how far a rotation is."""

import pytest

from admin_door import AdminDoor
from fakes_root_rotation import RotatedBench


@pytest.fixture
async def rotated(bench):
    made = RotatedBench(bench)
    await made.make_keys(3)
    return made


async def test_roots_and_rotation_are_told(bench, rotated):
    door = AdminDoor(bench)
    before = rotated.store.get_current_root()
    first = (await door.ask("roots", by="user/operator")).json
    assert first["rotation"] is None
    assert [(root["rootId"], root["state"], root["domains"]) for root in first["roots"]] == [
        (before.root_id.hex(), "current", 3)
    ]
    root = await rotated.rotate(domains_per_s=7.0)
    await rotated.rewrapping.rewrap(rotated.rewrapping.next_domains(2))
    told = (await door.ask("roots", by="user/operator")).json
    assert {(one["rootId"], one["state"], one["domains"]) for one in told["roots"]} == {
        (before.root_id.hex(), "old", 1),
        (root.root_id.hex(), "current", 2),
    }
    rotation = told["rotation"]
    assert (rotation["state"], rotation["rewrapped"], rotation["left"]) == ("rewrapping", 2, 1)
    assert rotation["domainsPerS"] == 7.0
    assert bench.entries()[-1].event == "kms.ReadStatus"
