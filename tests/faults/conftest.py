"""The folder of which the power-loss layer forgets what was not synced; SoftHSM behind the fault shim."""

import pytest

from faults.powerloss import PowerlossLayer
from faults.shimmed_softhsm import key, module, session, shared, shim, token

__all__ = ["key", "module", "session", "shared", "shim", "token"]


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
