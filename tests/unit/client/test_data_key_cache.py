"""Cached data keys: every limit holds, nothing stale is used, and nobody's key is overwritten under them."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_client import FakeDataKeys
from strongroom import DataKeyCache, Envelope
from strongroom.client import RequestRefusedError
from strongroom.testing import FakeClock


def made(**limits):
    clock, source = FakeClock(), FakeDataKeys()
    settings = {"max_messages": 100, "max_bytes": 10**9, "max_age_s": 60.0, **limits}
    cache = DataKeyCache(clock=clock, **settings)
    return Envelope("alias/one", source=source, cache=cache), source, clock, cache


def test_one_data_key_serves_many_messages_and_each_has_other_keys():
    envelope, source, _, _ = made()
    encrypted = {envelope.encrypt(b"same") for _ in range(50)}
    assert (len(encrypted), source.generated) == (50, 1)
    assert {envelope.decrypt(one) for one in encrypted} == {b"same"}
    assert source.opened == 1


def test_the_limit_of_messages_holds():
    envelope, source, _, _ = made(max_messages=3)
    for _ in range(7):
        envelope.encrypt(b"x")
    assert source.generated == 3


def test_the_limit_of_bytes_holds():
    envelope, source, _, _ = made(max_bytes=1000)
    for _ in range(4):
        envelope.encrypt(bytes(500))
    assert source.generated == 2
    envelope.encrypt(bytes(1001))
    assert source.generated == 3


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 5), st.integers(1, 100))
@settings(deadline=None)
def test_no_data_key_ever_exceeds_its_limits(sizes, max_messages, max_bytes):
    envelope, _, _, _ = made(max_messages=max_messages, max_bytes=max_bytes)
    used = {}
    for size in sizes:
        wrapped = envelope.encrypt(bytes(size))[12:113]
        used.setdefault(wrapped, []).append(size)
    assert all(len(each) <= max_messages for each in used.values())
    assert all(sum(each) <= max_bytes or len(each) == 1 for each in used.values())


def test_a_stream_of_unknown_size_has_a_data_key_of_its_own(tmp_path):
    envelope, source, _, _ = made()

    class Pipe:
        def __init__(self):
            self.rest = [b"some", b""]

        def read(self, size):
            return self.rest.pop(0)

    for count in (1, 2):
        with (tmp_path / "out").open("wb") as target:
            envelope.encrypt_stream(Pipe(), target)
        assert source.generated == count
    (tmp_path / "file").write_bytes(b"known")
    for name in ("a", "b"):
        envelope.encrypt_file(tmp_path / "file", tmp_path / name)
    assert source.generated == 3


def test_after_its_age_a_data_key_is_used_for_nothing():
    envelope, source, clock, _ = made(max_age_s=10.0)
    first = envelope.encrypt(b"x")
    envelope.decrypt(first)
    clock.advance(9.9)
    envelope.encrypt(b"x")
    envelope.decrypt(first)
    assert (source.generated, source.opened) == (1, 1)
    clock.advance(0.1)
    envelope.encrypt(b"x")
    envelope.decrypt(first)
    assert (source.generated, source.opened) == (2, 2)


def test_a_disabled_key_works_until_the_age_and_no_longer():
    envelope, source, clock, _ = made(max_age_s=10.0)
    encrypted = envelope.encrypt(b"x")
    envelope.decrypt(encrypted)
    source.disabled.add("alias/one")
    assert envelope.decrypt(encrypted) == b"x"
    clock.advance(10.0)
    for attempt in (lambda: envelope.decrypt(encrypted), lambda: envelope.encrypt(b"x")):
        with pytest.raises(RequestRefusedError, match="DisabledException"):
            attempt()


def test_each_context_has_a_data_key_of_its_own():
    envelope, source, _, _ = made()
    envelope.encrypt(b"x", context={"a": "bc"})
    envelope.encrypt(b"x", context={"ab": "c"})
    envelope.encrypt(b"x", context={"a": "bc"})
    assert source.generated == 2


def test_who_accepts_one_key_gets_nothing_that_was_opened_for_who_accepts_all():
    _, source, clock, _ = made()
    cache = DataKeyCache(max_messages=9, max_bytes=99, max_age_s=60, clock=clock)
    foreign = Envelope("alias/two", source=source).encrypt(b"planted")
    assert Envelope(source=source, cache=cache).decrypt(foreign) == b"planted"
    with pytest.raises(RequestRefusedError, match="IncorrectKeyException"):
        Envelope("alias/one", source=source, cache=cache).decrypt(foreign)


def test_a_cache_serves_one_source_only():
    _, _, _, cache = made()
    with pytest.raises(ValueError, match="another source"):
        Envelope("alias/one", source=FakeDataKeys(), cache=cache)


def test_no_more_entries_are_kept_than_allowed():
    envelope, source, _, cache = made(max_entries=2)
    for number in (1, 2, 3, 1):
        envelope.encrypt(b"x", context={"n": str(number)})
    assert source.generated == 4
    assert len(cache._encrypting._entries) == 2


def test_a_failed_call_leaves_nothing_behind():
    envelope, source, _, _ = made()
    source.disabled.add("alias/one")
    with pytest.raises(RequestRefusedError):
        envelope.encrypt(b"x")
    source.disabled.clear()
    assert envelope.decrypt(envelope.encrypt(b"x")) == b"x"


def test_what_is_dropped_is_overwritten_but_not_under_those_who_use_it():
    envelope, _, clock, cache = made(max_age_s=1.0)
    envelope.encrypt(b"x")
    [entry] = cache._encrypting._entries.values()
    copy = cache.for_encryption("alias/one", b"", 1, pytest.fail)
    clock.advance(1.0)
    envelope.encrypt(b"x")
    assert entry.key.plaintext.reveal() == bytes(32)
    assert copy.plaintext.reveal() != bytes(32)
    [entry] = cache._encrypting._entries.values()
    cache.clear()
    assert entry.key.plaintext.reveal() == bytes(32)


@pytest.mark.parametrize("limit", ["max_messages", "max_bytes", "max_age_s", "max_entries"])
def test_a_limit_of_nothing_is_refused(limit):
    with pytest.raises(ValueError, match="above zero"):
        made(**{limit: 0})


def test_threads_that_share_a_cache_never_use_an_overwritten_key():
    envelope, source, clock, _ = made(max_messages=2, max_age_s=1.0)
    failures = []

    def work():
        for _ in range(100):
            try:
                if envelope.decrypt(envelope.encrypt(b"data")) != b"data":
                    failures.append("other data")
            except Exception as error:
                failures.append(repr(error))
            clock.advance(0.05)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert source.generated >= 300
