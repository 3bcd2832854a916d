"""What the tests of wiring share."""

import shutil
import tempfile
from pathlib import Path

import pytest

from fixtures_service import bench, hsm_and_database

__all__ = ["bench", "hsm_and_database"]


@pytest.fixture
def short_folder():
    """A folder whose path is short enough for sockets, which tmp_path is not."""
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    yield folder
    shutil.rmtree(folder)
