"""A token in memory, and what works on it."""

import pytest

from fixtures_token import ROOT, FakeModule, open_token


@pytest.fixture
def module():
    return FakeModule("a")


@pytest.fixture
def token(module):
    """The module's token, open, with a root."""
    opened = open_token(module)
    opened.generate_root(ROOT, "root")
    yield opened
    opened.close()
