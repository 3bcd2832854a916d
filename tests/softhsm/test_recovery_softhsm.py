"""What a real token shows of lost logins and new starts of its module, and that recovery lives with it."""

import threading
import time

import pytest

from fixtures_token import softhsm_module
from strongroom.core import MemberFailedError, RootId, Secret
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import SessionState, UserType
from strongroom.hsm.token import Token, TokenSelector, initialise_token, load_profile

pytestmark = pytest.mark.softhsm

PIN, SO_PIN = Secret(b"1234"), Secret(b"12345678")
ROOT, KEY, AAD = RootId(b"the root's name."), Secret(b"k" * 32), b"domain 1, version 1"
SELECTOR = TokenSelector(label="member")
PROFILE = load_profile("softhsm2")


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("softhsm")
    with pytest.MonkeyPatch.context() as patch, softhsm_module(folder) as loaded:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))  # C_Initialize reads it again
        initialise_token(loaded, label="member", so_pin=SO_PIN, user_pin=PIN)
        token = Token.open(loaded, SELECTOR, PIN, profile=PROFILE)
        token.generate_root(ROOT, "root")
        token.close()
        yield loaded


@pytest.fixture
def refused():
    return []


@pytest.fixture
def token(module, refused):
    opened = Token.open(
        module, SELECTOR, PIN, profile=PROFILE, pin_refused=lambda pin: refused.append(pin.reveal())
    )
    yield opened
    opened.close()
    module.close_all_sessions(slot_of(module))


def slot_of(module):
    return next(slot for slot in module.slots() if module.token_info(slot).label == "member")


def unwraps(token, wrapped):
    return token.unwrap(ROOT, wrapped, AAD).matches(KEY)


def test_the_last_session_that_closes_takes_the_login_along(module):
    slot = slot_of(module)
    first, second = module.open_session(slot), module.open_session(slot)
    module.login(first, UserType.USER, PIN.reveal())
    module.close_session(first)
    assert module.session_info(second).state is SessionState.RW_USER_FUNCTIONS
    module.close_session(second)
    third = module.open_session(slot)
    assert module.session_info(third).state is SessionState.RW_PUBLIC_SESSION
    module.close_session(third)


def test_losing_the_pinned_session_alone_costs_nothing_while_work_sessions_keep_the_login(module, token):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.close_session(token._ladder._link._pinned)
    assert unwraps(token, wrapped)
    assert token.recoveries.logins == 0


def test_every_session_closed_behind_us_costs_one_login(module, token):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.close_all_sessions(slot_of(module))
    assert unwraps(token, wrapped)
    assert (token.recoveries.logins, token.recoveries.reinitialisations) == (1, 0)


def test_a_logout_behind_us_costs_one_login(module, token):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.logout(token._ladder._link._pinned)
    assert unwraps(token, wrapped)
    assert token.recoveries.logins == 1


def test_a_module_finalized_behind_us_is_started_and_logged_in_again(module, token):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.finalize()
    assert unwraps(token, wrapped)
    assert (token.recoveries.reinitialisations, token.is_broken) == (1, False)


def test_a_module_started_anew_behind_us_heals_too(module, token):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.finalize()
    module.initialize()
    assert unwraps(token, wrapped)
    assert not token.is_broken


def test_a_change_begins_with_a_search_that_may_heal_and_is_made_once(module, token):
    module.close_all_sessions(slot_of(module))
    name = RootId(b"a second root's.")
    token.generate_root(name, "second")
    assert token.has_root(name)
    assert [found.cka_id for found in token.list_objects()].count(name) == 1


def test_a_pin_that_was_changed_is_refused_once_and_not_sent_again(module, token, refused):
    session = module.open_session(slot_of(module))
    module.set_pin(session, PIN.reveal(), b"another")
    module.close_all_sessions(slot_of(module))
    try:
        for _ in range(3):
            with pytest.raises(MemberFailedError):
                token.wrap(ROOT, KEY, AAD)
        assert token.is_broken
        assert refused == [PIN.reveal()]
    finally:
        session = module.open_session(slot_of(module))
        module.login(session, UserType.USER, b"another")
        module.set_pin(session, b"another", PIN.reveal())
        module.close_all_sessions(slot_of(module))


def test_eight_threads_work_on_while_the_module_is_started_anew_under_them(module, token, monkeypatch):
    """Random bytes: SoftHSM gives stray errors to several threads that use token objects (its profile has one thread)."""
    over, cut, failures = threading.Event(), threading.Event(), []

    def raising_while_cut(name):
        keep = getattr(module, name)

        def call(*arguments):
            if cut.is_set():
                raise cryptoki.DeviceError
            return keep(*arguments)

        monkeypatch.setattr(module, name, call)

    def initialize(keep=module.initialize):
        keep()
        cut.clear()

    for name in ("generate_random", "session_info"):
        raising_while_cut(name)
    monkeypatch.setattr(module, "initialize", initialize)

    def work():
        while not over.is_set():
            try:
                assert len(token.random(16)) == 16
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            time.sleep(0.1)
            cut.set()
            while cut.is_set():
                time.sleep(0.01)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert (token.recoveries.reinitialisations, token.is_broken) == (3, False)
