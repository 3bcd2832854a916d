"""What the tests of wiring share."""

import shutil
import tempfile
from pathlib import Path

import pytest

from fakes_keyring import HsmAndDatabase
from fakes_service import ServiceBench


@pytest.fixture(scope="session")
def hsm_and_database(tmp_path_factory):
    return HsmAndDatabase(tmp_path_factory.mktemp("wiring"))


@pytest.fixture
def bench(hsm_and_database, tmp_path):
    made = ServiceBench(hsm_and_database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def short_folder():
    """A folder whose path is short enough for sockets, which tmp_path is not."""
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    yield folder
    shutil.rmtree(folder)
