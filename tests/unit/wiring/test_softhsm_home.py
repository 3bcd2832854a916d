"""A home's SoftHSM configuration names the home's own tokens, wherever the home was copied to."""

import shutil

import pytest

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import MemberFailedError
from strongroom.hsm.token import write_softhsm_config
from strongroom.wiring.softhsm_home import keep_softhsm_config
from strongroom.wiring.workers import member_bootstrap


@pytest.fixture
def original(tmp_path):
    home = Home(tmp_path / "original")
    home.tokens.mkdir(parents=True)
    write_softhsm_config(home.tokens / "a.conf", home.tokens / "a")
    return home


def keep(home):
    return keep_softhsm_config(home.tokens / "a.conf", home.tokens / "a")


def test_a_copied_home_uses_the_copied_tokens(original, tmp_path):
    copy = Home(tmp_path / "copy")
    shutil.copytree(original.root, copy.root)
    before = (original.tokens / "a.conf").read_bytes()
    assert keep(copy)
    assert f"directories.tokendir = {copy.tokens / 'a'}\n" in (copy.tokens / "a.conf").read_text()
    assert str(original.root) not in (copy.tokens / "a.conf").read_text()
    assert (original.tokens / "a.conf").read_bytes() == before
    assert not keep(copy)


def test_one_that_names_the_homes_tokens_is_left_alone_whatever_else_it_sets(original):
    conf = original.tokens / "a.conf"
    conf.write_text(f"# ours\nlog.level = DEBUG\n  directories.tokendir={original.tokens / 'a'}  # here\n")
    before = conf.read_bytes()
    assert not keep(original)
    assert conf.read_bytes() == before


def test_one_that_is_lost_or_names_nothing_is_written(original):
    for content in (None, "", "objectstore.backend = file\n", "directories.tokendir = \n"):
        conf = original.tokens / "a.conf"
        conf.unlink() if content is None else conf.write_text(content)
        assert keep(original)
        assert not keep(original)


def test_nothing_is_made_where_the_home_has_no_tokens_of_this_member(original):
    shutil.rmtree(original.tokens / "a")
    (original.tokens / "a.conf").write_text("directories.tokendir = /elsewhere\n")
    assert not keep(original)
    assert not (original.tokens / "a").exists()
    shutil.rmtree(original.tokens)
    assert not keep(original)
    assert not original.tokens.exists()


def test_a_configuration_that_cannot_be_written_is_a_failure_of_the_member(original):
    (original.tokens / "a.conf").unlink()
    (original.tokens / "a.conf").mkdir()
    with pytest.raises(MemberFailedError, match=r"a\.conf"):
        keep(original)


@pytest.mark.parametrize(
    ("profile", "conf", "expected"),
    [
        ("softhsm2", "{home}/tokens/a.conf", "a.conf"),
        ("softhsm2", "/etc/softhsm/softhsm2.conf", None),
        ("softhsm2", "{home}/tokens/../a.conf", None),
        ("another-vendor", "{home}/tokens/a.conf", None),
    ],
)
def test_only_a_softhsm_configuration_in_the_home_is_ours_to_write(
    original, tmp_path, profile, conf, expected
):
    member = MemberConfig(
        name="a",
        profile=profile,
        pin=PinSource(file="x"),
        token_label="a",
        environment={"SOFTHSM2_CONF": conf},
    )
    made = member_bootstrap(member, original, "serve", pin=b"1234", sockets=tmp_path, generation=1)
    assert made.token_config == (str(original.tokens / expected) if expected else None)
