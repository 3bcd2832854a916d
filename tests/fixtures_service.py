"""A whole service for each test, closed whatever happens. The conftest of a folder imports both fixtures."""

import pytest

from fakes_keyring import HsmAndDatabase
from fakes_service import ServiceBench
from strongroom.audit import CATALOGUE, unknown_details


@pytest.fixture(scope="session")
def hsm_and_database(tmp_path_factory):
    return HsmAndDatabase(tmp_path_factory.mktemp("service"))


@pytest.fixture
def bench(hsm_and_database, tmp_path):
    made = ServiceBench(hsm_and_database, tmp_path)
    yield made
    made.close()
    unknown = {entry.event: unknown_details(entry) for entry in made.entries() if not is_known(entry)}
    assert unknown == {}, "the catalogue of events has not all that was written"


def is_known(entry):
    """Whether the catalogue has an entry's event and all that its detail says. Tests write events of their own too."""
    is_of_a_test = "." not in entry.event or entry.event.startswith("test.")
    return is_of_a_test or (entry.event in CATALOGUE and not unknown_details(entry))
