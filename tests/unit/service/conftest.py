"""A service per test, closed whatever happens, and a key in it."""

import pytest

from fixtures_service import bench, hsm_and_database

__all__ = ["bench", "hsm_and_database"]


@pytest.fixture
def service(bench):
    return bench.service


@pytest.fixture
async def key_id(bench, service):
    """A key that is there before the test begins, with the alias ``alias/old``."""
    made = await service.create_key(bench.caller(), description="old")
    await service.create_alias(bench.caller(), alias_name="alias/old", target_key_id=made.key_id)
    return made.key_id
