"""The folder of which the power-loss layer forgets what was not synced."""

import pytest

from faults.powerloss import PowerlossLayer


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("powerloss-build")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def layer(request, root, tmp_path, build_dir):
    is_strict = getattr(request, "param", "default") == "strict"
    return PowerlossLayer(root, tmp_path / "shadow", build_dir, is_strict=is_strict)
