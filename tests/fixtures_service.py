"""A whole service for each test, closed whatever happens. The conftest of a folder imports both fixtures."""

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
