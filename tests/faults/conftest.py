"""The folder of which the power-loss layer forgets what was not synced; SoftHSM behind the fault shim."""

import pytest

from faults.failing_token import failing_token
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


@pytest.fixture(scope="module")
def failing_of_module(tmp_path_factory):
    with failing_token(tmp_path_factory.mktemp("failing")) as made:
        yield made


@pytest.fixture
def failing(failing_of_module):
    failing_of_module.fresh()
    yield failing_of_module
    failing_of_module.shim.heal()
