"""A bench per test: a database of its own under one fake HSM, closed whatever happens."""

import pytest

from fakes_keyring import HsmAndDatabase, KeyringBench


@pytest.fixture(scope="session")
def hsm_and_database(tmp_path_factory):
    return HsmAndDatabase(tmp_path_factory.mktemp("keyring"))


@pytest.fixture
def bench(hsm_and_database, tmp_path):
    made = KeyringBench(hsm_and_database, tmp_path / "strongroom.db")
    yield made
    made.close()


@pytest.fixture
def keyring(bench):
    return bench.open_keyring()
