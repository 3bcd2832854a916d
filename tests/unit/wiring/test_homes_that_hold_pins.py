"""A home with the PINs of tokens that an init by script has begun is not cleared away, whatever else it lost."""

import asyncio

import pytest

from strongroom.config import Home
from strongroom.core import HomeError, SystemClock
from strongroom.wiring.home import require_complete
from strongroom.wiring.initialise import initialise_development


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.pins.mkdir(parents=True, mode=0o700)
    home.root.chmod(0o700)
    home.unfinished_mark.touch()
    (home.pins / "alpha-so.first.sealed").write_bytes(b"the only copy of it")
    return home


def test_init_for_development_leaves_them_alone_though_the_journal_is_gone(home):
    work = initialise_development(home.root, port=0, clock=SystemClock(), progress=lambda step: None)
    with pytest.raises(HomeError, match="journal is missing"):
        asyncio.run(work)
    assert (home.pins / "alpha-so.first.sealed").read_bytes() == b"the only copy of it"


def test_such_a_home_is_not_served_and_what_is_said_of_it_is_true(home):
    with pytest.raises(HomeError, match="journal is missing"):
        require_complete(home)
    home.init_journal.write_text("{}")
    with pytest.raises(HomeError, match="half initialised from a script"):
        require_complete(home)


def test_a_half_restored_home_is_neither_served_nor_cleared_away(home):
    home.restore_journal.write_text("{}")
    with pytest.raises(HomeError, match="half restored from a backup"):
        require_complete(home)
    work = initialise_development(home.root, port=0, clock=SystemClock(), progress=lambda step: None)
    with pytest.raises(HomeError, match="half restored from a backup"):
        asyncio.run(work)
    assert (home.pins / "alpha-so.first.sealed").exists()
