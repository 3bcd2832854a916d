"""A service per test, closed whatever happens, and a key in it."""

import pytest

from fakes_keyring import HsmAndDatabase
from fakes_service import ServiceBench


@pytest.fixture(scope="session")
def hsm_and_database(tmp_path_factory):
    return HsmAndDatabase(tmp_path_factory.mktemp("service"))


@pytest.fixture
def bench(hsm_and_database, tmp_path):
    made = ServiceBench(hsm_and_database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def service(bench):
    return bench.service


@pytest.fixture
async def key_id(bench, service):
    """A key that is there before the test begins, with the alias ``alias/old``."""
    made = await service.create_key(bench.caller(), description="old")
    await service.create_alias(bench.caller(), alias_name="alias/old", target_key_id=made.key_id)
    return made.key_id
