"""A PIN that was replaced, or may have been, is sent by nobody; logging in and changing a PIN take turns."""

import pytest

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import ConfigError, MemberFailedError, Secret
from strongroom.wiring import pin_refusals
from strongroom.wiring.pin_attempts import PinAttemptFile
from strongroom.wiring.pin_changes import PinChange, read_change, write_change
from strongroom.wiring.pin_refusals import SaltedPin
from strongroom.wiring.pin_sealing import read_pin
from strongroom.wiring.pin_turns import PinTurn

OLD, NEW = Secret(b"the old one"), Secret(b"the new one")
TOKEN = {"token_serial": "0123", "token_label": None}


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    monkeypatch.setattr(pin_refusals, "_COST", 2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pin-changes" / "alpha"


def changed(path, phase):
    salted = SaltedPin.of(OLD, **TOKEN).to_text()
    write_change(
        path, PinChange(change_id="0" * 16, member="alpha", phase=phase, started_at=1, replaced=salted)
    )


def worker(path):
    home = Home(path.parent.parent)
    return PinAttemptFile(
        home.pin_attempts / "alpha",
        home.pin_refused / "alpha",
        **TOKEN,
        not_kept=lambda _cause: None,
        change_path=path,
    )


@pytest.mark.parametrize("phase", ["setting", "set", "proved", "done"])
def test_the_old_pin_is_not_sent_once_it_may_have_been_replaced_and_the_new_one_is(path, phase):
    changed(path, phase)
    with pytest.raises(MemberFailedError, match="replaced by another one"):
        worker(path).begin(OLD, is_count_low=False)
    worker(path).begin(NEW, is_count_low=False)


@pytest.mark.parametrize("phase", ["pending", "failed"])
def test_the_old_pin_is_sent_while_it_is_the_one_for_certain(path, phase):
    changed(path, phase)
    worker(path).begin(OLD, is_count_low=False)


def test_nothing_is_sent_by_a_record_that_cannot_be_read(path):
    path.parent.mkdir()
    path.write_text("{}")
    with pytest.raises(MemberFailedError, match="damaged"):
        worker(path).begin(OLD, is_count_low=False)


def test_nobody_logs_in_while_the_pin_is_changed(path):
    change = PinTurn(path)
    change.take()
    with pytest.raises(MemberFailedError, match="being changed at this moment"):
        worker(path).begin(OLD, is_count_low=False)
    change.end()
    worker(path).begin(OLD, is_count_low=False)


def test_two_workers_of_a_member_log_in_at_a_time(path):
    one, other = worker(path), worker(path)
    one.begin(OLD, is_count_low=False)
    other.begin(OLD, is_count_low=False)


@pytest.mark.parametrize("end", ["accepted", "not_tried", "refused"])
def test_a_change_waits_until_a_login_is_over(path, end, monkeypatch):
    monkeypatch.setattr("strongroom.wiring.pin_turns._WAIT_S", 0.1)
    login, change = worker(path), PinTurn(path)
    login.begin(OLD, is_count_low=False)
    with pytest.raises(MemberFailedError, match="has been logging in"):
        change.take()
    getattr(login, end)(*([OLD] if end == "refused" else []))
    change.take()


def test_a_pin_that_may_have_been_replaced_is_not_even_read(path, tmp_path):
    member = MemberConfig(name="alpha", profile="softhsm2", pin=PinSource(file="pin"), token_serial="0123")
    (tmp_path / "pin").write_text("the old one")
    (tmp_path / "pin").chmod(0o400)
    changed(path, "setting")
    with pytest.raises(ConfigError, match="was interrupted"):
        read_pin(member, Home(tmp_path))
    changed(path, "done")
    assert read_pin(member, Home(tmp_path)).matches(OLD)


def test_a_record_of_another_member_is_refused(path):
    changed(path, "done")
    path.rename(path.with_name("beta"))
    with pytest.raises(ConfigError, match="another member"):
        read_change(path.with_name("beta"))
