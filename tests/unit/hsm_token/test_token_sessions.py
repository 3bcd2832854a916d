"""The pool of work sessions under many threads, and at the end."""

import threading

import pytest

from fixtures_token import AAD, KEY, ROOT, FakeModule, open_token
from strongroom.core import MemberFailedError
from strongroom.hsm import cryptoki


@pytest.mark.parametrize("error", [cryptoki.ArgumentsBadError, cryptoki.SessionCountError])
def test_a_session_that_cannot_be_opened_is_the_member_s_failure(token, module, error):
    token._pool.forget_all()
    module.faults["open_session"].append(error)
    with pytest.raises(MemberFailedError) as caught:
        token.random(8)
    assert caught.value.ckr == error.code
    assert not token.is_broken


def test_waiting_for_a_session_ends(module):
    token = open_token(module, max_sessions=1, session_wait_s=0.05)
    inside, leave = threading.Event(), threading.Event()

    def slow_random(session, n_bytes):
        inside.set()
        leave.wait(60)
        return bytes(n_bytes)

    module.generate_random = slow_random
    busy = threading.Thread(target=token.random, args=(8,))
    busy.start()
    try:
        assert inside.wait(60)
        with pytest.raises(MemberFailedError, match="busy"):
            token.random(8)
        assert not token.is_broken
    finally:
        leave.set()
        busy.join()
    token.random(8)


def test_the_token_s_own_session_limit_is_kept():
    module = FakeModule("a", max_session_count=2)
    token = open_token(module)
    token.generate_root(ROOT, "root")
    threads = [threading.Thread(target=token.wrap, args=(ROOT, KEY, AAD)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(module.sessions) == 2
    assert not token.is_broken


def test_threads_never_share_a_session(token, module):
    in_use, collisions, lock = set(), [], threading.Lock()
    keep = module.generate_random

    def watched(session, n_bytes):
        with lock:
            if session in in_use:
                collisions.append(session)
            in_use.add(session)
        try:
            return keep(session, n_bytes)
        finally:
            with lock:
                in_use.discard(session)

    module.generate_random = watched
    threads = [threading.Thread(target=lambda: [token.random(8) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collisions == []


def test_closing_logs_out_and_leaves_no_session(token, module):
    token.random(8)
    token.close()
    assert module.sessions == {}
    with pytest.raises(MemberFailedError):
        token.random(8)


def test_closing_a_dead_module_raises_nothing(token, module):
    module.sessions.clear()
    token.close()
