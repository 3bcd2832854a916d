"""The pool of work sessions: how many, how fast, how old, and which are never handed out again."""

import threading
import time

import pytest

from fixtures_token import AAD, KEY, ROOT, FakeModule, open_token
from strongroom.core import HsmIntegrityError, HsmKeyNotFoundError, MemberBusyError, MemberFailedError, RootId
from strongroom.hsm import cryptoki
from tries import Tries


def in_threads(n_threads, call):
    """Run a call in many threads at once; return the errors."""
    errors, start = [], threading.Barrier(n_threads)

    def run():
        start.wait(60)
        try:
            call()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def slowed(module, seconds):
    """Let random bytes take so long, so that calls overlap; returns the most sessions that were in use at once."""
    keep, lock, now, most = module.generate_random, threading.Lock(), [0], [0]

    def slow(session, n_bytes):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            time.sleep(seconds)
            return keep(session, n_bytes)
        finally:
            with lock:
                now[0] -= 1

    module.generate_random = slow
    return most


def test_a_token_that_has_no_more_sessions_is_lived_with(module):
    token = open_token(module, max_sessions=8)
    module.tokens[0].max_session_count = 3  # which it did not tell when it was opened
    most = slowed(module, 0.02)
    for _ in range(3):
        assert in_threads(8, lambda: token.random(8)) == []
    assert most == [2]
    assert 1 <= token.recoveries.out_of_sessions <= 8  # later calls do not even try
    assert not token.is_broken


def test_when_nothing_can_be_waited_for_no_session_is_busy_and_not_broken(module):
    token = open_token(module)
    module.tokens[0].max_session_count = 1
    with pytest.raises(MemberBusyError) as caught:
        token.random(8)
    assert caught.value.ckr == cryptoki.SessionCountError.code
    assert not token.is_broken


def test_the_cap_grows_again_after_a_while(module):
    token = open_token(module, max_sessions=4)
    module.tokens[0].max_session_count = 2
    slowed(module, 0.02)
    in_threads(4, lambda: token.random(8))
    assert token._pool._most == 1
    module.tokens[0].max_session_count = 0
    token._pool._most_until = 0.0
    in_threads(4, lambda: token.random(8))
    assert token._pool._most == 4


@pytest.mark.parametrize(("told", "told_rw", "most"), [(5, 0, 4), (0, 3, 2), (5, 3, 2), (0, 0, 8), (1, 0, 1)])
def test_the_tokens_own_limits_count_unless_it_does_not_tell(told, told_rw, most):
    module = FakeModule("a")
    module.tokens[0].max_session_count, module.tokens[0].max_rw_session_count = told, told_rw
    assert open_token(module, max_sessions=8)._pool._max_sessions == most


def test_sessions_are_opened_no_faster_than_the_token_takes(module):
    token = open_token(module, max_sessions=8, sessions_per_s=20.0)
    slowed(module, 0.05)
    began = time.monotonic()
    assert in_threads(6, lambda: token.random(8)) == []
    assert time.monotonic() - began > 0.2  # five sessions later than the first
    began = module.opened
    token.random(8)
    assert module.opened == began  # and are used again


def test_a_session_that_would_come_too_late_is_refused_at_once(module):
    token = open_token(module, sessions_per_s=0.1, operation_limit_s=1.0)
    token.random(8)
    token._pool.forget_all()
    tries = Tries(0.5)
    for _ in tries:
        with tries.timed(), pytest.raises(MemberBusyError, match="more often"):
            token.random(8)
    assert not token.is_broken


def test_after_any_failure_idle_sessions_have_to_show_that_they_live(module):
    token = open_token(module)
    most = slowed(module, 0.05)
    assert in_threads(3, lambda: token.random(8)) == []
    assert most == [3]
    idle = [entry.session for entry in token._pool._idle]
    for session in idle[:-1]:
        module.close_session(session)  # in reality, by what made the one call fail
    module.faults["generate_random"].append(cryptoki.FunctionFailedError)
    with pytest.raises(MemberFailedError):
        token.random(8)
    assert in_threads(3, lambda: token.random(8)) == []
    assert token.recoveries.sessions_lost == 2
    assert token.recoveries.new_sessions == 0  # none of the dead ones was handed out


def test_a_session_that_was_idle_for_long_has_to_show_that_it_lives(module):
    token = open_token(module, idle_limit_s=0.2)
    token._keep_alive.stop()
    token.random(8)
    module.close_session(token._pool._idle[0].session)
    time.sleep(0.15)
    token.random(8)
    assert token.recoveries.sessions_lost >= 1
    assert token.recoveries.new_sessions == 0
    token.close()


def test_the_tokens_verdict_on_bad_data_costs_no_session(token, module):
    wrapped = token.wrap(ROOT, KEY, AAD)
    opened = module.opened
    for error in (cryptoki.EncryptedDataInvalidError, cryptoki.AeadDecryptFailedError):
        for _ in range(5):
            module.faults["decrypt"].append(error)
            with pytest.raises(HsmIntegrityError):
                token.unwrap(ROOT, wrapped, AAD)
    for _ in range(5):
        with pytest.raises(HsmKeyNotFoundError):
            token.wrap(RootId(bytes(16)), KEY, AAD)
    assert module.opened == opened


def test_keep_alive_keeps_sessions_that_nobody_asks_from_dying(module):
    """The fake drops sessions that nothing touched for 1 s, the pinned one too."""
    touched = {}

    def touching(name):
        keep = getattr(module, name)

        def call(session, *arguments):
            now = time.monotonic()
            if session in module.sessions and now - touched.get(session, now) > 1.0:
                module.close_session(session)
            touched[session] = now
            return keep(session, *arguments)

        setattr(module, name, call)

    token = open_token(module, idle_limit_s=1.0)
    for name in ("session_info", "generate_random"):
        touching(name)
    try:
        token.random(8)
        time.sleep(1.4)
        opened = module.opened
        token.random(8)
        assert module.opened == opened
        assert token.recoveries.sessions_lost == token.recoveries.logins == 0
    finally:
        token.close()


def test_keep_alive_drops_what_is_dead_and_the_next_call_finds_everything_in_order(module):
    token = open_token(module, idle_limit_s=0.15)
    try:
        token.random(8)
        for session in tuple(module.sessions):
            module.close_session(session)
        deadline = time.monotonic() + 10
        while not token.recoveries.sessions_lost:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        token.generate_root(ROOT, "root")
        assert token.recoveries.logins == 1
        assert token.recoveries.reinitialisations == 0
    finally:
        token.close()


def test_keep_alive_ends_with_the_token(module):
    token = open_token(module, idle_limit_s=0.09)
    token.close()
    token._keep_alive._thread.join(60)
    assert not token._keep_alive._thread.is_alive()
