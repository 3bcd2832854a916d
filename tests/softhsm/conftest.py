"""SoftHSM for the tests of one file, and an open token."""

import pytest

from fixtures_token import softhsm_module
from fixtures_two_tokens import new_token, opened


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """SoftHSM, with a folder of its own for its tokens."""
    with softhsm_module(tmp_path_factory.mktemp("softhsm")) as loaded:
        yield loaded


@pytest.fixture
def token(module):
    """A new token, open as its user."""
    made = opened(module, new_token(module))
    yield made
    made.close()
