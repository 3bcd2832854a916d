"""Two changes of one key at the same moment, in two threads of a worker: one comes after the other.

Otherwise a destruction finds nothing while the key is still being made, says that it is gone, and the key comes later.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures_direct_keys import a_key, token_maker
from fixtures_token import softhsm_module
from strongroom.core import HsmRequestError, KeySpec, MemberBusyError

pytestmark = pytest.mark.softhsm


@pytest.fixture(scope="module")
def open_new(tmp_path_factory):
    with softhsm_module(tmp_path_factory.mktemp("softhsm")) as module, token_maker(module) as make:
        yield make


class SlowGeneration:
    """C_GenerateKey that begins, and does its work when it is let."""

    def __init__(self):
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self, real, *args, **kwargs):
        self.began.set()
        assert self.may_end.wait(60)
        return real(*args, **kwargs)


@pytest.fixture
def slow():
    made = SlowGeneration()
    yield made
    made.may_end.set()


def test_a_key_that_is_destroyed_while_it_is_being_made_does_not_come_later(open_new, slow):
    token, key = open_new(generate_key=slow), a_key(KeySpec.AES_256)
    with ThreadPoolExecutor() as threads:
        making = threads.submit(token.direct.generate, key, "k", may_leave=False)
        assert slow.began.wait(60)
        destroying = threads.submit(token.direct.destroy, key)
        slow.may_end.set()
        making.result(20)
        destroying.result(20)
    assert token.list_objects() == []


def test_who_has_no_time_to_wait_for_the_other_change_is_told_that_it_was_not_done(open_new, slow):
    token, key = open_new(generate_key=slow), a_key(KeySpec.AES_256)

    def destroy_soon():
        token.have_time(0.2)
        token.direct.destroy(key)

    with ThreadPoolExecutor() as threads:
        making = threads.submit(token.direct.generate, key, "k", may_leave=False)
        assert slow.began.wait(60)
        with pytest.raises(MemberBusyError):
            threads.submit(destroy_soon).result(20)
        slow.may_end.set()
        making.result(20)
    assert token.direct.holds(key)
    token.direct.destroy(key)


def test_of_two_that_make_the_same_key_one_is_refused_and_the_other_keeps_it(open_new, slow):
    token, key = open_new(generate_key=slow), a_key(KeySpec.AES_256)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(token.direct.generate, key, "k", may_leave=False)
        assert slow.began.wait(60)
        second = threads.submit(token.direct.generate, key, "k", may_leave=False)
        slow.may_end.set()
        first.result(20)
        with pytest.raises(HsmRequestError, match="already holds"):
            second.result(20)
    assert token.direct.holds(key)


def test_changes_of_other_keys_do_not_wait(open_new, slow):
    token, key, other = open_new(generate_key=slow), a_key(KeySpec.AES_256), a_key(KeySpec.ECC_NIST_P256)
    with ThreadPoolExecutor() as threads:
        making = threads.submit(token.direct.generate, key, "k", may_leave=False)
        assert slow.began.wait(60)
        assert threads.submit(token.direct.generate, other, "o", may_leave=False).result(20)
        slow.may_end.set()
        making.result(20)
