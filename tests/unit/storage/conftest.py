"""A database per test, and a store on it that is closed whatever happens."""

import pytest

from fresh_database import fresh_database
from strongroom.storage import Store
from unit.storage.record_makers import insert_domain_and_root


@pytest.fixture
def path(tmp_path):
    database = tmp_path / "strongroom.db"
    fresh_database(database)
    return database


@pytest.fixture
async def store(path):
    with Store.open(path) as opened:
        await opened.write(insert_domain_and_root)
        yield opened
